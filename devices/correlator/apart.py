"""Work beside the live search, in a process of its own: cubes in files are searched, networks are trained."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError
from devices.correlator.candidate_log import plain
from devices.correlator.finder import Finder
from devices.correlator.gulp import Gulp
from devices.correlator.job import Job
from devices.correlator.plan import Plan
from devices.correlator.properties import CorrelatorProperties
from devices.pipelines.candidates.candidate import Candidate

UNIX_EPOCH_MJD: Final = 40587.0


def read_cube(path: Path) -> NDArray[np.float32]:
    """A cube of a .npy, .npz (its only array, or ``cube``) or FITS file; axes (channel, sample, y, x).

    Raises:
        BadValueError: there is no such cube in it.
    """
    try:
        if path.suffix in (".fits", ".fit", ".fts"):
            from astropy.io import fits

            found = np.asarray(fits.getdata(path))
        else:
            loaded = np.load(path, allow_pickle=False, mmap_mode="r")
            if isinstance(loaded, np.lib.npyio.NpzFile):
                names = loaded.files
                found = loaded["cube" if "cube" in names else names[0]]
            else:
                found = loaded
    except (OSError, ValueError, IndexError) as error:
        raise BadValueError(f"{path}: {error}") from error
    if found.ndim != 4 or found.dtype.kind not in "iuf":
        raise BadValueError(f"{path}: shape {found.shape} of {found.dtype}, not numbers with (channel, sample, y, x)")
    return np.array(found, np.float32)


def search_file(finder: Finder, given: CorrelatorProperties, path: str, plan: Plan) -> dict[str, Any]:
    """Search a cube in a file, gulp by gulp where it has more samples than one; what was found.

    Raises:
        BadValueError: it is none, or has another shape than gulps of this server.
    """
    cube = read_cube(Path(path))
    channels, samples, rows, columns = cube.shape
    if (channels, rows, columns) != (given.nchans, given.gridsize, given.gridsize):
        raise BadValueError(
            f"{path}: {channels} sub-bands of {rows} x {columns} pixels, "
            f"not {given.nchans} of {given.gridsize} x {given.gridsize}"
        )
    if samples % given.nsamps:
        raise BadValueError(f"{path}: {samples} samples are not gulps of {given.nsamps}")
    began = time.time()
    candidates: list[Candidate] = []
    seconds = greatest = 0.0
    for number in range(samples // given.nsamps):
        part = np.ascontiguousarray(cube[:, number * given.nsamps : (number + 1) * given.nsamps])
        passed_s = number * given.nsamps * given.sample_s
        gulp = Gulp(
            number=number,
            isot=time.strftime("%Y-%m-%dT%H:%M:%S.000", time.gmtime(began + passed_s)),
            mjd=UNIX_EPOCH_MJD + (began + passed_s) / 86400.0,
            uv_diag_m=math.nan,
            dec_deg=math.nan,
            cube=np.empty((0, 0, 0, 0), np.float32),
            slot=0,
            present=np.asarray(np.isfinite(part).all(axis=(1, 2, 3)), np.bool_),
            began_unix=began,
            ended_unix=began,
        )
        found = finder(part, Job(gulp, number > 0, plan))
        candidates += found.candidates
        seconds += found.seconds["total"]
        greatest = max(greatest, float(found.snr.max()))
    return {
        "file": path,
        "gulps": samples // given.nsamps,
        "seconds": round(seconds, 4),
        "greatest_snr": round(greatest, 3),
        "candidates": [plain(candidate) for candidate in candidates],
    }


def train_network(
    path: str, steps: int, seed: int, threads: int, progress: Callable[[float], None] = lambda part: None
) -> dict[str, Any]:
    """Train the small network, write its weights, and return the record of its training."""
    import json

    from devices.pipelines.candidates.classify import save_network
    from devices.pipelines.candidates.train import TrainSettings, dated, train

    settings = TrainSettings(seed=seed, steps=steps, threads=threads)
    network = dated(train(settings, progress), time.strftime("%Y-%m-%d", time.gmtime()))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    save_network(path, network)
    return {"weights": path, **json.loads(network.record)}
