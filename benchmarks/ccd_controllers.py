"""CCD controllers behind a controller server: how quickly an image of 34 MB comes, beside a plain copy.

The simulated controller runs in a process of its own; link and plain copy fetch the same image from it, in turn.
"""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import socket
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.figure import Figure
from devices.drivers.controller_server import MOST_BYTES, ControllerServer

ROUNDS = 9
#: 4096 x 4096 pixels with 32 overscan columns of each of four amplifiers.
PIXELS = 4 * 2048 * 2080


@dataclass(frozen=True)
class Make:
    """One make of controller: how it is brought to have an image of `PIXELS`.

    Attributes:
        kind: of its simulator. commands: to its server.
    """

    name: str
    kind: str
    commands: Sequence[str]
    options: Mapping[str, object] = field(default_factory=dict)


MAKES = (
    Make("Magellan", "magellan", (f"Set NumberPixelsImage {PIXELS}", "MagIO fillbuffer 1 0")),
)  # fmt: skip


def run() -> list[Figure]:
    return [figure for make in MAKES for figure in _run(make)]


def _run(make: Make) -> list[Figure]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    simulator = multiprocessing.get_context("spawn").Process(target=_simulator, args=(make, port), daemon=True)
    simulator.start()
    try:
        return asyncio.run(_measured(make, port))
    finally:
        simulator.terminate()
        simulator.join()


def _simulator(make: Make, port: int) -> None:
    asyncio.run(importlib.import_module(f"devices.simulators.{make.kind}").run(port, dict(make.options)))


async def _measured(make: Make, port: int) -> list[Figure]:
    server = ControllerServer("127.0.0.1", port, timeout=10.0)
    await _connected(server)
    for command in make.commands:
        await server.command(command)
    into = np.zeros(2 * PIXELS, np.uint8)
    room = memoryview(bytearray(2 * PIXELS))
    ours: list[float] = []
    plain: list[float] = []
    for _ in range(ROUNDS):
        plain.append(await asyncio.to_thread(_plain_copy, port, room))
        began = time.perf_counter()
        await server.image(into, 10.0)
        ours.append(time.perf_counter() - began)
    assert bytes(room[-64:]) == into[-64:].tobytes()
    await server.close()
    name = f"{make.name}: image of {2 * PIXELS / 1e6:.0f} MB; peer a plain copy"
    return [
        Figure(name, 1000 * statistics.median(ours), "ms", 1000 * statistics.median(plain), at_least=1 / 1.2)
    ]  # fmt: skip


async def _connected(server: ControllerServer) -> None:
    end = time.monotonic() + 30.0
    while True:
        try:
            return await server.connect()
        except ConnectionError:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.1)


def _plain_copy(port: int, room: memoryview) -> float:
    """The same requests and bytes on a bare socket, and nothing else."""
    with socket.create_connection(("127.0.0.1", port)) as plain:
        began = time.perf_counter()
        done, head = 0, memoryview(bytearray(17))
        while done < len(room):
            plain.sendall(f"GetImageData {min(MOST_BYTES, len(room) - done)}\n".encode("ascii"))
            plain.recv_into(head, 17, socket.MSG_WAITALL)
            end = done + int(bytes(head))
            while done < end:
                done += plain.recv_into(room[done:end])
        return time.perf_counter() - began


if __name__ == "__main__":
    for figure in run():
        print(figure.line())
