"""An operation of a device, through Tango."""

import asyncio
import inspect
import json
from collections.abc import Callable
from typing import Any

from ophyd_async.core import AsyncStatus, Device
from ophyd_async.tango.core import tango_command

# what follows stands in generated files

LOOK_AGAIN_SECONDS = 0.2


def signature(takes: type | None, gives: type | None) -> Callable[..., Any]:
    """The form in which ophyd-async wants the types of a command."""

    def call(*arguments: Any) -> Any: ...

    one = [inspect.Parameter("value", inspect.Parameter.POSITIONAL_ONLY, annotation=takes)] if takes else []
    call.__signature__ = inspect.Signature(one, return_annotation=gives)  # type: ignore[attr-defined]
    return call


class Operation(Device):
    """An operation: ``set(arguments)`` runs it and ends when it has ended, however late; ``stop`` aborts it,
    and the set then fails unless it is told that this is a success.

    One argument is given as it is, several as a dict; ``trigger`` takes the defaults.
    """

    def __init__(self, device: str, operation: str, takes: type | None, name: str = "") -> None:
        self.start = tango_command(signature(takes, str), f"{device}/{operation}")
        self.look = tango_command(signature(str, str), f"{device}/operation_status")
        self.abort = tango_command(signature(str, None), f"{device}/abort")
        self.takes = takes
        self._run, self._stopped = "", False
        super().__init__(name=name)

    @AsyncStatus.wrap
    async def set(self, arguments: Any = None) -> None:
        text = self.takes is str and not isinstance(arguments, str)
        start = self.start.execute(*([json.dumps(arguments or {}) if text else arguments] if self.takes else []))
        await start
        self._stopped = False
        self._run = str(start.task.result())
        try:
            while (found := await self._status())["state"] in ("QUEUED", "RUNNING"):  # noqa: ASYNC110
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
        finally:
            self._run = ""
        if found["state"] != "DONE" and not self._stopped:
            raise RuntimeError(f"{self.name} {found['state']}: {found['error']}")

    async def _status(self) -> Any:
        look = self.look.execute(self._run)
        await look
        return json.loads(look.task.result())

    def trigger(self) -> AsyncStatus[None]:
        return self.set()

    async def stop(self, success: bool = True) -> None:
        if self._run:
            self._stopped = success
            await self.abort.execute(self._run)
            while self._run:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
