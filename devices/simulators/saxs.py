"""A PILATUS-like detector: image files that appear in a folder at a chosen rate.

The sample is silver behenate, whose rings calibrate a beamline, or a solution of spheres, which follows the laws of
Guinier and Porod.

The calibration (`calibration.json`) and the mask of gaps and beam stop (`mask.msk`) that belong to the images are
written beside them. Every file appears complete, by a rename.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import tifffile
from fabio.cbfimage import CbfImage
from fabio.edfimage import EdfImage
from numpy.typing import NDArray

from devices.core.errors import ConfigurationError
from devices.drivers.mask_file import encode_fit2d_mask
from devices.pipelines.saxs_geometry import Geometry, q_map
from devices.simulators.dcss.listener import DcssListener
from devices.simulators.saxs_logs import Beamline, Exposed, LiveLogs

SPACING_ANGSTROM = 58.38
"""The (001) layer spacing of silver behenate."""
SPHERE_RADIUS_NM = 2.5

GAP, DEAD = -1, -2
#: By how much the clock of the simulated beamline is ahead of the detector's, s.
AHEAD_SECONDS = 3.7
CALIBRATION_NAME, MASK_NAME = "calibration.json", "mask.msk"

# A PILATUS3 1M: modules of 195 x 487 px with gaps of 17 and 7 px; the beam is off the centre. Other sizes are scaled.
_ROWS, _COLUMNS = 1043, 981
_MODULE, _GAPS = (195, 487), (17, 7)
_BEAM_CENTER, _DISTANCE_MM = (805.1, 422.4), 835.6

_NAME = re.compile(r"agbeh_(\d{5,})\.(tif|cbf|edf)")


class SilverBehenate:
    """The detector: what it counts, and the geometry and mask that describe it.

    Args:
        shape: (rows, columns).
        seed: of the counting noise and the dead pixels.
        sample: `behenate` or `spheres`.
    """

    def __init__(self, shape: tuple[int, int] = (256, 320), seed: int = 0, sample: str = "behenate") -> None:
        scale = shape[1] / _COLUMNS
        self.geometry = Geometry(
            beam_center=(_BEAM_CENTER[0] * shape[0] / _ROWS, _BEAM_CENTER[1] * scale),
            distance_mm=_DISTANCE_MM * scale,
            image_size=shape,
        )
        self._random = np.random.default_rng(seed)
        self._gap = _gaps(shape, scale)
        self._dead = (self._random.random(shape) < 1e-4) & ~self._gap
        q = q_map(self.geometry)
        shadow = self._beam_stop(q, 0.50)
        #: True where a pixel does not count, (rows, columns): gaps, dead pixels, and the beam stop with some margin.
        self.mask: NDArray[np.bool_] = self._gap | self._dead | self._beam_stop(q, 0.55)
        self._counts_per_second = np.where(shadow, 0.02, SAMPLES[sample](q))
        self._title = f"Simulated {sample}"

    def expose(self, seconds: float) -> NDArray[np.int32]:
        """One frame, (rows, columns), counts; -1 in gaps, -2 in dead pixels."""
        frame = self._random.poisson(self._counts_per_second * seconds).astype(np.int32)
        frame[self._gap] = GAP
        frame[self._dead] = DEAD
        return frame

    def calibration(self) -> dict[str, object]:
        """The content of the calibration file."""
        geometry = self.geometry
        return {
            "Title": self._title,
            "Geometry": {
                "BeamCenter": list(geometry.beam_center),
                "DedectorDistanceMM": geometry.distance_mm,
                "PixelSizeMicroM": [geometry.pixel_um],
                "Imagesize": list(geometry.image_size),
                "Tilt": {"TiltAngleDeg": geometry.tilt_degrees, "TiltRotDeg": geometry.tilt_rotation_degrees},
            },
            "Wavelength": geometry.wavelength_angstrom,
            "Masks": [
                {
                    "MaskFile": MASK_NAME,
                    "Oversampling": geometry.oversampling,
                    "PixelPerRadialElement": geometry.pixels_per_bin,
                }
            ],
        }

    def _beam_stop(self, q: NDArray[np.float64], edge: float) -> NDArray[np.bool_]:
        """The disc in front of the direct beam up to q = `edge` nm^-1, and the arm that holds it from below."""
        rows, columns = q.shape
        center_row, center_column = rows - self.geometry.beam_center[0], self.geometry.beam_center[1]
        beside = np.abs(np.arange(columns) + 0.5 - center_column) < edge * columns / 80
        arm = (np.arange(rows) > center_row)[:, np.newaxis] & beside[np.newaxis, :]
        stopped: NDArray[np.bool_] = (q < edge) | arm
        return stopped


@dataclass(frozen=True)
class _Settings:
    folder: Path
    rate_hz: float
    keep: int
    seed: int
    shape: tuple[int, int]
    format: str
    sample: str
    prepared: int
    logs: bool
    dcss: str
    shutter: str


async def run(port: int, options: Mapping[str, object]) -> None:
    """Write images until cancelled.

    Args:
        port: not used: a folder has none.
        options: `folder` (made if missing), `rate_hz` (1; an exposure lasts one period), `keep` (20 newest files),
            `seed` (0), `shape` ("256x320": rows x columns; "1043x981" is a full detector), `format` (tif, cbf, edf),
            `sample` (behenate, spheres), `prepared` (0; so many frames are exposed once and written in turn: the noise
            of a frame of a full detector takes 60 ms, more than there is at high rates), `logs` (false: the logs of
            detector and beamline, too, and the `merge.json` that merges them), `dcss` and `shutter` (HOST:PORT for
            clients of a DCSS, and the name of its shutter: images are taken while that is open only).
    Raises:
        ConfigurationError: wrong options, all of them.
    """
    settings = _settings(options)
    detector = SilverBehenate(settings.shape, settings.seed, settings.sample)
    await asyncio.to_thread(_prepare, settings.folder, detector)
    logs = None
    if settings.logs:
        logs = LiveLogs(settings.folder, Beamline(time.time(), AHEAD_SECONDS), settings.keep)
        await asyncio.to_thread(logs.prepare)
    beam = asyncio.Event()
    if not settings.dcss:
        beam.set()
        await _take_images(settings, detector, logs, beam)

    def shutter_changed(name: str, is_open: bool) -> None:
        if name == settings.shutter:
            (beam.set if is_open else beam.clear)()

    listening = asyncio.create_task(DcssListener(settings.dcss, shutter_changed).run(), name="shutter")
    try:
        await _take_images(settings, detector, logs, beam)
    finally:
        listening.cancel()


async def _take_images(
    settings: _Settings, detector: SilverBehenate, logs: LiveLogs | None, beam: asyncio.Event
) -> None:
    """One after the other while there is beam, for ever."""
    period = 1.0 / settings.rate_hz
    frames = [await asyncio.to_thread(detector.expose, period) for _ in range(settings.prepared)]
    number = max(_numbers(settings.folder), default=0)
    due = time.monotonic()
    while True:
        if not beam.is_set():
            await beam.wait()
            due = time.monotonic() + period
            await asyncio.sleep(period)  # the exposure; it is lost when the shutter closes before its end
            continue
        number += 1
        frame = frames[number % len(frames)] if frames else await asyncio.to_thread(detector.expose, period)
        await asyncio.to_thread(_write_next, settings, frame, number, logs)
        due = max(due + period, time.monotonic())
        await asyncio.sleep(due - time.monotonic())


def write_image(path: Path, frame: NDArray[np.int32], exposure_seconds: float, timestamp: float) -> None:
    """Write a frame with the header of a PILATUS detector; the suffix (.tif, .cbf, .edf) chooses the format."""
    date = datetime.fromtimestamp(timestamp)
    entries = {
        "Pixel_size": "172e-6 m x 172e-6 m",
        "Exposure_time": f"{exposure_seconds:.7f} s",
        "Exposure_period": f"{exposure_seconds:.7f} s",
        "Count_cutoff": "1080457 counts",
        "Wavelength": "1.54 A",
    }
    comments = [f"# {date.isoformat(timespec='milliseconds')}", *(f"# {key} {value}" for key, value in entries.items())]

    def write(part: Path) -> None:
        if path.suffix == ".tif":
            tifffile.imwrite(
                part,
                frame,
                description="\r\n".join(comments),
                datetime=date,
                software="diptych",
                metadata=None,
                extratags=[(272, "s", 0, "PILATUS3 simulated", True)],
            )
        elif path.suffix == ".cbf":
            contents = {
                "_array_data.header_convention": "PILATUS_1.2",
                "_array_data.header_contents": "\r\n".join(comments),
            }
            CbfImage(data=frame, header=contents).write(str(part))
        else:
            fields = {"ExposureTime": f"{exposure_seconds:.7f}", "Date": date.isoformat(timespec="milliseconds")}
            EdfImage(data=frame, header=fields).write(str(part))

    _appear(path, write)


def _appear(path: Path, write: Callable[[Path], object]) -> None:
    """Let a file appear complete: written under a hidden name, then renamed."""
    part = path.with_name(f".{path.name}.part")
    try:
        write(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _prepare(folder: Path, detector: SilverBehenate) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _appear(folder / MASK_NAME, lambda part: part.write_bytes(encode_fit2d_mask(detector.mask)))
    text = json.dumps(detector.calibration(), indent=2)
    _appear(folder / CALIBRATION_NAME, lambda part: part.write_text(text))


def _write_next(settings: _Settings, frame: NDArray[np.int32], number: int, logs: LiveLogs | None) -> None:
    seconds = 1.0 / settings.rate_hz
    path = settings.folder / f"agbeh_{number:05d}.{settings.format}"
    now = time.time()
    if logs is not None:  # before the image: who sees it finds its logs
        seconds = logs.free_seconds(now, seconds)
        logs.add(Exposed(path.name, now - seconds, seconds))
    write_image(path, frame, seconds, now - seconds)
    old = number - settings.keep
    path.with_name(f"agbeh_{old:05d}.{settings.format}").unlink(missing_ok=True)
    if number % settings.keep == 0:  # what an earlier run has left
        for left, file in _numbers(settings.folder).items():
            if left <= old:
                file.unlink(missing_ok=True)


def _numbers(folder: Path) -> dict[int, Path]:
    """The images that a simulator wrote into a folder, by number."""
    return {int(match[1]): file for file in folder.iterdir() if (match := _NAME.fullmatch(file.name))}


def _scattering(q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Counts per pixel and s: rings at multiples of 2 pi / d on a small-angle background that falls with q^-4."""
    first = 2.0 * math.pi / (SPACING_ANGSTROM / 10.0)
    rings = sum(300.0 / n * np.exp(-0.5 * ((q - n * first) / 0.03) ** 2) for n in range(1, 12))
    total: NDArray[np.float64] = 4.0 + 400.0 / (1.0 + (q / 0.3) ** 2) ** 2 + rings
    return total


