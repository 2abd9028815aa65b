"""The transient search of one gulp, beside the loops of the server it replaces.

``python benchmarks/correlator_search.py [--device cuda] [--gulps N]`` runs alone: numpy, scipy, numba and, for a
graphics card, torch are all it needs. Times are those of a search that is warm, on noise with look-back and a
point-spread function as large as the image.

The peers are written down from descriptions of the servers of 2025 (whole images: a complex transform per frame,
de-dispersion per trial and channel, boxcars, quantile, median and deviation per trial) and of 2024 (the same loop over
pixels in Python, without its spatial filter). They run on a few pixels, and their time is multiplied by the number of
pixels, which favours them. They look back into no gulp, and their significances are not those of noise.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.figure import HEADER, Figure
from devices.pipelines.search.band import Band
from devices.pipelines.search.psf import gaussian_psf
from devices.pipelines.search.search import Search
from devices.pipelines.search.settings import SearchSettings
from devices.pipelines.search.trials import Trials, dm_trials
from tests.support.peak import Peak

SAMPLES = 25
BAND = Band.dsa110()
TRIALS = Trials(dm_trials(BAND, SAMPLES))
ALL = np.ones(16, bool)
#: CPU time of the original's processor path for 300 x 300 pixels, measured once on another machine.
ORIGINAL_CPU_MS = 66_000.0


def run(device: str = "cpu", gulps: int = 9) -> list[Figure]:
    """Figures of the processor, of a graphics card where there is one, and of the loops."""
    figures: list[Figure] = []
    peak = Peak()
    large = _searched(300, device, gulps)
    rss_gb = peak.bytes / 1e9
    small = _searched(175, device, gulps)
    smaller_psf = _searched(300, device, gulps, psf=151)
    drifting = _searched(300, device, max(4, gulps // 2), shift=(0.0, 0.45))
    where = _name(device)
    card = device != "cpu"
    figures += [
        Figure(f"search: 300 x 300 gulp, {where}", large["wall"], "ms", below=30.0 if card else 800.0),
        Figure(f"search: 175 x 175 gulp, {where}", small["wall"], "ms", below=30.0 if card else 300.0),
        Figure(f"search: 300 x 300 gulp, PSF of 151 px, {where}", smaller_psf["wall"], "ms"),
        Figure(f"search: 300 x 300 gulp, sky drifts, {where}", drifting["wall"], "ms", below=3355.0),
    ]
    figures += [
        Figure(f"search: 300 x 300, {name}", large[name], "ms") for name in large if name not in ("wall", "cpu")
    ]
    if not card:
        figures += [
            Figure("search: 300 x 300, CPU (peer: 2025's stages)", large["cpu"], "ms", _stages()),
            Figure("search: 300 x 300, CPU (peer: 2024's loop over pixels)", large["cpu"], "ms", _pixels()),
            Figure(
                "search: CPU (peer: the original's, once, elsewhere)",
                large["cpu"],
                "ms",
                ORIGINAL_CPU_MS,
                at_least=50.0,
            ),
            Figure("search: memory of the process, GB", rss_gb, "GB", below=2.5),
        ]
        figures += run("cuda", gulps) if _has_card() else []
    return figures


def _searched(
    size: int, device: str, gulps: int, shift: tuple[float, float] = (0.0, 0.0), psf: int = 0
) -> dict[str, float]:
    """Medians over gulps, ms: wall, cpu, and each stage; clustering too, if it is there."""
    search = Search(BAND, TRIALS, SearchSettings(), gaussian_psf(BAND, psf or size), device)
    cube = _memory((16, SAMPLES, size, size), device)
    np.random.default_rng(0).standard_normal(cube.shape, np.float32, cube)
    cluster = _clustering()
    times: list[dict[str, float]] = []
    for gulp in range(gulps + 4):
        # A strong pulse, always elsewhere: there is something to cluster, as in a gulp that matters.
        pulse = cube[:, 5:9, size // 3, 20 + 11 * gulp]
        pulse += 6.0
        wall, cpu = time.perf_counter(), time.process_time()
        result = search(cube, ALL, shift)
        seconds = dict(result.seconds)
        if cluster is not None:
            began = time.perf_counter()
            cluster(result.voxels)
            seconds["clustering"] = time.perf_counter() - began
        seconds |= {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        pulse -= 6.0
        if gulp >= 4:  # the first ones compile, and fill the look-back
            times.append(seconds)
    search.close()
    return {name: 1000.0 * statistics.median(each[name] for each in times) for name in times[0]}


def _memory(shape: tuple[int, ...], device: str) -> np.ndarray:
    """Where a gulp lies: for a graphics card in pages that do not move, as a server would keep its slots."""
    if not device.startswith("cuda"):
        return np.empty(shape, np.float32)
    import torch

    return torch.empty(shape, pin_memory=True).numpy()


def _clustering() -> Callable[[Any], Any] | None:
    try:
        from devices.pipelines.candidates.find import GroupSettings, find_groups
    except ImportError:
        return None
    return lambda voxels: find_groups(voxels, TRIALS, GroupSettings(band=BAND))


def _has_card() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


def _name(device: str) -> str:
    if not device.startswith("cuda"):
        return f"{SearchSettings().threads} threads"
    import torch

    return str(torch.cuda.get_device_name(torch.device(device)))


def _stages() -> float:
    """CPU time of the later server's way, whole images at a time, for 300 x 300 pixels, ms."""
    size = 75
    cube = np.random.default_rng(0).standard_normal((size, size, SAMPLES, 16))
    psf = gaussian_psf(BAND, size).astype(np.float64)
    began = time.process_time()
    for channel in range(16):
        kernel = np.fft.fft2(psf[channel])[..., np.newaxis]
        filtered = np.fft.ifft2(np.fft.fft2(cube[..., channel], axes=(0, 1)) * kernel, axes=(0, 1))
        cube[..., channel] = np.fft.ifftshift(np.real(filtered), axes=(0, 1))
    for dm in TRIALS.dms:
        dedispersed = _dedispersed(cube, dm)
        for width in TRIALS.widths:
            sums = ndimage.convolve1d(dedispersed, np.ones(width), axis=-1, mode="constant")
            masked = np.where(sums <= np.quantile(sums, 0.9, axis=-1, keepdims=True), sums, np.nan)
            noise = np.nanmedian(np.nanstd(masked, axis=-1))
            (sums.max(axis=-1) - np.nanmedian(masked, axis=-1)) / noise
    return 1000.0 * (time.process_time() - began) * (300 / size) ** 2


