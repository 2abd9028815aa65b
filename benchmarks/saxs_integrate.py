"""Azimuthal integration of a full PILATUS 1M frame, ours and pyFAI's, on the same frames and geometry, one thread.

Every method takes its turn on every frame, so that what else the machine does falls on all alike. 16 frames are more
than the caches hold. Times are CPU time of this process. Run with `python -m benchmarks.saxs_integrate`.
"""

from __future__ import annotations

import os

# Before pyFAI is imported: one thread each.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from devices.drivers.detector_image import read_detector_image
from devices.pipelines.saxs_geometry import ANGSTROM_STAR_NM, Geometry
from devices.pipelines.saxs_integrate import Integrator
from devices.simulators.saxs import SilverBehenate, write_image

FRAMES = 16
ROUNDS = 4

#: pyFAI's (split, algorithm, implementation); the ones that split pixels are what ours is compared with.
PEERS = [
    ("bbox", "csr", "cython"),
    ("bbox", "csc", "cython"),
    ("full", "csr", "cython"),
    ("full", "csc", "cython"),
    ("no", "csr", "cython"),
]

Row = dict[str, Any]


def run() -> list[Row]:
    """One row per figure: name, ms (median), p5_ms, and ratio (how many times ours the peer takes; 1 for ours)."""
    detector = SilverBehenate((1043, 981), seed=0)
    frames = [detector.expose(1.0 + 0.1 * n) for n in range(FRAMES)]
    return [*_setup(detector), *_integration(detector, frames), *_reading(frames[0])]


def _setup(detector: SilverBehenate) -> list[Row]:
    geometry = detector.geometry
    Integrator(geometry, detector.mask)  # compiles

    def again(part: str) -> Row:
        mask = detector.mask if part == "masked" else None
        turns = [_cpu_ms(lambda n=n: Integrator(replace(geometry, distance_mm=800.0 + n), mask)) for n in range(7)]
        return _row(f"set up a calibration, {part}", turns)

    return [again("masked"), again("without a mask")]


def _integration(detector: SilverBehenate, frames: list[np.ndarray]) -> list[Row]:
    integrator = Integrator(detector.geometry, detector.mask)
    single = Integrator(replace(detector.geometry, oversampling=1), detector.mask)
    methods: dict[str, Callable[[np.ndarray], Any]] = {
        "ours, 3 x 3 sub-pixels, sigma": integrator.integrate,
        "ours, no split, sigma": single.integrate,
        **_peers(detector.geometry, detector.mask, integrator.geometry.bins),
    }
    turns: dict[str, list[float]] = {name: [] for name in methods}
    for method in methods.values():
        method(frames[0])
    for _ in range(ROUNDS):
        for frame in frames:
            for name, method in methods.items():
                turns[name].append(_cpu_ms(lambda m=method, f=frame: m(f)))
    ours = float(np.median(turns["ours, 3 x 3 sub-pixels, sigma"]))
    rows = [_row(name, times, ours) for name, times in turns.items()]
    split = [row for row in rows if row["name"].startswith(("pyFAI bbox", "pyFAI full"))]
    if split:
        best = min(split, key=lambda row: row["ms"])
        rows.append({**best, "name": f"ratio to the best split method ({best['name']})"})
    return rows


def _peers(geometry: Geometry, mask: np.ndarray, bins: int) -> dict[str, Callable[[np.ndarray], Any]]:
    try:
        from pyFAI.detectors import Detector
        from pyFAI.integrator.azimuthal import AzimuthalIntegrator
    except ImportError:
        return {}
    wavelength = geometry.wavelength_angstrom * ANGSTROM_STAR_NM * 1e-9
    detector = Detector(172e-6, 172e-6, max_shape=geometry.image_size)
    methods = {}
    for method in PEERS:
        # One each: an integrator keeps the tables of one method only.
        peer = AzimuthalIntegrator(detector=detector, wavelength=wavelength)
        row, column = geometry.image_size[0] - geometry.beam_center[0], geometry.beam_center[1]
        peer.setFit2D(geometry.distance_mm, column, row, pixelX=geometry.pixel_um, pixelY=geometry.pixel_um)
        # As fast as it can: the mask is not checked in each call.
        peer.mask = mask

        def integrate(frame: np.ndarray, peer: Any = peer, method: tuple[str, str, str] = method) -> Any:
            return peer.integrate1d_ng(
                frame,
                bins,
                unit="q_nm^-1",
                method=method,
                error_model="poisson",
                correctSolidAngle=False,
                safe=False,
            )

        methods[f"pyFAI {' '.join(method)}, sigma"] = integrate
    return methods


def _reading(frame: np.ndarray) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for suffix in ("tif", "cbf", "edf"):
            path = Path(folder) / f"frame.{suffix}"
            write_image(path, frame, 1.0, time.time())
            rows.append(_row(f"read a .{suffix}", [_cpu_ms(lambda p=path: read_detector_image(p)) for _ in range(30)]))
        return rows


def _cpu_ms(work: Callable[[], Any]) -> float:
    start = time.process_time_ns()
    work()
    return (time.process_time_ns() - start) / 1e6


def _row(name: str, times_ms: list[float], ours_ms: float | None = None) -> Row:
    median = float(np.median(times_ms))
    return {
        "name": name,
        "ms": round(median, 3),
        "p5_ms": round(float(np.percentile(times_ms, 5)), 3),
        "ratio": round(median / ours_ms, 2) if ours_ms else None,
    }


def main() -> None:
    print(f"{'SAXS, 1043 x 981 int32':<60} {'median ms':>10} {'5 % ms':>10} {'ratio':>8}")
    for row in run():
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        print(f"{row['name']:<60} {row['ms']:>10.3f} {row['p5_ms']:>10.3f} {ratio:>8}")


if __name__ == "__main__":
    main()
