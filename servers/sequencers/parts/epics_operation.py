"""An operation of a device, through its PVs."""

import asyncio
import json
from typing import Any

from ophyd_async.core import AsyncStatus, Device
from ophyd_async.epics.core import epics_signal_r, epics_signal_w, epics_triggerable_command

# what follows stands in generated files


class Operation(Device):
    """An operation: ``set(arguments)`` runs it and ends when it has ended, however late; ``stop`` aborts it,
    and the set then fails unless it is told that this is a success.

    One argument is given as it is, several as a dict; ``trigger`` takes the defaults.
    """

    def __init__(self, prefix: str, pv: str, takes: type | None, name: str = "") -> None:
        start = prefix + pv
        self.start: Any = epics_signal_w(takes, start) if takes else epics_triggerable_command(start)
        self.status = epics_signal_r(str, f"{start}:Status")
        self.error = epics_signal_r(str, f"{start}:Error")
        self.abort = epics_signal_w(str, f"{prefix}Abort")
        self.takes = takes
        self._runs = self._stopped = False
        super().__init__(name=name)

    @AsyncStatus.wrap
    async def set(self, arguments: Any = None) -> None:
        reason: Exception | None = None
        self._runs, self._stopped = True, False
        try:
            if self.takes is None:
                await self.start.trigger(timeout=None)
            else:
                text = self.takes is str and not isinstance(arguments, str)
                await self.start.set(json.dumps(arguments or {}) if text else arguments, timeout=None)
        except Exception as refused:  # Channel Access does not say why, so the reason is asked for below
            reason = refused
        finally:
            self._runs = False
        status = await self.status.get_value()
        if (reason or status != "DONE") and not self._stopped:
            raise RuntimeError(f"{self.name} {status}: {await self.error.get_value()}") from reason

    def trigger(self) -> AsyncStatus[None]:
        return self.set()

    async def stop(self, success: bool = True) -> None:
        if self._runs:
            self._stopped = success
            await self.abort.set("1")
            while self._runs:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
