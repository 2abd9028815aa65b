"""CCD controllers behind a controller server: how quickly an image of 34 MB comes, beside a plain copy.

The simulated controller runs in a process of its own and has read an image out; the driver and a bare socket ask it
for the image by the same requests, in turn.
"""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import socket
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.figure import Figure
from devices.ccd.arc_link import ArcLink
from devices.ccd.arc_settings import ArcSettings
from devices.ccd.controller_link import ControllerLink
from devices.ccd.magellan_link import MagellanLink
from devices.ccd.magellan_settings import MagellanSettings
from devices.drivers.controller_server import MOST_BYTES, ControllerServer
from devices.pipelines.ccd.detector import FocalPlane, Format
from devices.pipelines.ccd.geometry import make_geometry, whole

ROUNDS = 9
PROGRAMS = Path(__file__).parents[1] / "dbconfig" / "ccd"
#: 34.1 MB: four amplifiers of a quarter of the pixels each, with 32 overscan columns.
FORMAT = Format(columns=4096, serial_predark=0, serial_underscan=0, serial_overscan=32, rows=4096)
GEOMETRY = make_geometry(FORMAT, FocalPlane(1, 1, 2, 2, (0, 1, 2, 3)), whole(FORMAT))


@dataclass(frozen=True)
class Make:
    """One make of controller; kind and options of its simulator."""

    name: str
    kind: str
    link: Callable[[int], ControllerLink]
    options: Mapping[str, object]


#: The read-out itself is not measured.
FAST: Mapping[str, object] = {"scene": "test", "prescan": 0, "pixel_rate_hz": 1e9, "row_s": 0.0}
MAKES = (
    Make(
        "ARC",
        "arc",
        lambda port: ArcLink(ArcSettings("127.0.0.1", port, timing_file=PROGRAMS / "arc-timing.lod", timeout=10.0)),
        FAST,
    ),
    Make(
        "Magellan",
        "magellan",
        lambda port: MagellanLink(
            MagellanSettings(
                "127.0.0.1", PROGRAMS / "magellan.s", port, timeout=10.0, interface_seconds=0.0, upload_seconds=0.0
            )
        ),
        {**FAST, "dsp_reset_s": 0.0},
    ),
)


def run() -> list[Figure]:
    return [_run(make) for make in MAKES]


def _run(make: Make) -> Figure:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    simulator = multiprocessing.get_context("spawn").Process(
        target=_simulator, args=(make.kind, port, dict(make.options)), daemon=True
    )
    simulator.start()
    try:
        return asyncio.run(_measured(make, port))
    finally:
        simulator.terminate()
        simulator.join()


def _simulator(kind: str, port: int, options: Mapping[str, object]) -> None:
    asyncio.run(importlib.import_module(f"devices.simulators.{kind}").run(port, options))


async def _measured(make: Make, port: int) -> Figure:
    link = make.link(port)
    await _connected(link)
    await link.reset()
    await link.set_geometry(GEOMETRY)
    await link.start_exposure(0.0, False)
    await link.read_image(lambda pixels: None)
    server = ControllerServer("127.0.0.1", port, timeout=10.0)
    into = np.zeros(2 * GEOMETRY.pixels, np.uint8)
    room = memoryview(bytearray(into.size))
    ours: list[float] = []
    plain: list[float] = []
    for _ in range(ROUNDS):
        plain.append(await asyncio.to_thread(_plain_copy, port, room))
        began = time.perf_counter()
        await server.image(into, 10.0)
        ours.append(time.perf_counter() - began)
    assert room[-64:] == into[-64:].data
    await link.close()
    name = f"{make.name}: image of {into.size / 1e6:.0f} MB; peer a plain copy"
    return Figure(name, 1000 * statistics.median(ours), "ms", 1000 * statistics.median(plain), at_least=1 / 1.2)


async def _connected(link: ControllerLink) -> None:
    end = time.monotonic() + 30.0
    while True:
        try:
            await link.connect()
            return
        except ConnectionError:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.1)


def _plain_copy(port: int, room: memoryview) -> float:
    """The same requests and bytes on a bare socket, into memory that is there already."""
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
