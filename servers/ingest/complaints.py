"""Refusals in the log: the first of a kind, and then how many there were, however many clients do the same wrong."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

QUIET_S: Final = 60.0


class Complaints:
    """A line of a kind in 60 s at most; those between are counted in the next one.

    Args:
        log: where lines go.
        clock: seconds that only rise.
    """

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log, self._clock = log, clock
        self._told: dict[int, float] = {}
        self._untold: dict[int, int] = {}

    def tell(self, kind: int, text: str) -> None:
        """Something went wrong; ``kind`` is one of a few."""
        now = self._clock()
        if now < self._told.get(kind, -QUIET_S) + QUIET_S:
            self._untold[kind] = self._untold.get(kind, 0) + 1
            self._log.debug("%s", text)
            return
        self._told[kind] = now
        untold = self._untold.pop(kind, 0)
        self._log.warning("%s%s", text, f" ({untold} more since the last line like this)" if untold else "")
