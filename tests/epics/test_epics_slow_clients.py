"""Clients of large frames that stop reading, or read less than there is: memory, the others, and the newest frame."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import psutil
import pytest

from servers.epics.access import Access
from servers.epics.audit import Audit
from servers.epics.gate import Gate
from servers.epics.pva import PvAccess
from servers.epics.records import Kind, Reading, Record
from tests.epics.mirroring import until

STOPPED = 20
ROWS, COLUMNS = 1024, 2048  # of uint16: 4 MB
FRAME_BYTES = ROWS * COLUMNS * 2

# One process with a connection for each client: p4p shares connections within a context only.
CLIENTS = """
import json, sys
from p4p.client.thread import Context
conf, count, path = json.loads(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
file = open(path, "w", buffering=1)
contexts = [Context("pva", conf=conf, useenv=False, nt=False) for _ in range(count)]
def note(client):
    return lambda value: value.value.size and file.write(f"{client} {value.value[0]} {value.value[-1]}\\n")
kept = [context.monitor("I", note(client), request="record[queueSize=32]") for client, context in enumerate(contexts)]
sys.stdin.read()
"""


class Bench:
    """A PVAccess server with one image, in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = PvAccess(Gate(Access(), Audit(None)), port=0, broadcast_port=0)
        self.record = Record("I", Kind.UINT16, rank=2, max_length=ROWS * COLUMNS)
        self.server.add(self.record)
        self.server.start()
        self.server.open()

    def publish(self, number: int) -> None:
        self.record.publish(Reading(np.full((ROWS, COLUMNS), number, np.uint16), time.time_ns()))


class Clients:
    """So many clients in one process."""

    def __init__(self, bench: Bench, name: str, count: int) -> None:
        self.count, self._path = count, bench.folder / name
        conf = {
            "EPICS_PVA_AUTO_ADDR_LIST": "NO",
            "EPICS_PVA_ADDR_LIST": "",
            "EPICS_PVA_NAME_SERVERS": f"127.0.0.1:{bench.server.port}",
            "EPICS_PVA_BROADCAST_PORT": str(bench.server.broadcast_port),
        }
        command = [sys.executable, "-c", CLIENTS, json.dumps(conf), str(count), str(self._path)]
        self._popen = subprocess.Popen(command, stdin=subprocess.PIPE)
        self.process = psutil.Process(self._popen.pid)

    def __enter__(self) -> Clients:
        return self

    def __exit__(self, *_: object) -> None:
        self._popen.kill()
        self._popen.wait()

    def got(self) -> dict[int, list[int]]:
        """The numbers of the frames that each client got; fails for a frame made of two."""
        numbers: dict[int, list[int]] = {}
        for line in self._path.read_text().split("\n")[:-1] if self._path.exists() else ():
            client, first, last = map(int, line.split())
            assert first == last, f"a frame begins as number {first} and ends as number {last}"
            numbers.setdefault(client, []).append(first)
        return numbers

    def all_have(self, number: int) -> bool:
        got = self.got()
        return len(got) == self.count and all(numbers[-1] == number for numbers in got.values())


def connections(port: int) -> list[object]:
    """Those of this process to clients."""
    found = psutil.Process().net_connections("tcp")
    return [each for each in found if each.raddr and each.laddr.port == port]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.server.stop()


@pytest.mark.long
def test_twenty_clients_that_stop_cost_a_few_frames_each_and_nobody_else_one(bench: Bench) -> None:
    with ExitStack() as stack:
        reading = stack.enter_context(Clients(bench, "reading", 1))
        stopped = stack.enter_context(Clients(bench, "stopped", STOPPED))
        bench.publish(1)
        until(lambda: reading.all_have(1) and stopped.all_have(1), "all have subscribed", 60.0)
        before = psutil.Process().memory_info().rss
        stopped.process.suspend()
        for number in range(2, 62):  # 240 MB for each
            bench.publish(number)
            until(lambda number=number: reading.got()[0][-1] == number, f"frame {number} at the other client", 20.0)
        grown = psutil.Process().memory_info().rss - before
        print(f"{grown / FRAME_BYTES:.0f} frames of memory")
        # 60 frames for each would be 4.8 GB.
        assert grown < (5 * STOPPED + 32) * FRAME_BYTES, f"{grown / 1e6:.0f} MB"
        assert reading.got()[0] == list(range(1, 62))
        stopped.process.resume()
        until(lambda: stopped.all_have(61), "the newest frame at those that stopped", 60.0)
        assert all(numbers == sorted(set(numbers)) for numbers in stopped.got().values()), "each once, in order"
        assert all(len(numbers) < 50 for numbers in stopped.got().values())


def test_a_client_that_pauses_for_a_moment_loses_no_frame(bench: Bench) -> None:
    with Clients(bench, "pausing", 1) as client:
        bench.publish(1)
        until(lambda: client.all_have(1), "it has subscribed", 30.0)
        client.process.suspend()
        for number in range(2, 2 + bench.server._large["I"].waiting):  # 64 MB wait
            bench.publish(number)
        client.process.resume()
        last = 1 + bench.server._large["I"].waiting
        until(lambda: client.all_have(last), "all of them", 30.0)
        assert client.got()[0] == list(range(1, last + 1))


def test_clients_that_go_leave_nothing_behind(bench: Bench) -> None:
    with Clients(bench, "going", 5) as clients:
        bench.publish(1)
        until(lambda: clients.all_have(1), "they have subscribed", 30.0)
        clients.process.suspend()
        bench.publish(2)
        bench.publish(3)
        assert len(connections(bench.server.port)) == 5
        assert bench.server.clients == 1
    until(lambda: not bench.server._large["I"].clients, "their PVs are forgotten", 20.0)
    assert bench.server.clients == 0
    port = bench.server.port
    until(lambda: not connections(port), "their connections are closed", 20.0)
