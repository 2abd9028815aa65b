"""One merge from its sources to its files: images, detector logs and beamline logs as one table."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError, DiptychError, ProtocolError
from devices.drivers.allowed_folders import AllowedFolders
from devices.drivers.chi_file import read_chi, write_whole
from devices.drivers.detector_image import MAX_FILE_BYTES, read_detector_image
from devices.drivers.merged_hdf_file import ImageCurve, write_merged_hdf
from devices.drivers.merged_table_file import encode_csv, encode_igor, encode_json, encode_workbook, time_text
from devices.drivers.saxs_merge_configuration import IMAGE, MergeConfiguration
from devices.pipelines.saxs_merge import Log, TimeTable, first_opening_us, merged, shutter_changes
from devices.saxs.batch import text_file
from devices.saxs.merge_sources import Images, LogBytes, Report, read_images, read_log, shifted

ZERO_IMAGE: Final = "zero_1M_00000.tif"
LOG: Final = "consolidate_log.log"
#: Points that a plot of shutter and images shows at most, of each.
MOST_PLOTTED: Final = 5_000
_READ_ATTEMPTS: Final = 5
_READ_RETRY_S: Final = 0.2


@dataclass(frozen=True)
class Results:
    """The curves that the images have already.

    Args:
        files: the result files by kind of curve.
        outputs: of each image with text files, the path of its results without suffix.
        curves_file: the HDF5 file of the queue; None: the curves are in text files.
    """

    files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    curves_file: Path | None = None


@dataclass(frozen=True)
class MergeJob:
    """What a merge needs.

    Args:
        folder: of the images.
        allowed: what paths are confined to; results to its first folder.
        logs: by table of the configuration.
        output: how the paths of results begin, in the place of what the configuration says; confined to nothing.
    """

    folder: Path
    allowed: AllowedFolders
    configuration: MergeConfiguration
    logs: Mapping[str, Sequence[LogBytes]]
    results: Results = field(default_factory=Results)
    output: Path | None = None

    @property
    def base(self) -> Path:
        """Where results go, as the beginning of their paths.

        Raises:
            NotAllowedError: the configuration leads outside of the base folder.
        """
        if self.output is not None:
            return self.output
        stem = f"{self.configuration.output}{self.folder.name}"
        return AllowedFolders(self.allowed.folders[:1]).resolve(self.folder / stem)


@dataclass(frozen=True, eq=False)
class Merged:
    """What a merge gave.

    Args:
        document: what a Saxsdog client is told: ``{"syncplot": {...}, "fileslist": {...}}``.
        files: that were written.
    """

    table: TimeTable
    document: Mapping[str, Any]
    files: tuple[Path, ...]


def merge(job: MergeJob, report: Report) -> Merged:
    """Read, join, write; in a thread.

    Raises:
        AbortedError: by `report`. BadValueError, ProtocolError, NotAllowedError: what cannot be merged, and why.
    """
    lines: list[str] = []

    def note(percent: float, text: str) -> None:
        if text:
            lines.append(text)
        report(percent, text)

    base = job.base
    try:
        base.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadValueError(f"{base.parent} cannot be made: {error.strerror}") from error
    try:
        return _merge(job, base, note)
    except DiptychError as error:
        lines.append(f"failed: {error}")
        raise
    finally:
        write_whole(base.parent / LOG, "".join(f"{line}\n" for line in lines).encode(errors="replace"))


def _merge(job: MergeJob, base: Path, report: Report) -> Merged:
    configuration = job.configuration
    logs = [read_log(table, job.logs[table.name], report) for table in configuration.tables]
    images = read_images(job.folder, job.allowed, configuration.zone, report)
    logs, shift_us = _correlated(configuration, logs, images, report)
    for log in logs:
        _say_coverage(log, images, report)
    seconds = images.exposure_us / 1e6
    columns = {f"start [s] ({IMAGE})": images.start_us / 1e6, f"exposure [s] ({IMAGE})": seconds, **images.columns}
    table = merged(images.start_us, images.exposure_us, columns, logs)
    report(60.0, f"{len(table.time_us)} rows of {len(table.columns)} columns")
    files = _write_tables(configuration, base, table, report)
    for kind, paths in job.results.files.items():
        file = base.with_name(f"{base.name}{kind}.txt")
        write_whole(file, "".join(f"{path}\n" for path in paths).encode(errors="surrogateescape"))
        files.append(file)
    if "hdf" in configuration.formats:
        file = base.with_name(f"{base.name}.hdf")
        write_merged_hdf(file, table, _frames(job, images, report), _curves(job, images, report))
        files.append(file)
        report(99.0, f"{file} is written")
    lists = {kind: list(paths) for kind, paths in job.results.files.items()}
    document = {
        "syncplot": _plot(images, logs, shift_us),
        "fileslist": lists | {"Merged": [str(each) for each in files]},
    }
    return Merged(table, document, tuple(files))


def _correlated(
    configuration: MergeConfiguration, logs: Sequence[Log], images: Images, report: Report
) -> tuple[list[Log], int]:
    """The logs in the clock of the detector, and by how much the first of them was shifted, us.

    What one shutter tells holds for the logs that have no correlation of their own: they are of the same beamline.
    """
    shifts: dict[str, int] = {}
    for table, log in zip(configuration.tables, logs, strict=True):
        if table.correlation is None:
            continue
        opening_us = first_opening_us(log.table)
        if opening_us is None:
            raise BadValueError(f"{table.name}: the shutter never opens, so it tells no time shift")
        shifts[table.name] = _reference_us(table.correlation, images) - opening_us
        report(56.0, f"{table.name}: the shutter first opens at {time_text(opening_us)}: {_shift(shifts[table.name])}")
    shift_us = next(iter(shifts.values()), 0)
    return [shifted(log, shifts.get(log.name, shift_us)) for log in logs], shift_us


def _shift(shift_us: int) -> str:
    return f"its clock is shifted by {shift_us / 1e6:+.6f} s"


def _reference_us(correlation: str, images: Images) -> int:
    if correlation == "first":
        return int(images.start_us.min())
    zero = [place for place, path in enumerate(images.paths) if ZERO_IMAGE in os.path.basename(path)]
    if not zero:
        raise BadValueError(f"ZeroImageCorrelation: there is no image {ZERO_IMAGE}")
    return int(images.start_us[zero].min())


def _say_coverage(log: Log, images: Images, report: Report) -> None:
    times = log.table.time_us
    if not len(times):
        report(57.0, f"{log.name}: there is no row")
        return
    before = int(np.count_nonzero(images.start_us < times[0]))
    after = int(np.count_nonzero(images.start_us + images.exposure_us > times[-1]))
    report(57.0, f"{log.name}: from {time_text(int(times[0]))} to {time_text(int(times[-1]))}")
    if before or after:
        report(57.0, f"{log.name}: {before} images begin before it, and have nothing; {after} end after it, and have "
               "its last values")  # fmt: skip


def _write_tables(configuration: MergeConfiguration, base: Path, table: TimeTable, report: Report) -> list[Path]:
    encoders = {"csv": ("csv", encode_csv), "json": ("json", encode_json), "exel": ("xlsx", encode_workbook)}
    wanted = [("_igor.csv", encode_igor)]
    wanted += [(f".{suffix}", encode) for name, (suffix, encode) in encoders.items() if name in configuration.formats]
    files = []
    for number, (ending, encode) in enumerate(wanted):
        file = base.with_name(base.name + ending)
        write_whole(file, encode(table, lambda: report(61.0, "")))
        files.append(file)
        report(61.0 + 3.0 * number, f"{file} is written")
    return files


def _frames(job: MergeJob, images: Images, report: Report) -> Iterator[tuple[str, NDArray[Any]]]:
    for number, path in enumerate(images.paths if job.configuration.includes_images else ()):
        report(72.0 + 14.0 * number / len(images.paths), "")
        try:
            yield path, read_detector_image(job.allowed.resolve(path), MAX_FILE_BYTES).data
        except DiptychError as error:
            report(72.0, f"not in the HDF5 file: {error}")


def _curves(job: MergeJob, images: Images, report: Report) -> Iterator[ImageCurve]:
    if not job.configuration.includes_curves:
        return
    found = _text_curves if job.results.curves_file is None else _file_curves
    known = set(images.paths)
    missing = known.copy()
    for number, curve in enumerate(found(job, report)):
        if curve.image in known:
            report(86.0 + min(13.0, 13.0 * number / len(known)), "")
            missing.discard(curve.image)
            yield curve
    if missing:
        report(98.0, f"{len(missing)} images have no curves yet")


def _text_curves(job: MergeJob, report: Report) -> Iterator[ImageCurve]:
    for image, output in job.results.outputs.items():
        for kind in job.results.files:
            file = text_file(output, kind)
            if not file.exists():
                continue
            try:
                head, columns = read_chi(file)
            except DiptychError as error:
                report(86.0, f"not in the HDF5 file: {error}")
            else:
                yield ImageCurve(image, kind, columns, head[0])


def _file_curves(job: MergeJob, report: Report) -> Iterator[ImageCurve]:
    assert job.results.curves_file is not None
    with _copied(job.results.curves_file, job.base) as file:
        entry = file["entry"]
        images = [path.decode(errors="replace") for path in entry["file"][...]]
        newest = {image: row for row, image in enumerate(images)}  # one that was done again has several rows
        settings = entry["process/note"].asstr()[()]
        for kind in (name for name in entry if isinstance(entry[name], h5py.Group) and "I" in entry[name]):
            group = entry[kind]
            x = group["Q" if "Q" in group else "phi"][...]
            for image, row in newest.items():
                yield ImageCurve(image, kind, np.stack([x, group["I"][row], group["Idev"][row]]), settings)


@contextlib.contextmanager
def _copied(path: Path, base: Path) -> Iterator[h5py.File]:
    """A copy of a file that is being written to: HDF5 would not let it be opened for both."""
    copy = base.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        for attempt in range(_READ_ATTEMPTS):
            try:
                shutil.copyfile(path, copy)
                file = h5py.File(copy, "r")
                break
            except OSError as error:  # it was copied while it was written to
                if attempt == _READ_ATTEMPTS - 1:
                    raise ProtocolError(f"{path} cannot be read: {error}") from error
                time.sleep(_READ_RETRY_S)
        with file:
            yield file
    finally:
        copy.unlink(missing_ok=True)


def _plot(images: Images, logs: Sequence[Log], shift_us: int) -> dict[str, Any]:
    """Exposures and shutter in one clock, for a look at whether they fit."""
    order = np.argsort(images.start_us, kind="stable")[:MOST_PLOTTED]
    changes = next((found for log in logs if len((found := shutter_changes(log.table))[0])), None)
    times, states = (np.empty(0), np.empty(0)) if changes is None else changes
    return {
        "Images": {
            "time": (images.start_us[order] / 1e6).tolist(),
            "value": (images.exposure_us[order] / 1e6).tolist(),
        },
        "Shutter": {"time": (times[:MOST_PLOTTED] / 1e6).tolist(), "value": states[:MOST_PLOTTED].tolist()},
        "CalculatedTimeshift": shift_us / 1e6,
    }
