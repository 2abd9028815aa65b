"""An Alpaca device whose hardware takes time to move: a move begins at once, and clients ask whether it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

from devices.core import Device
from devices.core.errors import BusyError, DiptychError
from servers.alpaca.device import AlpacaDevice


class MovingDevice(AlpacaDevice):
    """One move at a time; what went wrong with it is told to whom asks next."""

    def __init__(self, name: str, number: int = 0) -> None:
        super().__init__(name, number)
        self._move: asyncio.Task[Any] | None = None
        self._failure: DiptychError | None = None

    def begin(self, move: Coroutine[Any, Any, Any]) -> None:
        """Let it move.

        Raises:
            BusyError: it moves already.
        """
        if self._move is not None and not self._move.done():
            move.close()
            raise BusyError(f"{self.device_name} moves already")
        self._failure = None
        self._move = asyncio.create_task(move, name=f"{self.device_name} moves")
        self._move.add_done_callback(self._over)

    def is_moving(self) -> bool:
        """Whether it does.

        Raises:
            DiptychError: why the last move failed; told once.
        """
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        return self._move is not None and not self._move.done()

    async def stop_waiting(self) -> None:
        """Ask after a move no more; the hardware goes on."""
        if self._move is not None:
            self._move.cancel()
            await asyncio.wait({self._move})

    def _over(self, move: asyncio.Task[Any]) -> None:
        if not move.cancelled() and (error := move.exception()) is not None:
            self._failure = (
                error if isinstance(error, DiptychError) else DiptychError(f"{type(error).__name__}: {error}")
            )


async def finished(device: Device, name: str, arguments: Mapping[str, Any]) -> None:
    """Run a command, or an operation to its end.

    Raises:
        DiptychError: as the device raised it.
    """
    answer = await device.run(name, arguments)
    if device.commands[name].spec.kind == "operation":
        await device.operations.result(answer)
