"""What a merge reads: the images of a folder by their headers, the logs of detector and beamline."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError, ConfigurationError, DiptychError, NotAllowedError
from devices.drivers.allowed_folders import AllowedFolders
from devices.drivers.beamline_log import MAX_BYTES, parse_beamline_log
from devices.drivers.detector_log import MAX_BYTES as MAX_DETECTOR_LOG_BYTES
from devices.drivers.detector_log import Exposure, parse_detector_log
from devices.drivers.image_header import ImageHeader, measured, read_image_header
from devices.drivers.limited_file import read_limited
from devices.drivers.log_cells import Column, column_of, plain_text, unique_names
from devices.drivers.saxs_merge_configuration import IMAGE, IMAGE_LOG, LogTable, MergeConfiguration
from devices.pipelines.saxs_merge import Log, TimeTable, is_counting, time_table
from devices.saxs.folder_watch import images_below
from devices.saxs.results import Attachment

MOST_IMAGES: Final = 1_000_000
MAX_IMAGE_COLUMNS: Final = 1000
#: Images of another detector, which are no part of a SAXS series.
_OTHER_DETECTOR: Final = "Pil100k"
#: The detector's clock outside of these is a fault of its header.
_YEARS: Final = (1990, 2200)

#: Called with the progress, 0..100 %, and a line for the client, or ""; raises AbortedError when all shall end.
Report = Callable[[float, str], None]


@dataclass(frozen=True)
class LogBytes:
    """A log that came with the request (`data`), or lies at `path`."""

    subject: str
    data: bytes | None = None
    path: Path = field(default_factory=Path)

    def read(self) -> bytes:
        return self.data if self.data is not None else read_limited(self.path, MAX_BYTES)


def found_logs(
    configuration: MergeConfiguration, attachments: Sequence[Attachment], allowed: AllowedFolders
) -> dict[str, list[LogBytes]]:
    """The logs that a configuration names, by table.

    Args:
        attachments: what came with the request; a log is looked for there first, then at RemotePath, then at LocalPath.
        allowed: what paths are confined to.
    Raises:
        NotAllowedError: a path leads outside. ConfigurationError: files that are nowhere, all of them.
    """
    given = {each.filename: each.data for each in attachments}
    problems: list[str] = []
    found: dict[str, list[LogBytes]] = {}
    for index, table in enumerate(configuration.tables):
        found[table.name] = []
        for place, file in enumerate(table.files):
            if file.local and file.local in given:
                found[table.name].append(LogBytes(plain_text(file.local), given[file.local]))
                continue
            paths = [allowed.resolve(name) for name in (file.remote, file.local) if name]
            path = next((each for each in paths if os.path.isfile(each)), None)
            if path is not None:
                found[table.name].append(LogBytes(path.name, path=path))
            else:
                names = " and ".join(name for name in (file.remote, file.local) if name)
                problems.append(f"LogDataTables[{index}].Files[{place}]: {names}: no such file, and none came along")
    if problems:
        raise ConfigurationError("mergeconf", problems)
    return found


def read_log(table: LogTable, files: Sequence[LogBytes], report: Report) -> Log:
    """The rows of a table's files, with the offsets of its clock.

    Raises:
        ProtocolError: a file is no log. BadValueError: it cannot be read.
    """
    parts = []
    for file in files:
        log = parse_beamline_log(file.read(), file.subject, table.epoch)
        offset_us = round(table.offset_seconds * 1e6)
        parts.append((log.time_us + offset_us, log.columns))
        cut = "; its last line is not complete yet" if log.is_cut else ""
        report(0.0, f"{table.name}: {file.subject}: {len(log.time_us)} rows, {len(log.columns)} columns{cut}")
    rows = time_table(parts)
    counting = table.counting if table.counting is not None else tuple(filter(is_counting, rows.columns))
    unknown = [name for name in counting if name not in rows.columns]
    if unknown:
        raise BadValueError(f"{table.name}: CountingColumns: there is no column {', '.join(unknown)}")
    return Log(table.name, rows, counting)


@dataclass(frozen=True, eq=False)
class Images:
    """The images of a folder, in the order of their paths.

    Args:
        paths: (images,).
        start_us, exposure_us: (images,), us, in the detector's clock.
        columns: of headers and detector logs, (images,).
    """

    paths: Sequence[str]
    start_us: NDArray[np.int64]
    exposure_us: NDArray[np.int64]
    columns: Mapping[str, Column]


def read_images(folder: Path, allowed: AllowedFolders, zone: tzinfo, report: Report) -> Images:
    """The images below a folder, with what their headers and the detector's logs say.

    Those without a date are left out and reported, as are those that cannot be read.

    Raises:
        NotConnectedError: the folder is missing. BadValueError: there are too many images, or none with a time.
    """
    exposures = _detector_logs(folder, allowed, report)
    paths = [path for part in images_below(folder) for path in part if _OTHER_DETECTOR not in path]
    if len(paths) > MOST_IMAGES:
        raise BadValueError(f"{folder}: {len(paths)} images, more than {MOST_IMAGES}")
    kept: list[str] = []
    times: list[tuple[int, int]] = []
    cells: list[dict[str, str]] = []
    matched, without_exposure, left_out = 0, 0, 0
    for number, path in enumerate(paths):
        report(5.0 + 50.0 * number / len(paths), "")
        exposure = exposures.get(path)
        try:
            header = read_image_header(allowed.resolve(path))
            time = _time(header, exposure, zone)
        except DiptychError as error:
            left_out += 1
            if left_out <= 20:
                report(0.0, f"left out: {path}: {error}")
            continue
        matched += exposure is not None
        without_exposure += exposure is None and header.exposure_seconds is None
        kept.append(path)
        times.append(time)
        cells.append(_cells(os.path.relpath(path, folder), header, exposure))
    report(55.0, f"{len(kept)} images, {matched} of them in detector logs; {left_out} left out")
    if without_exposure:
        report(55.0, f"{without_exposure} images have no exposure time: it is taken as 0 s")
    if not kept:
        raise BadValueError(f"{folder}: there is no image with a time")
    start_us, exposure_us = np.array(times, np.int64).T
    return Images(kept, start_us, exposure_us, _columns(cells, report))


def _detector_logs(folder: Path, allowed: AllowedFolders, report: Report) -> dict[str, Exposure]:
    """What detector logs below a folder say of each image, by its path."""
    found: dict[str, Exposure] = {}
    for path in _logs_below(folder):
        report(2.0, "")
        try:
            log = parse_detector_log(read_limited(allowed.resolve(path), MAX_DETECTOR_LOG_BYTES), path)
        except (DiptychError, NotAllowedError) as error:
            report(2.0, f"passed over: {error}")
            continue
        if log is None:
            continue
        report(2.0, f"{os.path.relpath(path, folder)}: {len(log.exposures)} exposures of the detector")
        for problem in log.problems[:20]:
            report(2.0, f"{os.path.relpath(path, folder)}: {problem}")
        for each in log.exposures:
            found[os.path.join(os.path.dirname(path), os.path.basename(each.file))] = each
    return found


def _logs_below(folder: Path) -> Iterator[str]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        yield from (os.path.join(root, name) for name in sorted(files) if name.endswith(".log"))


def _time(header: ImageHeader, exposure: Exposure | None, zone: tzinfo) -> tuple[int, int]:
    """When an exposure began and how long it was, us.

    The detector's log knows best. Of a header, a date among the entries is the begin, that of a TIFF file itself the
    end.
    """
    if exposure is not None:
        length_us = round(exposure.measured_seconds * 1e6)
        return _us(exposure.end, zone) - length_us, length_us
    length_us = round((header.exposure_seconds or 0.0) * 1e6)
    if header.started is not None:
        return _us(header.started, zone), length_us
    if header.written is not None:
        return _us(header.written, zone) - length_us, length_us
    raise BadValueError("neither its header nor a detector log tells when it was taken")


def _us(moment: datetime, zone: tzinfo) -> int:
    if not _YEARS[0] <= moment.year < _YEARS[1]:
        raise BadValueError(f"its date {moment} is outside the years [{_YEARS[0]}, {_YEARS[1]})")
    known = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    return (known - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _cells(name: str, header: ImageHeader, exposure: Exposure | None) -> dict[str, str]:
    cells = {f"filename ({IMAGE})": plain_text(name)}
    if header.written is not None:
        cells[f"DateTime ({IMAGE})"] = str(header.written)
    for key, value in measured(header.entries).items():
        cells.setdefault(f"{plain_text(key)} ({IMAGE})", plain_text(value))
    if exposure is not None:
        cells[f"Time Requested [s] ({IMAGE_LOG})"] = repr(exposure.requested_seconds)
        cells[f"Time Measured [s] ({IMAGE_LOG})"] = repr(exposure.measured_seconds)
        cells[f"End Date Time ({IMAGE_LOG})"] = str(exposure.end)
    return cells


def _columns(cells: Sequence[Mapping[str, str]], report: Report) -> dict[str, Column]:
    names = unique_names(dict.fromkeys(name for each in cells for name in each))
    if len(names) > MAX_IMAGE_COLUMNS:
        report(55.0, f"{len(names)} different header entries: those after the first {MAX_IMAGE_COLUMNS} are left out")
    return {name: column_of([each.get(name) for each in cells]) for name in names[:MAX_IMAGE_COLUMNS]}


def shifted(log: Log, shift_us: int) -> Log:
    """The log with its clock set by a shift."""
    return Log(log.name, TimeTable(log.table.time_us + shift_us, log.table.columns), log.counting)
