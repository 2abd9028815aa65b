"""Whether Tango's events flow: one thread of it brings those of all servers to this process.

It stands still while Tango makes subscriptions (for seconds, when many processes start at once), and while a server
hangs (20 s were seen). Nobody is told, and the values of all devices grow old meanwhile: then they are asked for, as
often as a part of a processor allows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Final

SILENCE_S: Final = 1.5  # without any event, where some came all the time
LONGEST_S: Final = 60.0  # then nothing has to be said
SPACING_S: Final = 0.8  # a burst counts once
ASK_PERIOD_S: Final = 1.0  # between two questions to a device, at least
SHARE: Final = 0.2  # of a core, for the questions to all devices: subscriptions are to be made, too
LIVELY: Final = 5, 10.0  # bursts or single events within s: the mirror's own heartbeat is one a second


class EventFlow:
    """Hears of each subscription and each event of a process; in any thread. Times are s of the monotonic clock."""

    def __init__(self) -> None:
        self._expected: set[Hashable] = set()
        self._arrivals: deque[float] = deque(maxlen=LIVELY[0])
        self._last = 0.0
        self._costs: dict[Hashable, float] = {}  # of the last question to each device, s of processor time

    def expect(self, subscription: Hashable) -> None:
        """A subscription was asked for; its first event is the answer."""
        self._expected.add(subscription)

    def forget(self, subscription: Hashable) -> None:
        """It was answered, or is wanted no more."""
        self._expected.discard(subscription)

    def arrived(self, now: float) -> None:
        """An event came that was no answer to a subscription."""
        self._last = now
        if not self._arrivals or now - self._arrivals[-1] > SPACING_S:
            self._arrivals.append(now)

    def is_held_up(self, now: float) -> bool:
        """Whether events may be on their way for longer than usual."""
        if self._expected:
            return True
        arrivals = self._arrivals
        if len(arrivals) < LIVELY[0] or arrivals[-1] - arrivals[0] > LIVELY[1]:
            return False
        return SILENCE_S < now - self._last < LONGEST_S

    def asked(self, device: Hashable, cost_s: float) -> float:
        """A device was asked for its values, for so much processor time; returns how long to leave it alone, s."""
        self._costs[device] = cost_s
        return max(ASK_PERIOD_S, sum(list(self._costs.values())) / SHARE)

    def left(self, device: Hashable) -> None:
        """A device is asked no more."""
        self._costs.pop(device, None)
