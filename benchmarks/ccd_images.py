"""CCD images: 4096 x 4096 px of 16 bits, 4 amplifiers with 32 columns of overscan each, taken apart and written.

The peers run in turns with ours, on the same disk: a plain write of as many bytes with fsync, and astropy's writeto
of the same extensions with checksums and fsync.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from benchmarks.figure import Figure
from devices.drivers.ccd_fits import write_image
from devices.pipelines.ccd.ccd_image import Card, CcdImage, Group
from devices.pipelines.ccd.deinterlace import LAYOUTS, amplifiers
from devices.pipelines.ccd.detector import FocalPlane, Format, Geometry
from devices.pipelines.ccd.geometry import make_geometry, whole
from devices.pipelines.ccd.wcs import Sky

ROUNDS = 15
#: Why a file takes longer than its bytes.
DISK = "check-sums are reckoned while the disk waits; its own time varies by more"


def run() -> list[Figure]:
    format = Format(4096, 0, 0, 32, 4096)
    geometry = make_geometry(format, FocalPlane(1, 1, 2, 2, (0, 1, 2, 3)), whole(format))
    stream = np.random.default_rng(0).normal(1000.0, 30.0, geometry.pixels).astype(np.uint16)
    return [*_deinterlace(stream, geometry), *_write(stream, geometry)]


def _deinterlace(stream: NDArray[Any], geometry: Geometry) -> list[Figure]:
    room, copy = np.zeros(geometry.amp_shape, stream.dtype), np.zeros_like(stream)
    steps: dict[str, Callable[[], object]] = {
        layout: lambda layout=layout: amplifiers(stream, geometry, layout, (), room)  # type: ignore[misc]
        for layout in LAYOUTS
    }
    took = _in_turns({**steps, "copy": lambda: np.copyto(copy, stream)})
    return [
        Figure(f"CCD: deinterlace 34 MB, {layout.lower()} (peer: a copy)", took[layout], "ms", took["copy"], below=15.0)
        for layout in LAYOUTS
    ]


def _write(stream: NDArray[Any], geometry: Geometry) -> list[Figure]:
    amps = amplifiers(stream, geometry, "INTERLEAVED")
    cards = tuple(Card(f"KEY{n}", n * 1.5, "of a tool") for n in range(50))
    image = CcdImage(amps, geometry, (Group("exposure", cards),), sky=Sky(150.0, 41.0, (2048.0, 2048.0), (-0.3, 0.3)))
    content = stream.tobytes()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder) / "image.fits"

        took = _in_turns(
            {
                "MEF": lambda: write_image(path, image, "MEF"),
                "ASM": lambda: write_image(path, image, "ASM"),
                "raw": lambda: _raw(path, content),
                "astropy": lambda: _astropy(path, image),
            },
            after=path.unlink,
        )
    return [
        Figure(
            "CCD: write MEF, fsync (peer: plain write, fsync)",
            took["MEF"],
            "ms",
            took["raw"],
            at_least=1 / 1.3,
            short=DISK,
        ),
        Figure("CCD: write MEF, fsync (peer: astropy, fsync)", took["MEF"], "ms", took["astropy"]),
        Figure("CCD: write one picture, fsync (peer: plain write, fsync)", took["ASM"], "ms", took["raw"]),
    ]


def _raw(path: Path, content: bytes) -> None:
    with path.open("xb", buffering=0) as file:
        file.write(content)
        os.fsync(file.fileno())


def _astropy(path: Path, image: CcdImage) -> None:
    units = [fits.ImageHDU(amp, name=f"IM{number}") for number, amp in enumerate(image.amps, 1)]
    with path.open("wb") as file:
        fits.HDUList([fits.PrimaryHDU(), *units]).writeto(file, checksum=True)
        file.flush()
        os.fsync(file.fileno())


def _in_turns(steps: dict[str, Callable[[], Any]], after: Callable[[], None] = lambda: None) -> dict[str, float]:
    """The median of each, ms; all are run once before. What is done after each does not count."""
    took: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(ROUNDS + 1):
        for name, step in steps.items():
            begin = time.perf_counter()
            step()
            seconds = time.perf_counter() - begin
            after()
            if number:
                took[name].append(seconds * 1e3)
    return {name: statistics.median(each) for name, each in took.items()}
