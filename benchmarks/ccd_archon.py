"""An Archon: how quickly a frame of 34 MB and configurations come and go, beside a plain copy and sdss-archon.

The simulated controller runs in a process of its own; all clients talk to the same one, in turn.
"""

from __future__ import annotations

import asyncio
import importlib.util
import multiprocessing
import socket
import statistics
import tempfile
import time
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figure import Figure
from devices.drivers.archon import ArchonDriver
from devices.drivers.archon_config import ArchonConfiguration, format_configuration
from devices.drivers.archon_status import Buffer
from devices.simulators.archon import run as simulate

ROUNDS = 9
LINES, PIXELS = 2048, 2080  # of each of four taps: 4096 x 4096 with 32 overscan columns each, 34.1 MB
SMALL, LARGE = 43, 6000  # lines of configurations


def run() -> list[Figure]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    simulator = multiprocessing.get_context("spawn").Process(target=_simulator, args=(port,), daemon=True)
    simulator.start()
    try:
        return asyncio.run(_measured(port))
    finally:
        simulator.terminate()
        simulator.join()


def _simulator(port: int) -> None:
    asyncio.run(simulate(port, {"scene": "test", "prescan": 0, "pixel_rate_hz": 1e9, "row_s": 0.0}))


async def _measured(port: int) -> list[Figure]:
    driver = ArchonDriver("127.0.0.1", port)
    await _connected(driver)
    buffer = await _frame(driver)
    ours: list[float] = []
    plain: list[float] = []
    theirs: list[float] = []
    into = np.zeros(buffer.blocks * 1024, np.uint8)
    room = bytearray(buffer.blocks * 1028)
    peer = await _peer(port)
    for _ in range(ROUNDS):
        plain.append(await asyncio.to_thread(_plain_copy, port, buffer, room))
        ours.append(await _timed(lambda: driver.fetch(buffer, into=into)))
        if peer is not None:
            theirs.append(await _timed(lambda: peer.fetch(buffer.number)))
    figures = [
        Figure("Archon: fetch of 34 MB; peer a plain copy", _median(ours), "ms", _median(plain), at_least=1 / 1.2),
    ]
    if theirs:
        figures.append(Figure("Archon: fetch of 34 MB; peer sdss-archon", _median(ours), "ms", _median(theirs)))
    for lines in (SMALL, LARGE):
        figures += await _uploads(driver, peer, lines)
    if peer is not None:
        await peer.stop()
    await driver.close()
    return figures


async def _uploads(driver: ArchonDriver, peer: Any, lines: int) -> list[Figure]:
    configuration = _configuration(lines)
    new, again, theirs = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.acf"
        path.write_text(format_configuration(configuration))
        for _ in range(3):
            await driver.message("CLEARCONFIG")
            new.append(await _timed(lambda: driver.load_configuration(configuration)))
            again.append(await _timed(lambda: driver.load_configuration(configuration)))
            if peer is not None:
                theirs.append(await _timed(lambda: peer.write_config(path)))
    # What sdss-archon does besides, its reset, is the same for both lengths and takes some milliseconds.
    return [
        Figure(f"Archon: {lines} lines written, read back; peer sdss-archon", _median(new), "ms", _median(theirs)),
        Figure(f"Archon: {lines} lines that it has already, compared", _median(again), "ms"),
    ]


async def _connected(driver: ArchonDriver) -> None:
    end = time.monotonic() + 30.0
    while True:
        try:
            return await driver.connect()
        except ConnectionError:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.1)


async def _frame(driver: ArchonDriver) -> Buffer:
    await driver.load_configuration(_configuration(SMALL))
    await driver.apply_all()
    await driver.load_parameter("Exposures", 1)
    return await driver.wait_frame({}, asyncio.get_running_loop().time(), 30.0)


def _configuration(lines: int) -> ArchonConfiguration:
    values = {"LINECOUNT": str(LINES), "PIXELCOUNT": str(PIXELS), "BIGBUF": "0", "TAPLINES": "4"}
    values |= {f"TAPLINE{n}": f"AD{n + 1}L, 1.0, 0" for n in range(4)}
    values |= {"PARAMETERS": "1", "PARAMETER0": "Exposures=0", "LINES": str(lines - 11)}
    values |= {f"LINE{n}": f"Sample; STEP {n}" for n in range(lines - 11)}
    return ArchonConfiguration(values.items())


async def _peer(port: int) -> Any:
    """sdss-archon, None where it is not installed."""
    if importlib.util.find_spec("archon") is None:
        return None
    from archon.controller import ArchonController

    warnings.simplefilter("ignore")
    peer = ArchonController("peer", "127.0.0.1", port)
    await peer.start(reset=False, read_acf=False)
    return peer


def _plain_copy(port: int, buffer: Buffer, room: bytearray) -> float:
    """The same bytes from the same simulator into memory that is there already, and nothing done with them."""
    view = memoryview(room)
    with socket.create_connection(("127.0.0.1", port)) as plain:
        began = time.perf_counter()
        plain.sendall(f">01FETCH{buffer.base:08X}{buffer.blocks:08X}\n".encode("ascii"))
        received = 0
        while received < len(view):
            received += plain.recv_into(view[received:])
        return time.perf_counter() - began


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


def _median(seconds: list[float]) -> float | None:
    """In ms."""
    return 1000.0 * statistics.median(seconds) if seconds else None


if __name__ == "__main__":
    for figure in run():
        print(figure.line())
