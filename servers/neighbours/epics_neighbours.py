"""PVs as neighbours: ``ca:NAME`` and ``pva:NAME``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from devices.core import Reading
from devices.core.neighbours import ANSWER_SECONDS, Changed, Facts, Neighbours, Progress, Watch
from servers.neighbours.epics_ca import CaPvs
from servers.neighbours.epics_pva import PvaPvs


class EpicsNeighbours(Neighbours):
    """PVs of Channel Access and PVAccess servers.

    Args:
        ca, pva: where they are, ``HOST:PORT`` each; the environment is not asked.
    """

    def __init__(self, ca: Sequence[str], pva: Sequence[str]) -> None:
        self._ca = CaPvs([(host, int(port)) for host, _, port in (each.rpartition(":") for each in ca)])
        self._pva = PvaPvs(pva)

    def watch(self, address: str, changed: Changed) -> Watch:
        pvs, name = self._of(address)
        return pvs.watch(name, changed)

    async def facts(self, address: str) -> Facts:
        pvs, name = self._of(address)
        return await pvs.facts(name)

    async def read(self, address: str) -> Reading[Any]:
        pvs, name = self._of(address)
        return await pvs.read(name)

    async def put(self, address: str, value: Any, seconds: float = ANSWER_SECONDS) -> None:
        pvs, name = self._of(address)
        await pvs.put(name, value, seconds)

    async def run(
        self, address: str, arguments: Mapping[str, Any], progress: Progress | None = None, seconds: float | None = None
    ) -> Any:
        """PVAccess: a remote procedure call. Channel Access: a put of the one argument, or of 1, to its end."""
        pvs, name = self._of(address)
        if isinstance(pvs, PvaPvs):
            return await pvs.run(name, arguments, seconds)
        value = next(iter(arguments.values()), 1)
        await pvs.put(name, value, 1e6 if seconds is None else seconds)
        return None

    async def close(self) -> None:
        await self._ca.close()
        await self._pva.close()

    def _of(self, address: str) -> tuple[CaPvs | PvaPvs, str]:
        kind, _, name = address.partition(":")
        return (self._ca if kind == "ca" else self._pva), name
