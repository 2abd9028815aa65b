"""Logs of a beamline: text with tabs, a line of column names, the time of each row in the first column.

The time is in seconds of an epoch that the file does not name: 1904-01-01 (Mac, LabVIEW) or 1970-01-01 (Unix), in UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import ProtocolError
from devices.drivers.log_cells import Column, column_of, plain_text, unique_names

MAX_BYTES: Final = 256 << 20
MAX_COLUMNS: Final = 1000
MAX_CELLS: Final = 50_000_000
#: From the epoch of Macs to that of Unix, s.
MAC_EPOCH_S: Final = 2_082_844_800
#: A time that is farther from 1970 than this is none, s: integers of microseconds hold it.
_FARTHEST_S: Final = 1e12


@dataclass(frozen=True, eq=False)
class BeamlineLog:
    """The rows of a log, as they stand.

    Args:
        time_us: (rows,), us since 1970-01-01 UTC.
        columns: by name, (rows,): numbers, with NaN where a cell is empty, or texts, with None there.
        is_cut: whether the last line was not complete, and is left out: the logger is still writing.
    """

    time_us: NDArray[np.int64]
    columns: dict[str, Column]
    is_cut: bool = False


def parse_beamline_log(data: bytes, name: str, epoch: Literal["Mac", "Unix"]) -> BeamlineLog:
    """The rows in the content of a log; `name` is what errors call it.

    Raises:
        ProtocolError: it is no such log; the text has the number of the line.
    """
    if len(data) > MAX_BYTES:
        raise ProtocolError(f"{name}: {len(data)} bytes, more than {MAX_BYTES}")
    text = data.decode("utf-8-sig", errors="replace")
    lines = [(number, line.rstrip("\r")) for number, line in enumerate(text.split("\n"), 1)]
    ends_open = bool(lines[-1][1])
    lines = [(number, line) for number, line in lines if line.strip()]
    if not lines:
        raise ProtocolError(f"{name}: line 1: there is no line of column names")
    header = [plain_text(cell) for cell in lines[0][1].split("\t")]
    if len(header) > MAX_COLUMNS or len(header) * len(lines) > MAX_CELLS:
        raise ProtocolError(f"{name}: {len(header)} columns and {len(lines)} lines are more than can be merged")
    if len(header) > 1 and not header[-1]:  # each line ends with a tab
        header.pop()
    if len(header) < 2 or _number(header[0]) is not None:
        raise ProtocolError(f"{name}: line 1: no names of a time and other columns with tabs between them")
    rows, is_cut = [], False
    for number, line in lines[1:]:
        cells = line.split("\t")
        time = _number(cells[0])
        wrong = ""
        if time is None:
            wrong = f"{cells[0][:40]!r} is no time in s"
        elif len(cells) < len(header) or any(cell.strip() for cell in cells[len(header) :]):
            wrong = f"{len(cells)} cells under {len(header)} names"
        if wrong and ends_open and number == lines[-1][0]:
            is_cut = True
        elif wrong:
            raise ProtocolError(f"{name}: line {number}: {wrong}")
        else:
            rows.append((time, *cells[1 : len(header)]))
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(header)
    epoch_us = MAC_EPOCH_S * 1_000_000 if epoch == "Mac" else 0
    time_us = np.rint(np.array(columns[0], np.float64) * 1e6).astype(np.int64) - epoch_us
    names = unique_names(header[1:])
    return BeamlineLog(
        time_us, {name: column_of(cells) for name, cells in zip(names, columns[1:], strict=True)}, is_cut
    )


def _number(text: str) -> float | None:
    """A time in s: digits only, for float() knows more spellings of numbers than loggers."""
    text = text.strip()
    if not re.fullmatch(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d{1,3})?", text, re.ASCII):
        return None
    value = float(text)
    return value if abs(value) < _FARTHEST_S else None
