"""Readings that a trigger waits for."""

import asyncio
from typing import Any, ClassVar

from ophyd_async.core import AsyncStatus, SignalR, StandardReadable

# what follows stands in generated files


class AwaitsReadings(StandardReadable):
    """A trigger waits for the next readings of ``_awaited``: a single number or text has changed then, several bear one
    new time stamp, and are read as they were at that time.

    It fails when they have not come within ``trigger_seconds``; None: they may take any time.
    """

    LOOK_SECONDS: ClassVar = 0.1
    trigger_seconds: float | None = 60.0
    _awaited: tuple[SignalR[Any], ...]
    _taken: dict[str, Any]

    @AsyncStatus.wrap
    async def trigger(self) -> None:
        self._taken = {}
        before = found = await self._look()
        limit = asyncio.timeout(self.trigger_seconds)
        try:
            async with limit:
                while not self._is_new(before, found):
                    await asyncio.sleep(self.LOOK_SECONDS)
                    found = await self._look()
        except TimeoutError:
            if not limit.expired():
                raise
            first = self._awaited[0].name
            reading = found[first]
            invalid = reading["value"] is None or reading["alarm_severity"] < 0  # Tango, EPICS
            why = ", and it is INVALID" if invalid else ""
            raise TimeoutError(f"{first}: nothing new within {self.trigger_seconds:g} s{why}") from None
        if len(found) > 1:
            self._taken = found

    async def read(self) -> Any:
        taken, self._taken = self._taken, {}
        return {**await super().read(), **taken}

    async def _look(self) -> dict[str, Any]:
        readings = await asyncio.gather(*(signal.read(cached=False) for signal in self._awaited))
        return {name: reading for each in readings for name, reading in each.items()}

    def _is_new(self, before: dict[str, Any], found: dict[str, Any]) -> bool:
        first = self._awaited[0].name
        if len(found) == 1 and isinstance(found[first]["value"], int | float | str):
            return bool(found[first]["value"] != before[first]["value"])
        stamps = {reading["timestamp"] for reading in found.values()}
        return stamps != {before[first]["timestamp"]} and len(stamps) == 1
