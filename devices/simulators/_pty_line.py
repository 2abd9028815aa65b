"""A serial line that ends in this program: a pseudo-terminal, raw, for a driver to open as a device."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import AsyncIterator, Callable

WAIT_SECONDS = 5.0
"""How long an answer waits for somebody to read what was sent before it; then it is dropped, as on a real line."""


class PtyLine:
    """One pseudo-terminal and the task that answers on it.

    Args:
        answers: what comes back for some bytes that came.
    Attributes:
        path: the device name for the other end to open.
    """

    def __init__(self, answers: Callable[[bytes], AsyncIterator[bytes]]) -> None:
        self._answers = answers
        self._master, self._slave = os.openpty()
        # Our own open slave keeps the line up while no client has it open.
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._arrived = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._master, self._arrived.set)
        self._task = asyncio.create_task(self._serve(), name=f"serve {self.path}")

    async def close(self) -> None:
        """Take the line away; the other end sees it unplugged."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._loop.remove_reader(self._master)
        os.close(self._slave)
        os.close(self._master)

    async def _serve(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            try:
                data = os.read(self._master, 4096)
            except BlockingIOError:
                continue
            async for answer in self._answers(data):
                await self._write(answer)

    async def _write(self, data: bytes) -> None:
        deadline = self._loop.time() + WAIT_SECONDS
        while data and self._loop.time() < deadline:
            try:
                data = data[os.write(self._master, data) :]
            except BlockingIOError:
                await asyncio.sleep(0.005)
