"""Memory for bodies that are being received: a bounded number of buffers, used again and again."""

from __future__ import annotations

import asyncio

import numpy as np


class Bodies:
    """Buffers of one size; memory is taken when a buffer is first used.

    Args:
        count: at most so many bodies are received at a time; others wait for one to end.
        nbytes: of each.
    """

    def __init__(self, count: int, nbytes: int) -> None:
        self.nbytes = nbytes
        self._free: list[memoryview] = []
        self._waiting = asyncio.Semaphore(count)

    async def take(self) -> memoryview:
        """A buffer; waits until there is one. It is to be given back."""
        await self._waiting.acquire()
        # The one that was used last is still in the caches.
        return self._free.pop() if self._free else np.empty(self.nbytes, np.uint8).data

    def give(self, body: memoryview) -> None:
        """A buffer is needed no more."""
        self._free.append(body)
        self._waiting.release()
