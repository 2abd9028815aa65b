"""The signature of a request: who sent it knows the secret, sent it now, and sent it once."""

from __future__ import annotations

import hashlib
import heapq
import hmac
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from devices.core.errors import NotAllowedError

#: How far the clock of a client may be from ours, s.
CLOCK_TOLERANCE_S: Final = 900.0
MOST_REMEMBERED: Final = 100_000

# Part of the protocol, with their quotes.
WRONG: Final = "'Wrong signature.'"
UNTIMELY: Final = "'Untimely request.'"
REPLAYED: Final = "'Request was received before.'"


def signature(request: Mapping[str, Any], secret: str) -> str:
    """The ``sign`` of a request: 128 hexadecimal digits.

    It is the SHA-512 of the request's text and the secret behind it. The text has ``sign`` empty, its keys sorted at
    all levels and numbers as Python spells them, so that any order and spacing may travel.
    """
    text = json.dumps({**request, "sign": ""}, sort_keys=True)
    return hashlib.sha512((text + secret).encode()).hexdigest()


class Gatekeeper:
    """Lets each signed request in once.

    What was let in is remembered until its own time makes it untimely, 1800 s at most. When there are too many of
    them the oldest are forgotten, and from then on nothing as old as those is let in.

    Args:
        secret: what clients sign with.
        most: how many requests are remembered.
        clock: s since 1970.
    """

    def __init__(self, secret: str, most: int = MOST_REMEMBERED, clock: Callable[[], float] = time.time) -> None:
        self._secret, self._most, self._clock = secret, most, clock
        self._seen: set[bytes] = set()
        self._by_time: list[tuple[float, bytes]] = []
        self._too_old = float("-inf")

    def admit(self, request: Mapping[str, Any]) -> None:
        """Check time, then signature, then that it is new: a refusal tells clients which, as it always did.

        Raises:
            NotAllowedError: one of them is wrong; with the text that clients know.
            KeyError: ``time`` or ``sign`` is missing.
        """
        sent_s, sign = _seconds(request["time"]), request["sign"]
        now_s = self._clock()
        if not abs(sent_s - now_s) < CLOCK_TOLERANCE_S or sent_s <= self._too_old:  # NaN is untimely, too
            raise NotAllowedError(UNTIMELY)
        if not hmac.compare_digest(signature(request, self._secret).encode(), sign.encode(errors="replace")):
            raise NotAllowedError(WRONG)
        digest = bytes.fromhex(sign)[:24]
        if digest in self._seen:
            raise NotAllowedError(REPLAYED)
        self._forget(now_s)
        self._seen.add(digest)
        heapq.heappush(self._by_time, (sent_s, digest))

    def __len__(self) -> int:
        return len(self._seen)

    def _forget(self, now_s: float) -> None:
        """Drop what would be untimely now, and the oldest where there are too many."""
        while self._by_time and self._by_time[0][0] <= now_s - CLOCK_TOLERANCE_S:
            self._seen.discard(heapq.heappop(self._by_time)[1])
        while len(self._by_time) >= self._most:
            self._too_old, digest = heapq.heappop(self._by_time)
            self._seen.discard(digest)


def _seconds(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # an integer of many digits
        return float("inf")
