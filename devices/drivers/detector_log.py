"""Logs that detectors write beside their images: a line for each with its exposure, its end, and its file.

Columns stand under Time Requested, Time Measured (s), End Date Time and File Name, with spaces between them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from devices.core.errors import ProtocolError
from devices.drivers.image_header import parse_date
from devices.drivers.log_cells import plain_text

MAX_BYTES: Final = 64 << 20
#: A file of another kind is told by its first lines.
_FIRST_LINES: Final = 10
_LONGEST_LINE: Final = 1000
_HEADER: Final = re.compile(r"\s*#?\s*time\s+requested\b.*\bfile\s*name", re.IGNORECASE)
_RULE: Final = re.compile(r"[\s=_+|-]*")
_ROW: Final = re.compile(
    r"""\s*(?P<requested>\d+(?:\.\d*)?(?:[eE][-+]?\d{1,3})?)(?:\s*s)?
        \s+(?P<measured>\d+(?:\.\d*)?(?:[eE][-+]?\d{1,3})?)(?:\s*s)?
        \s+(?P<end>\d{4}[-:/][A-Za-z0-9]{2,3}[-:/]\d\d[T\ ]\s*\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[-+]\d\d:?\d\d)?
                 |[A-Z][a-z]{2}\ [A-Z][a-z]{2}\ +\d{1,2}\ \d\d:\d\d:\d\d\ \d{4})
        \s+(?P<file>\S.*)""",
    re.VERBOSE | re.ASCII,
)


@dataclass(frozen=True)
class Exposure:
    """One line: what was asked for and what it was, s; when it ended, in the detector's time; the image's file."""

    requested_seconds: float
    measured_seconds: float
    end: datetime
    file: str


@dataclass(frozen=True)
class DetectorLog:
    """The lines of a log, and those that are none: ``line 7: ...``."""

    exposures: tuple[Exposure, ...]
    problems: tuple[str, ...] = ()


def parse_detector_log(data: bytes, name: str) -> DetectorLog | None:
    """The lines in the content of a log; None when it is a file of another kind. `name` is what errors call it.

    Raises:
        ProtocolError: it is too large.
    """
    if len(data) > MAX_BYTES:
        raise ProtocolError(f"{name}: {len(data)} bytes, more than {MAX_BYTES}")
    lines = [line.rstrip("\r") for line in data.decode("utf-8-sig", errors="replace").split("\n")]
    if not any(_HEADER.match(line[:_LONGEST_LINE]) or _exposure(line) for line in lines[:_FIRST_LINES]):
        return None
    exposures, problems = [], []
    for number, line in enumerate(lines, 1):
        if _RULE.fullmatch(line) or _HEADER.match(line[:_LONGEST_LINE]):
            continue
        exposure = _exposure(line)
        if exposure is not None:
            exposures.append(exposure)
        else:
            problems.append(f"line {number}: no times, date and file name: {plain_text(line)[:60]!r}")
    return DetectorLog(tuple(exposures), tuple(problems))


def _exposure(line: str) -> Exposure | None:
    row = _ROW.fullmatch(line) if len(line) <= _LONGEST_LINE else None
    if row is None:
        return None
    end = parse_date(re.sub(r"\s+", " ", row["end"]))
    seconds = [float(row["requested"]), float(row["measured"])]
    if end is None or max(seconds) > 1e9:
        return None
    return Exposure(seconds[0], seconds[1], end, plain_text(row["file"]))