def _pixels() -> float:
    """CPU time of the first server's way, pixel after pixel, on the same trials, for 300 x 300 pixels, ms."""
    size = 20
    cube = np.random.default_rng(0).standard_normal((size, size, SAMPLES, 16))
    began = time.process_time()
    for dm in TRIALS.dms:
        dedispersed = _dedispersed(cube, dm)
        for width in TRIALS.widths:
            boxcar = np.ones(width)
            for row in dedispersed:
                for pixel in row:
                    series = np.convolve(pixel, boxcar, "same")
                    quiet = series[series <= 0.01 * series.max()]
                    series.max() / (np.std(quiet) if len(quiet) > 1 else np.inf)
    return 1000.0 * (time.process_time() - began) * (300 / size) ** 2


def _dedispersed(cube: np.ndarray, dm: float) -> np.ndarray:
    """Axes (y, x, sample); the samples of a gulp only."""
    out = np.zeros(cube.shape[:3])
    for channel, lead in enumerate(BAND.lead_samples(dm)):
        whole, part = int(lead), lead - int(lead)
        near, far = np.zeros_like(out), np.zeros_like(out)
        near[:, :, whole:] = cube[:, :, : SAMPLES - whole, channel]
        far[:, :, whole + 1 :] = cube[:, :, : SAMPLES - whole - 1, channel]
        out += (1.0 - part) * near + part * far
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the transient search.")
    parser.add_argument("--device", default="cpu", help="cpu (and cuda if there is one), or cuda")
    parser.add_argument("--gulps", type=int, default=9)
    chosen = parser.parse_args()
    print(HEADER)
    for figure in run(chosen.device, chosen.gulps):
        print(figure.line(), flush=True)


if __name__ == "__main__":
    main()
