"""Pulse-height events lately: their heights as a histogram, their times for coincidences."""

from __future__ import annotations

from collections import deque
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import ProtocolError
from devices.daq.frame import Frame
from devices.drivers.white_rabbit import unix_ns

KEPT: Final = 20_000
BINS: Final = 256
BIN_COUNTS: Final = 16  # counts of one bin


class Event(NamedTuple):
    """One pulse-height event: when, ns since 1970 by White Rabbit; where; its highest pixel, counts."""

    time_ns: int
    module: int
    quabo: int
    peak: int


class Events:
    """The newest events, and the histogram of all since it was cleared."""

    def __init__(self) -> None:
        self._newest: deque[Event] = deque(maxlen=KEPT)
        self.histogram = np.zeros(BINS, np.int64)
        self.count = 0

    def note(self, frame: Frame) -> None:
        """A pulse-height frame; one whose clock cannot be used is in the histogram only."""
        peak = int(frame.image.max())
        self.histogram[min(max(peak // BIN_COUNTS, 0), BINS - 1)] += 1
        self.count += 1
        try:
            time_ns = unix_ns(frame.stamps[0])
        except ProtocolError:
            return
        if time_ns is not None:
            self._newest.append(Event(time_ns, frame.module, frame.quabo, peak))

    def clear(self) -> None:
        self.histogram[:] = 0
        self.count = 0
        self._newest.clear()

    def columns(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Times, ns; modules; highest pixels; each (events,)."""
        rows = np.array(self._newest, np.int64).reshape(-1, len(Event._fields))
        return rows[:, 0].copy(), rows[:, 1].copy(), rows[:, 3].astype(np.float64)

    @staticmethod
    def bin_centers() -> NDArray[np.float64]:
        """Counts at the middle of each bin; the last one holds all that is higher."""
        return (np.arange(BINS, dtype=np.float64) + 0.5) * BIN_COUNTS
