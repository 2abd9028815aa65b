"""Some images of a run, read, integrated and written: what runs in a worker process, or in a thread."""

from __future__ import annotations

import json
import os
import platform
import string
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.core.dask_executor import UnfitWorkerError
from devices.core.errors import BadValueError, DiptychError, reason
from devices.drivers.chi_file import encode_radial, encode_slice, write_whole
from devices.drivers.detector_image import DetectorImage, read_detector_image
from devices.pipelines.saxs_parameters import IntegralParameters
from devices.saxs.plan import Plan
from devices.saxs.results import Curve
from devices.saxs.run import Run, kept_run

KEPT_PLANS: Final = 2
LETTERS: Final = string.ascii_letters


class Version(NamedTuple):
    """What changes when a file is written to or replaced."""

    modified_ns: int
    size: int


class Job(NamedTuple):
    """One image of a run.

    Args:
        output: the path of its results without suffix.
        known: the version that has a result already.
        keeps_old: an existing text result is left as it is, and the image passed over.
    """

    image: str
    output: str
    known: Version | None = None
    keeps_old: bool = False


@dataclass(frozen=True)
class ImageDone:
    """An image that was integrated.

    Args:
        row: its row in the curves of the batch.
        taken: when it was taken by its header, s since 1970; else when it was written.
        exposure_seconds: None when the file does not say.
        parameters: of each curve; None for slices and curves by azimuth.
    """

    job: Job
    version: Version
    row: int
    taken: float
    exposure_seconds: float | None
    has_own_time: bool
    parameters: tuple[IntegralParameters | None, ...]


@dataclass(frozen=True)
class ImageFailed:
    """An image that was not integrated: why, and whether it is the result that could not be written."""

    job: Job
    error: DiptychError
    is_output: bool = False

    @property
    def why(self) -> str:
        return f"{reason(self.error)}: {self.error}"


@dataclass(frozen=True)
class ImagePassed:
    """An image that has its result already."""

    job: Job


@dataclass(frozen=True, eq=False)
class Batch:
    """What became of some images.

    Args:
        outcomes: in the order of the jobs; fewer when the run was stopped.
        curves: of the images that were done, with one row for each; ``intensity`` and ``sigma`` are (images, bins).
        frame: the last image as read, when it was asked for.
    """

    outcomes: tuple[ImageDone | ImageFailed | ImagePassed, ...]
    curves: tuple[Curve, ...] = ()
    frame: NDArray[Any] | None = None

    @property
    def done(self) -> list[ImageDone]:
        return [each for each in self.outcomes if isinstance(each, ImageDone)]


def prepare(run_folder: str) -> tuple[str, ...]:
    """Tabulate the integrators of a run, for this process; the names of its curves.

    Raises:
        ConfigurationError, BadValueError, ProtocolError: calibration or masks are wrong.
    """
    return _plan(run_folder)[1].names


def integrate_batch(
    run_folder: str, jobs: Sequence[Job], writes_text: bool, max_bytes: int, wants_frame: bool
) -> Batch:
    """Read, integrate and perhaps write some images of the run that is kept in a folder.

    Args:
        writes_text: whether each curve is written as ``.chi``.
        max_bytes: larger files are refused.
        wants_frame: whether the frame of the last image is returned, too.
    """
    run, plan, head = _plan(run_folder)
    outcomes: list[ImageDone | ImageFailed | ImagePassed] = []
    rows: list[tuple[Curve, ...]] = []
    frame = None
    for job in jobs:
        if run.stop_file.exists():
            break
        try:
            version = version_of(job.image)
            if version == job.known or (job.keeps_old and text_file(job.output, plan.names[0]).exists()):
                outcomes.append(ImagePassed(job))
                continue
            image = read_detector_image(run.allowed.resolve(job.image), max_bytes)
            curves = plan.curves(image.data)
        except DiptychError as error:
            outcomes.append(ImageFailed(job, error))
            continue
        if writes_text:
            try:
                _write(job.output, head, curves)
            except BadValueError as error:
                outcomes.append(ImageFailed(job, error, is_output=True))
                continue
        outcomes.append(_done(job, version, len(rows), image, curves))
        rows.append(curves)
        if wants_frame:
            frame = image.data
    return Batch(tuple(outcomes), _stacked(rows), frame)


def version_of(path: str) -> Version:
    """The version of a file.

    Raises:
        BadValueError: it cannot be looked at.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise BadValueError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # a NUL in the path
        raise BadValueError(f"{path!r} is not a path: {error}") from error
    return Version(status.st_mtime_ns, status.st_size)


def text_file(output: str, name: str) -> Path:
    """The text file of a curve: ``Radial0`` has the name of its image, the others tell kind and index."""
    return Path(f"{output}.chi" if name == "Radial0" else f"{output}_c{name[0]}{name.lstrip(LETTERS)}.chi")


_building = threading.Lock()


def _plan(run_folder: str) -> tuple[Run, Plan, str]:
    with _building:  # two threads must not tabulate the same
        return _kept_plan(run_folder)


@lru_cache(maxsize=KEPT_PLANS)
def _kept_plan(run_folder: str) -> tuple[Run, Plan, str]:
    kept = Path(run_folder)
    if not kept.parent.is_dir():
        raise UnfitWorkerError(f"{platform.node()} does not see {kept.parent}")
    run = kept_run(kept)
    if run is None:
        raise BadValueError(f"{run_folder}: the run has been stopped")
    return run, run.plan(), json.dumps(run.document)


def _done(job: Job, version: Version, row: int, image: DetectorImage, curves: Sequence[Curve]) -> ImageDone:
    own = image.timestamp
    parameters = tuple(curve.parameters for curve in curves)
    taken = version.modified_ns / 1e9 if own is None else own
    return ImageDone(job, version, row, taken, image.exposure_seconds, own is not None, parameters)


def _write(output: str, head: str, curves: Sequence[Curve]) -> None:
    for curve in curves:
        columns = curve.labels, curve.x, curve.intensity, curve.sigma
        if curve.kind == "Slice":
            content = encode_slice(json.dumps(curve.settings), *columns)
        else:
            parameters = curve.parameters
            named = {"I0": parameters.i0, "I1": parameters.i1, "I2": parameters.i2} if parameters else None
            content = encode_radial(head, named, *columns)
        write_whole(text_file(output, curve.name), content)


def _stacked(rows: Sequence[tuple[Curve, ...]]) -> tuple[Curve, ...]:
    """The curves of several images as one for each kind, with a row for each image."""
    return tuple(
        Curve(
            first.kind,
            first.index,
            first.settings,
            first.x,
            np.stack([row[place].intensity for row in rows]),
            np.stack([row[place].sigma for row in rows]),
            first.labels,
        )
        for place, first in enumerate(rows[0] if rows else ())
    )
