"""Many points as few: equal widths of time, each with its true extremes, sum, newest value and worst severity."""

from __future__ import annotations

import numpy as np

from servers.history.store import Columns


def decimated(points: Columns, width_ns: int, begin_ns: int) -> Columns:
    """One point for each width of time that has any; widths begin at whole multiples of ``width_ns`` since 1970.

    Args:
        points: in order of time.
        begin_ns: of what was asked for; the first width begins no earlier, whatever held before does.
    """
    if not len(points):
        return points
    number = points.time_ns // width_ns
    first = np.flatnonzero(np.diff(number, prepend=number[0] - 1))
    is_some = points.count > 0
    count = np.add.reduceat(points.count, first)
    return Columns(
        time_ns=np.maximum(number[first] * width_ns, begin_ns),
        count=count,
        low=np.fmin.reduceat(points.low, first),
        high=np.fmax.reduceat(points.high, first),
        total=np.where(count > 0, np.add.reduceat(np.where(is_some, points.total, 0.0), first), np.nan),
        last=points.last[np.append(first[1:], len(points)) - 1],
        severity=np.maximum.reduceat(points.severity, first),
        is_connected=np.logical_and.reduceat(points.is_connected, first),
    )
