"""What one voter knows of leases: to whom it gave its vote, and until when by its own clock.

A lease is held by whoever has the votes of more than half of the voters. A voter gives its vote for a time, and nobody
else gets it meanwhile. The holder counts that time from before it asked, and stops well before it is over: so no two
clocks are ever compared, and who held the lease has stopped when the first vote of another one is possible.

Source:
    M. Trencséni, A. Gazsó, H. Reinhardt, *PaxosLease* (2012): diskless leases by majority, with local timers only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from devices.core.errors import BadValueError, RangeError

LONGEST: Final = 10.0  # s; a voter that was started gives no vote for so long: it may have given one before


@dataclass(frozen=True, slots=True)
class Vote:
    """A vote as the voter keeps it: the holder, until when (s, monotonic), and the number of the request."""

    holder: str
    until: float
    number: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Whose a vote is after a request ("" nobody's), for how many seconds more, and whether it may be given at all."""

    holder: str
    seconds: float
    is_ready: bool


class Votes:
    """The votes of one voter, for any number of leases.

    Args:
        now: s of the monotonic clock; so are all times.
        longest: s; no vote lasts longer, and none is given for so long after the start.
    """

    def __init__(self, now: float, longest: float = LONGEST) -> None:
        self._ready_at, self._longest = now + longest, longest
        self._given: dict[str, Vote] = {}

    def ask(self, lease: str, holder: str, seconds: float, number: int, now: float) -> Answer:
        """Give the vote to who asks, when nobody else has it; 0 seconds give it back.

        Args:
            number: of the request, greater each time: one that comes late does not undo a newer one.

        Raises:
            BadValueError: the lease or the holder has no name.
            RangeError: nobody gets a vote for so long.
        """
        if not lease or not holder:
            raise BadValueError(f"lease = {lease!r}, holder = {holder!r}: both need a name")
        if not 0.0 <= seconds <= self._longest:
            raise RangeError(f"seconds = {seconds:g} s is outside [0, {self._longest:g}] s")
        given = self._given.get(lease)
        if given is not None and given.until <= now:
            del self._given[lease]
            given = None
        is_ready = now >= self._ready_at
        is_mine = given is not None and given.holder == holder
        if is_ready and (given is None or (is_mine and given.number < number)):
            if seconds:
                given = self._given[lease] = Vote(holder, now + seconds, number)
            elif is_mine:
                del self._given[lease]
                given = None
        if given is None:
            return Answer("", 0.0, is_ready)
        return Answer(given.holder, given.until - now, is_ready)

    def given(self, now: float) -> dict[str, Vote]:
        """Lease -> the vote that it has now."""
        return {lease: vote for lease, vote in self._given.items() if vote.until > now}
