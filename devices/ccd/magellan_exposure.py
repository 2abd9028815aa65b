"""One integration with a Magellan controller: this host keeps its time and shuts the shutter."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

#: Left while the shutter is being shut, s.
SHUTTING: Final = 0.001


class MagellanExposure:
    """Runs from its making until the time is over or it is ended.

    Args:
        seconds: of the integration.
        shut: shuts the shutter.
    """

    def __init__(self, seconds: float, opens_shutter: bool, shut: Callable[[], Awaitable[None]]) -> None:
        self.opens_shutter = opens_shutter
        self.reading = False
        self._shut = shut
        self._left: float | None = None
        self._loop = asyncio.get_running_loop()
        self._begin(seconds)

    @property
    def paused(self) -> bool:
        return self._left is not None

    @property
    def remaining(self) -> float:
        """Of the integration, s; 0.0: it is over and the shutter is shut.

        Raises:
            what came in the way of shutting it.
        """
        if self._left is not None:
            return self._left
        if self._ending.done():
            self._ending.result()
            return 0.0
        return max(SHUTTING, self._ends - self._loop.time())

    async def over(self) -> None:
        """Wait until it is."""
        await asyncio.shield(self._ending)

    def pause(self) -> None:
        """The clock stands still."""
        self._left = max(0.0, self._ends - self._loop.time())
        self._ending.cancel()

    def resume(self) -> None:
        """The clock goes on."""
        if self._left is not None:
            self._begin(self._left)

    async def end(self) -> None:
        """End it now; the shutter is shut."""
        self.cancel()
        self._begin(0.0)
        await self.over()

    def cancel(self) -> None:
        """Forget it; the shutter stays as it is."""
        self._ending.cancel()

    def _begin(self, seconds: float) -> None:
        self._left = None
        self._ends = self._loop.time() + seconds
        self._ending = self._loop.create_task(self._end())

    async def _end(self) -> None:
        await asyncio.sleep(self._ends - self._loop.time())
        if self.opens_shutter:
            await self._shut()
