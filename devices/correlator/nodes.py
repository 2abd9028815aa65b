"""The health of each node, seen from what it sends."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from devices.drivers.correlator_message import Receipt

#: Rates are those of so many seconds: some gulps.
RATE_S: Final = 15.0


@dataclass
class Node:
    """One node.

    Attributes:
        sub_band: which one it sends.
        address: where its last message came from; empty before the first.
        last_seen_unix: when its last message had come, s; NaN before the first.
        last_isot: the gulp of that message.
        last_receipt: what it was answered.
        stored, stored_bytes: messages that were taken, and their length.
        late, duplicate, refused: messages that were not taken: too late, there already, for any other reason.
        resent: messages for the same gulp as the message before.
    """

    sub_band: int
    address: str = ""
    last_seen_unix: float = math.nan
    last_isot: str = ""
    last_receipt: Receipt = Receipt.ACCEPTED
    stored: int = 0
    stored_bytes: int = 0
    late: int = 0
    duplicate: int = 0
    refused: int = 0
    resent: int = 0
    _recent: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=64), repr=False)
    _clock: Callable[[], float] = field(default=time.time, repr=False)

    def seen(self, address: str, isot: str) -> None:
        """A message has come whole."""
        self.resent += isot == self.last_isot
        self.address, self.last_isot, self.last_seen_unix = address, isot, self._clock()

    def took(self, nbytes: int) -> None:
        """That message has been stored."""
        self.stored += 1
        self.stored_bytes += nbytes
        self._recent.append((self.last_seen_unix, nbytes))

    @property
    def rate(self) -> float:
        """Bytes per second that were stored in the last 15 s."""
        since = self._clock() - RATE_S
        return sum(nbytes for at, nbytes in self._recent if at > since) / RATE_S


@dataclass
class IngestCounts:
    """Of the ingests of a server since its start.

    Attributes:
        messages, nbytes: bodies that came whole, and their length.
        stored: of these.
        refused: requests that were answered with an error.
        unknown: of these, messages that nothing told the sub-band of.
    """

    messages: int = 0
    nbytes: int = 0
    stored: int = 0
    refused: int = 0
    unknown: int = 0


class Nodes:
    """The nodes of all sub-bands.

    Attributes:
        counts: what came, whoever sent it.
    """

    def __init__(self, count: int, clock: Callable[[], float] = time.time) -> None:
        self.counts = IngestCounts()
        self._nodes = tuple(Node(sub_band, _clock=clock) for sub_band in range(count))

    def __getitem__(self, sub_band: int) -> Node:
        return self._nodes[sub_band]

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes)
