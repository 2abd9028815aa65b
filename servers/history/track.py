"""What of one PV is worth keeping: its rule, what was kept last, and what waits for its turn."""

from __future__ import annotations

import math
from typing import Final

from servers.history.archive_list import Rule
from servers.history.store import INVALID, Sample

#: A source at 1 Hz is not quite even; each of its values is wanted all the same.
EARLY: Final = 0.9


class Track:
    """Decides which of a PV's values become samples.

    A change of severity or of the connection does, always. Others do when they differ enough, at most one in the rule's
    time; of those in between the newest waits and is kept when the time is over.

    Args:
        name: of the PV.
        rule: how closely it is recorded.
    """

    def __init__(self, name: str, rule: Rule) -> None:
        self.name, self.rule = name, rule
        self._kept: Sample | None = None
        self._kept_at = -math.inf  # monotonic, s; when it was due, of one that came late
        self._waiting: Sample | None = None

    def take(
        self, time_ns: int, value: float, severity: int, is_connected: bool, now_ns: int, at: float
    ) -> list[Sample]:
        """A value came; returns what is to be kept now, often nothing.

        Args:
            time_ns: the hardware's time.
            now_ns: the time here, ns since 1970.
            at: monotonic time, s.
        """
        kept = self._kept
        if kept is None or kept.severity != severity or kept.is_connected != is_connected:
            # The first value may be old, and there may be a gap behind it: it is known from now on. A server that is
            # lost, and one that comes back, give the time of the last value again.
            if kept is None or time_ns <= kept.time_ns:
                time_ns = now_ns
            before = [self._waiting] if self._waiting is not None else []
            sample = Sample(self.name, time_ns, value, severity, is_connected)
            return [*before, self._keep(sample, at)]
        sample = Sample(self.name, time_ns, value, severity, is_connected)
        if at - self._kept_at < EARLY * self.rule.every_s:
            self._waiting = sample
            return []
        return self._decide(sample, at)

    def due(self, now_ns: int, at: float) -> list[Sample]:
        """What waited long enough, and what was silent too long."""
        if self._kept is None:
            return []
        if self._waiting is not None and at - self._kept_at >= self.rule.every_s:
            return self._decide(self._waiting, at)
        silence = self.rule.period_s
        if silence is not None and at - self._kept_at >= silence and self._kept.is_connected:
            return [self._keep(self._kept._replace(time_ns=now_ns), at)]
        return []

    def lose(self, now_ns: int, at: float) -> list[Sample]:
        """Nothing more is known of the PV."""
        if self._kept is None or not self._kept.is_connected:
            return []
        return self.take(self._kept.time_ns, self._kept.value, INVALID, False, now_ns, at)

    @property
    def is_waiting(self) -> bool:
        """Whether a value waits for the rule's time to be over."""
        return self._waiting is not None

    def _decide(self, sample: Sample, at: float) -> list[Sample]:
        self._waiting = None
        kept = self._kept
        if kept is not None and not self.rule.passes(kept.value, sample.value):
            return []
        return [self._keep(sample, at)]

    def _keep(self, sample: Sample, at: float) -> Sample:
        every_s = self.rule.every_s
        # One that comes a little late does not make the next one early: a source at the very rate loses none.
        is_late = every_s <= at - self._kept_at < 2 * every_s
        self._kept_at = self._kept_at + every_s if is_late else at
        self._kept, self._waiting = sample, None
        return sample
