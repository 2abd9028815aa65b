"""Which values of a device are to be compared by a read, and when: an event may be lost, late, or out of date."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable

from servers.epics.attribute_source import AttributeSource

PERIOD = 10.0  # s; how often a value in a burst of events, or one that failed, is compared
BURST = 50  # events in that time
LOOK_PERIOD = 0.5  # s; a burst without an event for so long is over, and its last value is compared
SETTLE_TIME = 0.5  # s; after a put an event from before it may still be on its way


class Comparisons:
    """Keeps the times; a value that is due has its ``verify`` set."""

    def __init__(self) -> None:
        self._next = time.monotonic() + PERIOD
        self._next_look = 0.0
        self._bursting: set[AttributeSource] = set()
        self._settling: deque[tuple[float, AttributeSource]] = deque()

    def count(self, attribute: AttributeSource) -> bool:
        """Count an event; True when it makes a burst of them, which is to be looked after. In any thread."""
        attribute.events += 1
        if attribute.events != BURST:
            return False
        self._bursting.add(attribute)
        return True

    def is_bursting(self, attribute: AttributeSource) -> bool:
        return attribute in self._bursting

    def settle(self, attribute: AttributeSource) -> None:
        """Have a value compared in a moment, when what is under way has arrived. In any thread."""
        self._settling.append((time.monotonic() + SETTLE_TIME, attribute))

    def mark_due(self, attributes: Iterable[AttributeSource], now: float) -> None:
        """Set ``verify`` where it is time."""
        while self._settling and self._settling[0][0] <= now:
            self._settling.popleft()[1].verify = True
        if now >= self._next_look:
            self._next_look = now + LOOK_PERIOD
            for attribute in list(self._bursting):
                if attribute.events == attribute.seen_events:
                    self._bursting.discard(attribute)
                    attribute.verify = True
                    attribute.events = 0
                attribute.seen_events = attribute.events
        if now >= self._next:
            self._next = now + PERIOD
            for attribute in attributes:
                if attribute in self._bursting or attribute.failed:
                    attribute.verify = True
                else:
                    attribute.events = attribute.seen_events = 0

    def next_due(self) -> float:
        """When something is due by itself, s of the monotonic clock."""
        times = [self._next]
        if self._bursting:
            times.append(self._next_look)
        if self._settling:
            times.append(self._settling[0][0])
        return min(times)
