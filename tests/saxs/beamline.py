"""A small SAXS beamline for tests: a detector of 64 x 80 px, its calibration, its images, and the device on them."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from devices.drivers.mask_file import encode_fit2d_mask
from devices.pipelines.saxs_integrate import Integrator
from devices.saxs import SaxsDetector
from devices.simulators.saxs import SilverBehenate, write_image

DETECTOR = SilverBehenate((64, 80), seed=5)
FRAME = DETECTOR.expose(20.0)
FRAME.setflags(write=False)
EXPECTED = Integrator(DETECTOR.geometry, DETECTOR.mask).integrate(FRAME)


def calibration(**changes: Any) -> dict[str, Any]:
    """The calibration, with other entries at the top."""
    document: dict[str, Any] = json.loads(json.dumps(DETECTOR.calibration()))
    document["Masks"][0] |= {"qStart": 0.7, "qStop": 2.5}
    return {**document, "Directory": ["data"], **changes}


def mask_bytes() -> bytes:
    return encode_fit2d_mask(DETECTOR.mask)


def folder(base: Path) -> Path:
    """The base folder with the mask and a folder for images."""
    (base / "data").mkdir(parents=True, exist_ok=True)
    (base / "mask.msk").write_bytes(mask_bytes())
    return base


def image(path: Path, frame: NDArray[np.int32] = FRAME, seconds: float = 1.5) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, frame, seconds, time.time())
    return path


def detector(base: Path, **properties: Any) -> SaxsDetector:
    """A detector whose queues are begun by clients."""
    given = {"folder": str(base), "begins_alone": False, "outputs": "chi", "runs": str(base / ".runs"), **properties}
    return SaxsDetector("saxs/test/1", given)


async def begin(device: SaxsDetector, **changes: Any) -> None:
    await device.run("new_queue", {"calibration": json.dumps(calibration(**changes))})


@contextlib.contextmanager
def small_disk(folder: Path, size: str = "1m") -> Iterator[Path]:
    """A disk that is soon full."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "small", str(folder)]
        subprocess.run(mount, check=True, capture_output=True, text=True, timeout=10.0)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk cannot be made here: {getattr(error, 'stderr', '') or error}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True, timeout=10.0)


def fill(folder: Path) -> Path:
    """Fill a disk; the file that does."""
    filler = folder / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)) == 4096:
            pass
    return filler
