"""The last help for a process whose interpreter stands still: it writes all stacks and ends, to be started again."""

from __future__ import annotations

import faulthandler
import time
from typing import Final

#: Seconds without a turn of the main loop.
STANDSTILL: Final = 20.0
#: Seconds more for each second that its turns have lately been late: a machine without time to give is no reason to
#: start everything anew (measured: with 100 processes waiting for two cores all servers ended at once).
FOR_LATENESS: Final = 20.0
ARM_PERIOD: Final = 1.0  # s
MEMORY: Final = 0.9  # what is left of a lateness a period later


class Standstill:
    """Ends the process unless its main loop turns. The watch is a thread of C, which needs no interpreter lock.

    Args:
        period: s between two turns, as the loop intends.
    """

    def __init__(self, period: float) -> None:
        self._period = period
        self._turned: float | None = None
        self._armed = 0.0
        self._lateness = 0.0

    @property
    def patience(self) -> float:
        """How long it waits for a turn now, s."""
        return STANDSTILL + FOR_LATENESS * self._lateness

    def turn(self) -> None:
        """The loop turns: wait anew."""
        now = time.monotonic()
        if self._turned is not None:
            self._lateness = max(self._lateness, now - self._turned - self._period)
        self._turned = now
        if now - self._armed > ARM_PERIOD:
            self._armed = now
            faulthandler.dump_traceback_later(self.patience, exit=True)
            self._lateness *= MEMORY

    def end(self) -> None:
        """The loop ends; nobody waits any more."""
        faulthandler.cancel_dump_traceback_later()
