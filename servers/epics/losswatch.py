"""The loss watch: when may events of a server have been lost, so that all its values are to be compared by a read?

The events of all devices of a server come through one ZeroMQ connection, whose queues hold 1000 messages at either end.
When they overflow, the newest events are dropped, of whatever attribute, and nothing tells of it before that
attribute's next event, which may never come. So all are compared after a burst, after any sign of a loss, and when this
process stood still.
"""

from __future__ import annotations

import math

PERIOD = 10.0  # s between two comparisons while a burst lasts
BURST = 500  # events since the last comparison: half of what a queue of ZeroMQ holds
QUIET = 100  # events between two looks; with fewer a burst is over
LOOK_PERIOD = 0.5  # s
SETTLE_TIME = 0.5  # s from a sign of a loss: other events may still be on their way
STALL = 0.5  # s between two calls: this process was stopped or had no processor
PAUSE = 2.0  # s at least between two comparisons


class LossWatch:
    """Watches the events of one server."""

    def __init__(self) -> None:
        self._events = self._seen = 0
        self._is_burst = self._is_suspected = False
        self._called = math.inf
        self._next_look = self._last = -math.inf
        self._due = math.inf
        self._rounds = 0

    def count(self) -> None:
        """Count an event; in any thread."""
        self._events += 1

    def suspect(self) -> None:
        """An event was lost; in any thread."""
        self._is_suspected = True

    def look(self, now: float) -> bool:
        """Whether all values are to be compared now; to be called every 0.1 s.

        Args:
            now: s of the monotonic clock.
        """
        stood_still, self._called = now - self._called > STALL, now
        if self._is_suspected or stood_still:
            self._is_suspected = False
            self._schedule(now + SETTLE_TIME)
        if now >= self._next_look:
            self._next_look = now + LOOK_PERIOD
            new, self._seen = self._events - self._seen, self._events
            was_burst = self._is_burst
            self._is_burst = new >= QUIET and (was_burst or self._events >= BURST)
            if was_burst and not self._is_burst:
                self._schedule(now)
            elif self._events >= BURST and self._due == math.inf:
                self._schedule(now + PERIOD)
        if now < self._due:
            return False
        self._events, self._seen, self._last = 0, 0, now
        # Once more later: an event that is still on its way may be older than what is read now, and be the last.
        self._rounds -= 1
        self._due = now + PERIOD if self._rounds > 0 else math.inf
        return True

    def _schedule(self, when: float) -> None:
        self._rounds = 2
        self._due = min(self._due, max(when, self._last + PAUSE))
