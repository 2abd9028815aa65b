"""A station without a device: what an ingest needs, and the gulps that it delivered."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.correlator.assembler import Assembler, AssemblyPolicy
from devices.correlator.gulp import Gulp, GulpShape
from devices.correlator.nodes import Nodes
from devices.correlator.slots import CubeSlots
from devices.drivers.correlator_client import CorrelatorClient
from devices.drivers.correlator_npy import node_header
from servers.ingest.service import IngestService
from servers.ingest.settings import IngestSettings, Listening

#: No two axes are alike: (channel, sample, y, x) = (3, 5, 6, 6); y and x are told apart by their values.
SMALL = GulpShape(channels=3, samples=5, size=6)
ISOT = "2026-11-21T03:12:04.215"
LATER = "2026-11-21T03:12:07.570"
EARLIER = "2026-11-21T03:12:00.860"


@dataclass
class Station:
    shape: GulpShape
    nodes: Nodes
    slots: CubeSlots
    assembler: Assembler
    gulps: list[Gulp] = field(default_factory=list)
    service: IngestService | None = None
    clients: list[CorrelatorClient] = field(default_factory=list)
    keeps_slots: bool = False

    @property
    def port(self) -> int:
        assert self.service is not None
        return int(self.service.endpoints[0].rpartition(":")[2])

    def take(self, gulp: Gulp) -> None:
        self.gulps.append(replace(gulp, cube=gulp.cube.copy(), present=gulp.present.copy()))
        if not self.keeps_slots:
            self.slots.release(gulp.slot)

    def client(self, **options: Any) -> CorrelatorClient:
        """One that is closed with the station."""
        self.clients.append(CorrelatorClient("127.0.0.1", self.port, **options))
        return self.clients[-1]


@contextlib.contextmanager
def assembling(shape: GulpShape = SMALL, slots: int = 4, **policy: Any) -> Any:
    """A station that listens to nobody; within a running loop."""
    memory = CubeSlots(shape, slots)
    gulps: list[Callable[[Gulp], None]] = []
    assembler = Assembler(shape, memory, AssemblyPolicy(**policy), lambda gulp: gulps[0](gulp))
    station = Station(shape, Nodes(shape.channels), memory, assembler)
    gulps.append(station.take)
    try:
        yield station
    finally:
        assembler.close()
        memory.close()


@contextlib.asynccontextmanager
async def serving(
    shape: GulpShape = SMALL, policy: dict[str, Any] | None = None, slots: int = 4, **settings: Any
) -> AsyncIterator[Station]:
    """A station that listens on a free port."""
    with assembling(shape, slots, **(policy or {})) as station:
        settings.setdefault("listen", (Listening("127.0.0.1", 0),))
        service = IngestService(station, IngestSettings(**settings))
        await service.start()
        station.service = service
        try:
            yield station
        finally:
            for client in station.clients:
                client.close()
            await service.stop()


def sub_band(channel: int, shape: GulpShape = SMALL) -> NDArray[np.float64]:
    """An image that tells its axes: 1000 channel + 100 y + 10 x + sample; axes (y, x, sample), as nodes have them."""
    y, x, sample = np.meshgrid(*(np.arange(n) for n in (shape.size, shape.size, shape.samples)), indexing="ij")
    return 1000.0 * channel + 100.0 * y + 10.0 * x + sample


def node_body(channel: int, shape: GulpShape = SMALL, dtype: str = "<f8") -> bytes:
    array = sub_band(channel, shape).astype(dtype)
    return node_header(array.shape) + array.tobytes()


def request(target: str, body: bytes, *fields: str) -> bytes:
    """As the nodes' own client spells it."""
    lines = [
        f"PUT {target} HTTP/1.1",
        "Host: 127.0.0.1:8843",
        "Accept-Encoding: identity",
        "User-Agent: curl/7.78.0",
        "Accept: */*",
        "Referer: rbose",
        f"Content-Length: {len(body)}",
        *fields,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, str]:
    """Status and text of the next answer."""
    async with asyncio.timeout(10.0):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("Content-Length"))
        return int(head.split()[1]), (await reader.readexactly(length)).decode()


async def exchange(port: int, sent: bytes) -> tuple[int, str]:
    """Send bytes over a connection of their own; the first answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        return await answer_of(reader)
    finally:
        writer.close()


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it has not happened"
        await asyncio.sleep(0.01)
