"""The image ingest: 16 nodes send sub-bands of 300 x 300 x 25 float64, 2.5 times as fast as real ones.

Beside it, on the same machine: a copy of the reading loop of the process server of 2024 (255 bytes a call, hex text
appended to a string, a search for "93"), with a small payload and extrapolated by its length, which flatters it: its
cost grows faster; and ``recv_into`` alone, which no server can beat.
Run with ``python -m benchmarks correlator_ingest``, or with
``python -m benchmarks.correlator_ingest GULPS RATE``: fewer of them, or in real time (1).
"""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import sys
import time
from collections.abc import Callable

import numpy as np

from benchmarks.figure import HEADER, Figure
from devices.correlator.assembler import Assembler, AssemblyPolicy
from devices.correlator.gulp import Gulp, GulpShape
from devices.correlator.nodes import Nodes
from devices.correlator.slots import CubeSlots
from devices.simulators.correlator.settings import NodeSettings
from devices.simulators.correlator.simulator import simulate
from servers.ingest.service import IngestService
from servers.ingest.settings import IngestSettings, Listening

GULPS = 100
RATE = 2.5
SHAPE = GulpShape()
SUB_BAND_BYTES = 8 * SHAPE.samples * SHAPE.size**2 + 128
GULP_BYTES = SHAPE.channels * SUB_BAND_BYTES
PEER_BYTES = 1 << 20
SLOTS = 5
#: Nodes may be apart by as many seconds as in real time, so by more gulps.
POLICY = AssemblyPolicy(open_gulps=SLOTS - 1)


class Station:
    """What an ingest needs of a device; a gulp is looked at and forgotten."""

    def __init__(self) -> None:
        self.slots = CubeSlots(SHAPE, SLOTS)
        self.assembler = Assembler(SHAPE, self.slots, POLICY, self.take)
        self.nodes = Nodes(SHAPE.channels)
        self.sub_bands = 0
        self.has_begun = asyncio.Event()

    def take(self, gulp: Gulp) -> None:
        self.sub_bands += int(np.count_nonzero(np.isfinite(gulp.cube[:, 3, 5, 7])))
        self.slots.release(gulp.slot)
        self.has_begun.set()


def run(gulps: int = GULPS, rate: float = RATE) -> list[Figure]:
    """Loss, and the processor time of a gulp."""
    lost, seconds = asyncio.run(_ours(gulps, rate))
    share = 100.0 * seconds / NodeSettings().gulp_s
    old = _received(_old_loop, PEER_BYTES) * GULP_BYTES / PEER_BYTES
    plain = _received(_plain_loop, 8 * SUB_BAND_BYTES) * SHAPE.channels / 8
    megabytes = rate * GULP_BYTES / NodeSettings().gulp_s / 1e6
    return [
        Figure(f"ingest: sub-bands lost of {gulps} gulps at {megabytes:.0f} MB/s", lost, "", below=1.0),
        Figure("ingest: share of a core, 16 nodes in real time", share, "%", below=40.0),
        Figure("ingest: processor time of a gulp (peer: the loop of 2024)", seconds, "s", old, at_least=50.0),
        Figure("ingest: processor time of a gulp (peer: recv_into alone)", seconds, "s", plain),
    ]


async def _ours(gulps: int, rate: float) -> tuple[int, float]:
    """Sub-bands that were lost, and processor seconds of a gulp."""
    station = Station()
    service = IngestService(station, IngestSettings(listen=(Listening("127.0.0.1", 0),)))
    await service.start()
    nodes = multiprocessing.get_context("spawn").Process(target=_send, args=(service.endpoints[0], gulps, rate))
    nodes.start()
    # The first gulp takes memory for the first time; it is not counted.
    await asyncio.wait_for(station.has_begun.wait(), 60.0)
    began, before = time.process_time(), station.sub_bands
    await asyncio.to_thread(nodes.join)
    seconds = time.process_time() - began
    counted = (station.sub_bands - before) / SHAPE.channels
    station.assembler.end_all()
    await service.stop()
    station.slots.close()
    return gulps * SHAPE.channels - station.sub_bands, seconds / max(1.0, counted)


def _send(server: str, gulps: int, rate: float) -> None:
    settings = NodeSettings(server=server, gulps=gulps, rate=rate, behind_gulps=1e9)
    sent = asyncio.run(simulate(settings))
    print(f"nodes: {sent}", file=sys.stderr)


def _received(loop: Callable[[socket.socket, int], None], nbytes: int) -> float:
    """Processor seconds that a loop needs for so many bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sender = multiprocessing.get_context("spawn").Process(
            target=_send_plain, args=(listening.getsockname()[1], nbytes)
        )
        sender.start()
        connection, _ = listening.accept()
        with connection:
            began = time.process_time()
            loop(connection, nbytes)
            seconds = time.process_time() - began
        sender.join()
    return seconds


def _send_plain(port: int, nbytes: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"\x93NUMPY\x01\x00" + np.random.default_rng(0).bytes(nbytes - 8))


def _old_loop(connection: socket.socket, nbytes: int) -> None:
    """As the process server of 2024 reads; without its line in a log for each call."""
    text, start = "", -1
    while start < 0 or len(text) - start < 2 * nbytes:
        data, _, _, _ = connection.recvmsg(255)
        text += data.hex()
        start = text.find("93")
    np.frombuffer(bytes.fromhex(text[start:]), np.uint8)


def _plain_loop(connection: socket.socket, nbytes: int) -> None:
    into = memoryview(bytearray(SUB_BAND_BYTES))
    received = 0
    while received < nbytes:
        received += connection.recv_into(into)


if __name__ == "__main__":
    print(HEADER)
    for figure in run(*(kind(word) for kind, word in zip((int, float), sys.argv[1:], strict=False))):
        print(figure.line())
