"""Which values of a device are to be compared by a read, and when: an event may be lost, late, or out of date."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable

from servers.epics.attribute_source import AttributeSource

PERIOD = 10.0  # s; how often a value that failed is asked for again
SETTLE_TIME = 0.5  # s; after a put an event from before it may still be on its way


class Comparisons:
    """Keeps the times; a value that is due has its ``verify`` set."""

    def __init__(self) -> None:
        self._next = time.monotonic() + PERIOD
        self._wants_all = False
        self._settling: deque[tuple[float, AttributeSource]] = deque()

    def want_all(self) -> None:
        """Have everything compared that comes by events. In any thread."""
        self._wants_all = True

    def settle(self, attribute: AttributeSource) -> None:
        """Have a value compared in a moment, when what is under way has arrived. In any thread."""
        self._settling.append((time.monotonic() + SETTLE_TIME, attribute))

    def mark_due(self, attributes: Iterable[AttributeSource], now: float) -> None:
        """Set ``verify`` where it is time."""
        while self._settling and self._settling[0][0] <= now:
            self._settling.popleft()[1].verify = True
        wants_all, self._wants_all = self._wants_all, False
        asks_failed = now >= self._next
        if asks_failed:
            self._next = now + PERIOD
        if wants_all or asks_failed:
            for attribute in attributes:
                attribute.verify |= (wants_all and attribute.is_subscribed) or (asks_failed and attribute.failed)

    def next_due(self) -> float:
        """When something is due by itself, s of the monotonic clock."""
        return min(self._next, self._settling[0][0]) if self._settling else self._next
