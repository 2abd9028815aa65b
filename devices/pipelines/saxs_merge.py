"""Images joined with the logs of a beamline: what each log says at the time of each image.

Times are integers, us since 1970-01-01, all of the same clock when they come here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]
#: float64 with NaN where there is nothing; or object: texts, None where there is nothing.
Column = NDArray[Any]

#: Exposures from this on are averaged over, us.
LONG_EXPOSURE_US: Final = 5_000_000
_COUNTING: Final = ("ioni", "diode", "count", "monitor", "scaler", "flux", "intensity")


@dataclass(frozen=True, eq=False)
class TimeTable:
    """Rows in the order of their times, no two at the same time.

    Args:
        time_us: (rows,), rising.
        columns: by name, (rows,).
    """

    time_us: Times
    columns: Mapping[str, Column]


@dataclass(frozen=True, eq=False)
class Log:
    """A log with the name that stands behind its columns.

    Args:
        counting: the columns that are averaged over long exposures.
    """

    name: str
    table: TimeTable
    counting: Collection[str] = ()


def separated(time_us: Times) -> Times:
    """Sorted times as rising ones: equal ones are 1 us apart."""
    steps = np.arange(len(time_us))
    rising: Times = np.maximum.accumulate(time_us - steps) + steps
    return rising


def time_table(parts: Collection[tuple[Times, Mapping[str, Column]]]) -> TimeTable:
    """The rows of several files of a logger as one table; a column that a file does not have is empty there."""
    time_us = np.concatenate([times for times, _ in parts]) if parts else np.empty(0, np.int64)
    order = np.argsort(time_us, kind="stable")
    names = dict.fromkeys(name for _, columns in parts for name in columns)
    columns = {name: _joined([(len(times), found.get(name)) for times, found in parts])[order] for name in names}
    return TimeTable(separated(time_us[order]), columns)


def _joined(parts: Collection[tuple[int, Column | None]]) -> Column:
    is_text = any(column is not None and column.dtype == object for _, column in parts)
    joined = np.full(sum(rows for rows, _ in parts), None if is_text else np.nan, object if is_text else np.float64)
    start = 0
    for rows, column in parts:
        if column is not None and is_text and column.dtype != object:
            joined[start : start + rows] = [None if np.isnan(value) else f"{value:.15g}" for value in column]
        elif column is not None:
            joined[start : start + rows] = column
        start += rows
    return joined


def is_counting(name: str) -> bool:
    """Whether a column counts by its name (ionisation chambers, diodes, monitors), and is averaged over exposures."""
    return any(word in name.lower() for word in _COUNTING)


# The shutter ----------------------------------------------------------------------------------------------------------


def shutter_column(table: TimeTable) -> str | None:
    """The first column of numbers whose name has the word shutter."""
    names = (name for name, column in table.columns.items() if "shutter" in name.lower() and column.dtype != object)
    return next(names, None)


def shutter_changes(table: TimeTable) -> tuple[Times, NDArray[np.float64]]:
    """When the shutter opened (1) and closed (0), (changes,) each; empty without a shutter column.

    It counts as open above half of the highest value that the log has.
    """
    name = shutter_column(table)
    if name is None or not len(table.time_us):
        return np.empty(0, np.int64), np.empty(0)
    values = table.columns[name]
    known = np.isfinite(values)
    values, times = values[known], table.time_us[known]
    if not len(values):
        return times, values
    is_open = values > 0.5 * max(values.max(), 0.0)
    changes = np.flatnonzero(np.diff(is_open, prepend=False))
    return times[changes], is_open[changes].astype(np.float64)


def first_opening_us(table: TimeTable) -> int | None:
    """When the shutter first opened; without a shutter column the first row, which such a logger writes then."""
    times, states = shutter_changes(table)
    if len(times):
        return int(times[states > 0.5][0])
    return int(table.time_us[0]) if shutter_column(table) is None and len(table.time_us) else None


# Values at times ------------------------------------------------------------------------------------------------------


def interpolated(time_us: Times, values: Column, at_us: Times) -> Column:
    """A column at other times, (times,): numbers linearly between the rows around, texts as they stood last.

    An empty cell has what was there before. Before the first row there is nothing; after the last one its value stays.
    """
    times, known = _known(time_us, values)
    if values.dtype == object:
        place = np.searchsorted(times, at_us, side="right") - 1
        texts: Column = np.full(len(at_us), None, object)
        texts[place >= 0] = known[place[place >= 0]]
        return texts
    if not len(times):
        return np.full(len(at_us), np.nan)
    # From the first row on, in float64: exact up to 285 years.
    found: Column = np.interp(at_us - times[0], times - times[0], known, left=np.nan)
    return found


def averaged(time_us: Times, values: NDArray[np.float64], from_us: Times, to_us: Times) -> NDArray[np.float64]:
    """The mean of a column over windows of time, (windows,): its integral, linear between rows, by their length.

    NaN where a window begins before the first row; after the last one its value stays. An empty cell has what was
    there before.
    """
    times, known = _known(time_us, values)
    if not len(times):
        return np.full(len(from_us), np.nan)
    seconds = (times - times[0]) / 1e6
    steps = np.diff(seconds)
    with np.errstate(invalid="ignore", over="ignore"):
        area = np.concatenate(([0.0], np.cumsum(0.5 * steps * (known[1:] + known[:-1]))))

    def area_until(at_us: Times) -> NDArray[np.float64]:
        at = (at_us - times[0]) / 1e6
        place = np.clip(np.searchsorted(times, at_us, side="right") - 1, 0, len(times) - 1)
        there = np.interp(at, seconds, known)
        found: NDArray[np.float64] = area[place] + 0.5 * (at - seconds[place]) * (known[place] + there)
        return found

    with np.errstate(invalid="ignore", over="ignore"):  # logs may hold any numbers
        mean: NDArray[np.float64] = (area_until(to_us) - area_until(from_us)) / ((to_us - from_us) / 1e6)
    return np.where(from_us < times[0], np.nan, mean)


def _known(time_us: Times, values: Column) -> tuple[Times, Column]:
    """The rows from the first one on that has a value; empty cells have the value before them."""
    is_known = np.array([value is not None for value in values], bool) if values.dtype == object else ~np.isnan(values)
    if is_known.all():
        return time_us, values
    last = np.maximum.accumulate(np.where(is_known, np.arange(len(values)), -1))
    return time_us[last >= 0], values[last[last >= 0]]


def merged(start_us: Times, exposure_us: Times, columns: Mapping[str, Column], logs: Collection[Log]) -> TimeTable:
    """One row for each image, at the middle of its exposure, with what each log says then.

    Args:
        start_us, exposure_us: (images,), of each exposure, in any order.
        columns: of the images, (images,); they stand first.
        logs: their columns are called ``column (log)``. Counting columns are averaged over exposures from
            `LONG_EXPOSURE_US` on; all others are interpolated.
    Returns:
        (images,) in the order of time; images at the same time are 1 us apart.
    """
    order = np.argsort(start_us + exposure_us // 2, kind="stable")
    start_us, exposure_us = start_us[order], exposure_us[order]
    middle_us = separated(start_us + exposure_us // 2)
    found = {name: column[order] for name, column in columns.items()}
    is_long = exposure_us >= LONG_EXPOSURE_US
    from_us, to_us = start_us[is_long], (start_us + exposure_us)[is_long]
    for log in logs:
        for name, values in log.table.columns.items():
            there = interpolated(log.table.time_us, values, middle_us)
            if name in log.counting and values.dtype != object and is_long.any():
                there[is_long] = averaged(log.table.time_us, values, from_us, to_us)
            found[f"{name} ({log.name})"] = there
    return TimeTable(middle_us, found)
