"""Trends as files for other programs: CSV and Parquet, one row for each point."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np

from devices.core.errors import ConfigurationError
from servers.history.store import Trend

SEVERITIES: Final = np.array(["NO_ALARM", "MINOR", "MAJOR", "INVALID"])
COLUMNS: Final = ("pv", "time", "value", "text", "low", "high", "mean", "samples", "severity", "connected")


def write_csv(trends: Sequence[Trend], file: TextIO) -> None:
    """One line for each point; times in UTC, numbers with all their digits, nothing where there is no number."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for trend in trends:
        points = trend.points
        times = np.datetime_as_string(points.time_ns.view("datetime64[ns]"), "us")
        numbers = (points.last, points.low, points.high, trend.mean)
        value, low, high, mean = (["" if n != n else repr(n) for n in each.tolist()] for each in numbers)
        stamps = [f"{each}Z" for each in times]
        severity, connected = SEVERITIES[points.severity], np.where(points.is_connected, "yes", "no")
        names = [trend.pv] * len(points)
        writer.writerows(
            zip(names, stamps, value, _texts(trend), low, high, mean, points.count, severity, connected, strict=True)
        )


def write_parquet(trends: Sequence[Trend], path: Path) -> None:
    """The same as a table with types; times are timestamps in UTC, exact to the nanosecond.

    Raises:
        ConfigurationError: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ConfigurationError(
            "--parquet", ["needs pyarrow, which is not installed: pip install 'diptych[history]'; or use --csv"]
        ) from None

    def column(of: Any, type_: Any) -> Any:
        return pyarrow.array([], type_) if not trends else pyarrow.array(np.concatenate([of(t) for t in trends]), type_)

    table = pyarrow.table(
        {
            "pv": column(lambda t: np.repeat(np.array([t.pv]), len(t.points)), pyarrow.string()),
            "time": column(lambda t: t.points.time_ns, pyarrow.timestamp("ns", "UTC")),
            "value": column(lambda t: t.last, pyarrow.float64()),
            "text": column(lambda t: np.array(_texts(t), dtype=str), pyarrow.string()),
            "low": column(lambda t: t.low, pyarrow.float64()),
            "high": column(lambda t: t.high, pyarrow.float64()),
            "mean": column(lambda t: t.mean, pyarrow.float64()),
            "samples": column(lambda t: t.points.count, pyarrow.int64()),
            "severity": column(lambda t: SEVERITIES[t.severity], pyarrow.string()),
            "connected": column(lambda t: t.is_connected, pyarrow.bool_()),
        }
    )
    pyarrow.parquet.write_table(table, path)


def _texts(trend: Trend) -> list[str]:
    """The labels of an enumeration's values."""
    labels = dict(enumerate(trend.facts.labels))
    return [labels.get(value, "") for value in trend.last.tolist()] if labels else [""] * len(trend.points)
