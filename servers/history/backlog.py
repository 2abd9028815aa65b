"""Batches that wait in memory while the embedded file takes none, as when the disk is full."""

from __future__ import annotations

from collections import deque
from typing import Final, Protocol

from servers.history.store import Batch

LIMIT_SAMPLES: Final = 200_000


class Backlog(Protocol):
    """Batches that wait for their store, in order.

    Attributes:
        lost: samples that were dropped for want of room.
    """

    lost: int

    def append(self, batch: Batch) -> None:
        """Behind all others; the oldest go when there is no more room."""

    def oldest(self) -> Batch | None:
        """The one to be written next, None when none waits."""

    def drop_oldest(self) -> None:
        """It was written."""

    @property
    def waiting(self) -> int:
        """Samples that wait, or about as many."""

    def close(self) -> None: ...


class MemoryBacklog:
    """A `Backlog` of so many samples; what is in it ends with the process."""

    def __init__(self, limit_samples: int = LIMIT_SAMPLES) -> None:
        self._limit = limit_samples
        self._batches: deque[Batch] = deque()
        self.waiting = self.lost = 0

    def append(self, batch: Batch) -> None:
        self._batches.append(batch)
        self.waiting += len(batch.samples)
        while self.waiting > self._limit and len(self._batches) > 1:
            self.lost += len(self._batches[0].samples)
            self.drop_oldest()

    def oldest(self) -> Batch | None:
        return self._batches[0] if self._batches else None

    def drop_oldest(self) -> None:
        self.waiting -= len(self._batches.popleft().samples)

    def close(self) -> None:
        self._batches.clear()
