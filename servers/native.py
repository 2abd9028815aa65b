"""The native services of instruments: what their own existing clients talk to, beside Tango and EPICS.

A service lives and ends with its device, also over Tango's Init.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Protocol

from devices.core import Device
from devices.core.errors import ConfigurationError, DiptychError

log = logging.getLogger("diptych.native")

#: Kind of service -> what makes one for a device from its options.
KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "alpaca": "servers.alpaca.hosted:alpaca",
        "axis": "servers.axis.hosted:axis",
        "azcam": "servers.azcam.hosted:azcam",
        "daqdata": "servers.daqdata.hosted:daqdata",
        "ingest": "servers.ingest.hosted:ingest",
        "leash": "servers.leash.hosted:leash",
    }
)
RETRY_S: Final = 2.0


class Service(Protocol):
    """A service of a device; both methods run in the device's loop."""

    async def start(self) -> None:
        """Listen.

        Raises:
            DiptychError: it cannot, and why; it is tried again.
        """

    async def stop(self) -> None:
        """Listen no more."""


@dataclass(frozen=True)
class NativeService:
    """A service that a facility file asks for.

    Attributes:
        name: of the entry, for people.
        kind: one of `KINDS`.
        device: the device that it serves.
        options: texts, with every reference resolved.
    """

    name: str
    kind: str
    device: str
    options: Mapping[str, str] = field(default_factory=dict)


class RunningServices:
    """The services of one device, each kept up by a task; what keeps one from listening is a fault of the device."""

    def __init__(self, device: Device, wanted: Sequence[NativeService]) -> None:
        self._device, self._wanted = device, wanted
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self._keep(each), name=f"{each.kind} {each.name}") for each in self._wanted]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks.clear()

    async def _keep(self, wanted: NativeService) -> None:
        service: Service | None = None
        told = ""
        try:
            while True:
                try:
                    # In a thread: libraries are imported, and the loop goes on meanwhile.
                    factory = await asyncio.to_thread(_factory, wanted.kind)
                    service = factory(self._device, wanted.options)
                    await service.start()
                except DiptychError as error:
                    service = None
                    if told != str(error):
                        told = str(error)
                        log.error("%s of %s: %s", wanted.name, wanted.device, error)
                        self._device.set_fault(f"service {wanted.name}", told)
                    await asyncio.sleep(RETRY_S)
                else:
                    self._device.set_fault(f"service {wanted.name}", "")
                    await asyncio.Event().wait()  # until it is cancelled
        finally:
            if service is not None:
                await service.stop()


def services_of(device: str, wanted: Sequence[NativeService]) -> list[NativeService]:
    """Those of a device; Tango names are caseless."""
    return [each for each in wanted if each.device.casefold() == device.casefold()]


def _factory(kind: str) -> Callable[[Device, Mapping[str, str]], Service]:
    try:
        module, _, name = KINDS[kind].partition(":")
    except KeyError:
        raise ConfigurationError("services", [f"kind = {kind!r} is none of {', '.join(KINDS)}"]) from None
    found: Callable[[Device, Mapping[str, str]], Service] = getattr(importlib.import_module(module), name)
    return found
