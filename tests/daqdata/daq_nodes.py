"""DAQ nodes that publish numbered images, each behind a DaqData service of its own on a free port."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from devices.daq.frame import Frame
from devices.daq.node import Acquisition, Limits, Node
from devices.drivers.pff import PRODUCTS, Stamp, encode_header
from servers.daqdata.service import DaqDataService, ServiceSettings

SECOND = 1721882086  # 2024-07-25T04:34:46Z
TAI = (SECOND + 37) % 1024
ADDRESS = "127.0.0.1:0"
Publish = Callable[[Frame], None]


def movie(number: int, module: int) -> Frame:
    """An image of which each pixel tells its place, and the first one its number."""
    pixels = np.arange(1024, dtype="<u2") * 61
    pixels[0] = number
    stamp = Stamp(number % 65536, TAI, 1_000_000 * (number % 1000) + 17, SECOND, 1000 * (number % 1000))
    return Frame(PRODUCTS["img16"], module, 0, encode_header([stamp] * 4), pixels.tobytes(), "movie.pff", number)


def pulse(number: int, module: int) -> Frame:
    """A pulse height of -5 in its first pixel, of 3000 in its last."""
    pixels = np.zeros(256, "<i2")
    pixels[0], pixels[-1] = -5, 3000
    stamp = Stamp(number % 65536, TAI, 17, SECOND, 250)
    return Frame(PRODUCTS["ph256"], module, 2, encode_header([stamp], 2), pixels.tobytes(), "pulse.pff", number)


@dataclass(eq=False)
class Ticker:
    """A source of a movie image and, of each tenth, a pulse height, every few ms; ``most`` in all."""

    publish: Publish
    module: int
    period_s: float
    most: int | None
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        self.ready.set()
        for number in itertools.count():
            if number == self.most:
                break
            self.publish(movie(number, self.module))
            if number % 10 == 0:
                self.publish(pulse(number // 10, self.module))
            await asyncio.sleep(self.period_s)
        await asyncio.Event().wait()


@dataclass(frozen=True)
class DaqNodeServer:
    """A node that is served.

    Args:
        host: HOST:PORT.
    """

    host: str
    node: Node
    service: DaqDataService


@asynccontextmanager
async def daq_node(
    module: int,
    *,
    period_s: float = 0.005,
    most: int | None = None,
    begun: bool = True,
    limits: Limits | None = None,
    **settings: Any,
) -> AsyncIterator[DaqNodeServer]:
    node = Node(lambda wanted, publish: [Ticker(publish, module, period_s, most)], limits or Limits())
    service = DaqDataService(node, ServiceSettings((ADDRESS,), "node", **settings))
    await service.start()
    try:
        if begun:
            await node.initialise(Acquisition("", 0.01), force=True)
        yield DaqNodeServer(f"127.0.0.1:{service.ports[ADDRESS]}", node, service)
    finally:
        await service.stop()


def config_of(*hosts: str) -> dict[str, Any]:
    return {"daq_nodes": [{"ip_addr": host, "data_dir": "/data"} for host in hosts]}


def with_nodes(test: Callable[..., Awaitable[None]], *modules: int, seconds: float = 100.0, **settings: Any) -> None:
    """Run a coroutine with a node for each module; it fails after so many seconds."""

    async def work() -> None:
        async with AsyncExitStack() as stack:
            nodes = [await stack.enter_async_context(daq_node(module, **settings)) for module in modules]
            await asyncio.wait_for(test(*nodes), seconds)

    asyncio.run(work())


def with_nodes_blocking(test: Callable[..., None], *modules: int, **settings: Any) -> None:
    """Run a plain function in a thread with a node for each module."""

    async def work(*nodes: DaqNodeServer) -> None:
        await asyncio.to_thread(test, *nodes)

    with_nodes(work, *modules, **settings)
