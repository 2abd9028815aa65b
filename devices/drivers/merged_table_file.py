"""Images merged with logs, as files: CSV, CSV for Igor, JSON, a workbook."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import openpyxl
from openpyxl.cell import WriteOnlyCell

from devices.core.errors import BadValueError
from devices.drivers.beamline_log import MAC_EPOCH_S
from devices.pipelines.saxs_merge import TimeTable

#: What a sheet of a workbook holds.
MAX_SHEET_ROWS, MAX_SHEET_COLUMNS = 1_048_576, 16_384
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Cell = float | str | None
#: Called for each row; what it raises ends the writing.
Step = Callable[[], None]


def time_text(time_us: int) -> str:
    """A time as ISO 8601 with us, in the clock of the table."""
    return _moment(time_us).isoformat(sep=" ", timespec="microseconds")


def encode_csv(table: TimeTable, step: Step = lambda: None) -> bytes:
    """Comma-separated values; the first column is the time as text. Empty cells are empty."""
    return _encode_csv("time", [time_text(each) for each in table.time_us.tolist()], table, step)


def encode_igor(table: TimeTable, step: Step = lambda: None) -> bytes:
    """Comma-separated values; the first column is the time in s since 1904, as Igor counts."""
    times = (divmod(each + MAC_EPOCH_S * 1_000_000, 1_000_000) for each in table.time_us.tolist())
    return _encode_csv("time [s since 1904]", [f"{whole}.{part:06d}" for whole, part in times], table, step)


def _encode_csv(first: str, times: Sequence[str], table: TimeTable, step: Step) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([first, *table.columns])
    for time, row in zip(times, _rows(table), strict=True):
        step()
        writer.writerow([time, *("" if cell is None else cell for cell in row)])
    return text.getvalue().encode()


def encode_json(table: TimeTable, step: Step = lambda: None) -> bytes:
    """An object for each column, from times to values; empty cells are null."""
    times = [time_text(each) for each in table.time_us.tolist()]
    step()
    columns = {name: dict(zip(times, _cells(column), strict=True)) for name, column in table.columns.items()}
    return json.dumps(columns, allow_nan=False).encode()


def encode_workbook(table: TimeTable, step: Step = lambda: None) -> bytes:
    """A workbook (.xlsx) with one sheet; the first column is the time as a date, to the ms that workbooks have.

    Raises:
        BadValueError: there is more than a sheet holds.
    """
    if len(table.time_us) >= MAX_SHEET_ROWS or len(table.columns) >= MAX_SHEET_COLUMNS:
        raise BadValueError(
            f"{len(table.time_us)} images with {len(table.columns)} columns: a sheet holds "
            f"{MAX_SHEET_ROWS - 1} with {MAX_SHEET_COLUMNS - 1}"
        )
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("LogData")

    def cell(value: Cell | datetime) -> Any:
        found = WriteOnlyCell(sheet, value)
        if isinstance(value, str):
            found.data_type = "s"  # what begins with = is a text of a log, too, and no formula
        elif isinstance(value, datetime):
            found.number_format = "yyyy-mm-dd hh:mm:ss.000"
        return found

    sheet.append([cell(name) for name in ("time", *table.columns)])
    for time_us, row in zip(table.time_us.tolist(), _rows(table), strict=True):
        step()
        sheet.append([cell(_moment(time_us)), *map(cell, row)])
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def _moment(time_us: int) -> datetime:
    return (_EPOCH + timedelta(microseconds=time_us)).replace(tzinfo=None)


def _rows(table: TimeTable) -> Iterator[tuple[Cell, ...]]:
    if not table.columns:
        return iter([()] * len(table.time_us))
    return zip(*(_cells(column) for column in table.columns.values()), strict=True)


def _cells(column: Any) -> list[Cell]:
    """Values of Python; what is no number, or not finite, is None."""
    return [None if isinstance(cell, float) and not math.isfinite(cell) else cell for cell in column.tolist()]
