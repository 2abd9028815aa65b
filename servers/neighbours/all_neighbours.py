"""Every kind of neighbour, by the beginning of its address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from devices.core import Reading
from devices.core.errors import BadValueError
from devices.core.neighbours import ANSWER_SECONDS, Changed, Facts, Neighbours, Progress, Watch
from servers.neighbours.tango_neighbours import TangoNeighbours


class AllNeighbours(Neighbours):
    """Tango devices, and PVs by ``ca:`` and ``pva:``.

    Args:
        full_name: makes of a Tango device's name one that can be reached.
        epics: makes what reaches PVs, when the first is asked for; None: PVs cannot be reached from here.
    """

    def __init__(self, full_name: Callable[[str], str], epics: Callable[[], Neighbours] | None = None) -> None:
        self._tango = TangoNeighbours(full_name)
        self._make_epics = epics
        self._epics: Neighbours | None = None

    def watch(self, address: str, changed: Changed) -> Watch:
        return self._of(address).watch(address, changed)

    async def facts(self, address: str) -> Facts:
        return await self._of(address).facts(address)

    async def read(self, address: str) -> Reading[Any]:
        return await self._of(address).read(address)

    async def put(self, address: str, value: Any, seconds: float = ANSWER_SECONDS) -> None:
        await self._of(address).put(address, value, seconds)

    async def run(
        self, address: str, arguments: Mapping[str, Any], progress: Progress | None = None, seconds: float | None = None
    ) -> Any:
        return await self._of(address).run(address, arguments, progress, seconds)

    async def close(self) -> None:
        await self._tango.close()
        if self._epics is not None:
            await self._epics.close()

    def _of(self, address: str) -> Neighbours:
        if not address.startswith(("ca:", "pva:")):
            return self._tango
        if self._epics is None:
            if self._make_epics is None:
                raise BadValueError(f"{address}: this server reaches no PVs")
            self._epics = self._make_epics()
        return self._epics