def _spheres(q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Counts per pixel and s of spheres whose radius varies by 10 %: Guinier's law at low q, Porod's q^-4 at high q.

    Source: Lord Rayleigh, Proc. R. Soc. A 84, 25 (1911): the form factor of a sphere.
    """
    total = np.zeros_like(q)
    for share in np.linspace(-2.0, 2.0, 9):
        radius = SPHERE_RADIUS_NM * (1.0 + 0.1 * share)
        x = np.maximum(q * radius, 1e-3)
        amplitude = 3.0 * (np.sin(x) - x * np.cos(x)) / x**3
        total += math.exp(-0.5 * share * share) * (radius / SPHERE_RADIUS_NM) ** 6 * amplitude**2
    counts: NDArray[np.float64] = 0.5 + 20_000.0 * total / 4.0
    return counts


#: Name -> counts per pixel and s at q, nm^-1.
SAMPLES: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "behenate": _scattering,
    "spheres": _spheres,
}


def _gaps(shape: tuple[int, int], scale: float) -> NDArray[np.bool_]:
    """True between the modules, (rows, columns)."""
    lines = []
    for length, module, gap in zip(shape, _MODULE, _GAPS, strict=True):
        size, space = max(1, round(module * scale)), max(1, round(gap * scale))
        lines.append(np.arange(length) % (size + space) >= size)
    return lines[0][:, np.newaxis] | lines[1][np.newaxis, :]


def _settings(options: Mapping[str, object]) -> _Settings:
    problems = [f"unknown option {name}" for name in options.keys() - _Settings.__dataclass_fields__.keys()]

    def number(name: str, default: float, lowest: float, highest: float) -> float:
        text = options.get(name, default)
        try:
            value = float(str(text))
        except ValueError:
            value = math.nan
        if not lowest <= value <= highest:
            problems.append(f"{name} = {text} is not a number in [{lowest:g}, {highest:g}]")
            return default
        return value

    shape = re.fullmatch(r"([1-9]\d{1,3}) *x *([1-9]\d{1,3})", str(options.get("shape", "256x320")))
    if shape is None:
        problems.append(f'shape = {options["shape"]} is not rows x columns of 10 to 9999 px, such as "256x320"')
    kind = str(options.get("format", "tif"))
    if kind not in ("tif", "cbf", "edf"):
        problems.append(f"format = {kind} is not tif, cbf or edf")
    sample = str(options.get("sample", "behenate"))
    if sample not in SAMPLES:
        problems.append(f"sample = {sample} is not {' or '.join(SAMPLES)}")
    logs = str(options.get("logs", "false")).lower()
    if logs not in ("true", "false"):
        problems.append(f"logs = {logs} is not true or false")
    if not options.get("folder"):
        problems.append("folder is missing: where the images appear")
    settings = _Settings(
        folder=Path(str(options.get("folder", ""))),
        rate_hz=number("rate_hz", 1.0, 1e-3, 1e3),
        keep=int(number("keep", 20, 1, 1e6)),
        seed=int(number("seed", 0, 0, 2**63)),
        shape=(int(shape[1]), int(shape[2])) if shape else (256, 320),
        format=kind,
        sample=sample,
        prepared=int(number("prepared", 0, 0, 1000)),
        logs=logs == "true",
        dcss=str(options.get("dcss", "")),
        shutter=str(options.get("shutter", "shutter")),
    )
    if problems:
        raise ConfigurationError("simulator saxs", sorted(problems))
    return settings
