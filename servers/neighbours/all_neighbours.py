"""Every kind of neighbour, by the beginning of its address."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Callable, Mapping
from typing import Any

from devices.core import Quality, Reading
from devices.core.errors import BadValueError, reason
from devices.core.neighbours import ANSWER_SECONDS, Changed, Facts, Neighbours, Progress, Watch
from servers.neighbours.tango_neighbours import TangoNeighbours


class _Later(Watch):
    """A watch of a PV that begins when what reaches PVs is loaded."""

    def __init__(self, owner: AllNeighbours, address: str, changed: Changed) -> None:
        self._watch: Watch | None = None
        self._beginning = asyncio.create_task(self._begin(owner, address, changed), name=f"watch {address}")

    def close(self) -> None:
        self._beginning.cancel()
        if self._watch is not None:
            self._watch.close()

    async def _begin(self, owner: AllNeighbours, address: str, changed: Changed) -> None:
        try:
            self._watch = (await owner.of(address)).watch(address, changed)
        except Exception as error:
            changed(Reading(None, time.time(), Quality.INVALID, f"{reason(error)}: {error}"))


class AllNeighbours(Neighbours):
    """Tango devices, and PVs by ``ca:`` and ``pva:``.

    Args:
        full_name: makes of a Tango device's name one that can be reached.
        epics: makes what reaches PVs, when the first is asked for; None: PVs cannot be reached from here. Its libraries
            are loaded in a thread before: that takes longer than the loop may stand still.
    """

    def __init__(self, full_name: Callable[[str], str], epics: Callable[[], Neighbours] | None = None) -> None:
        self._tango = TangoNeighbours(full_name)
        self._make_epics = epics
        self._epics: Neighbours | None = None
        self._loading = asyncio.Lock()

    def watch(self, address: str, changed: Changed) -> Watch:
        if not _is_pv(address):
            return self._tango.watch(address, changed)
        self._demand_epics(address)
        return _Later(self, address, changed) if self._epics is None else self._epics.watch(address, changed)

    async def facts(self, address: str) -> Facts:
        return await (await self.of(address)).facts(address)

    async def read(self, address: str) -> Reading[Any]:
        return await (await self.of(address)).read(address)

    async def put(self, address: str, value: Any, seconds: float = ANSWER_SECONDS) -> None:
        await (await self.of(address)).put(address, value, seconds)

    async def run(
        self, address: str, arguments: Mapping[str, Any], progress: Progress | None = None, seconds: float | None = None
    ) -> Any:
        return await (await self.of(address)).run(address, arguments, progress, seconds)

    async def close(self) -> None:
        await self._tango.close()
        if self._epics is not None:
            await self._epics.close()

    async def of(self, address: str) -> Neighbours:
        """Who reaches an address.

        Raises:
            BadValueError: it is a PV, and this server reaches none.
        """
        if not _is_pv(address):
            return self._tango
        make = self._demand_epics(address)
        async with self._loading:
            if self._epics is None:
                await asyncio.to_thread(importlib.import_module, "servers.neighbours.epics_neighbours")
                self._epics = make()
        return self._epics

    def _demand_epics(self, address: str) -> Callable[[], Neighbours]:
        if self._make_epics is None:
            raise BadValueError(f"{address}: this server reaches no PVs")
        return self._make_epics


def _is_pv(address: str) -> bool:
    return address.startswith(("ca:", "pva:"))
