"""Coincidences: events of several telescopes within a short time, as a Cherenkov flash or a light pulse makes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Coincidences:
    """Groups of events; all arrays (coincidences,).

    Args:
        time_ns: of the first event of each, ns since 1970.
        spread_ns: from the first to the last event.
        modules: how many different modules saw it.
        events: how many events it has.
        amplitude: the sum of its events' amplitudes.
        first: the place of its first event among the events, ordered by time.
    """

    time_ns: NDArray[np.int64]
    spread_ns: NDArray[np.int64]
    modules: NDArray[np.int64]
    events: NDArray[np.int64]
    amplitude: NDArray[np.float64]
    first: NDArray[np.int64]


def find_coincidences(
    time_ns: NDArray[np.int64],
    module: NDArray[np.int64],
    amplitude: NDArray[np.float64],
    window_ns: int = 1000,
    least_modules: int = 2,
) -> Coincidences:
    """Events of at least so many modules within a window.

    A group begins with its earliest event and takes all that come within the window after it; the next group begins
    with the first event that is left.

    Args:
        time_ns: of the events, (events,), in any order.
        module: which module saw each, (events,).
        amplitude: of each, (events,).
    Returns:
        The groups, by time.
    """
    if not len(time_ns) == len(module) == len(amplitude):
        raise ValueError(f"{len(time_ns)} times, {len(module)} modules and {len(amplitude)} amplitudes")
    order = np.argsort(time_ns, kind="stable")
    times, modules, amplitudes = time_ns[order], module[order], amplitude[order]
    # Where the window of each event ends; the groups follow one another, so a walk over them is short.
    ends = np.searchsorted(times, times + window_ns, side="right")
    found: list[tuple[int, int, int, int, float, int]] = []
    begin = 0
    while begin < len(times):
        end = int(ends[begin])
        if end - begin >= least_modules:
            seen = len(np.unique(modules[begin:end]))
            if seen >= least_modules:
                spread = int(times[end - 1] - times[begin])
                total = float(amplitudes[begin:end].sum())
                found.append((int(times[begin]), spread, seen, end - begin, total, begin))
                begin = end
                continue
        begin += 1
    columns = list(zip(*found, strict=True)) if found else [()] * 6
    return Coincidences(
        np.array(columns[0], np.int64),
        np.array(columns[1], np.int64),
        np.array(columns[2], np.int64),
        np.array(columns[3], np.int64),
        np.array(columns[4], np.float64),
        np.array(columns[5], np.int64),
    )
