"""A device reaches PVs of servers that are not ours: a motor record over Channel Access, scalars over PVAccess."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from p4p.nt import NTEnum, NTScalar
from p4p.server import Server, StaticProvider
from p4p.server.thread import SharedPV

from devices.core import Quality, Reading
from devices.core.errors import BadValueError, NotConnectedError, RangeError, RefusedError
from servers.neighbours.epics_neighbours import EpicsNeighbours


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def until(true: Callable[[], Any], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.01)


@contextlib.contextmanager
def motor_record(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """caproto's example of a motor record, on loopback."""
    environment = {**os.environ, "EPICS_CA_SERVER_PORT": str(port), "EPICS_CAS_BEACON_PORT": str(free_port())}
    words = ["-m", "caproto.ioc_examples.fake_motor_record", "--prefix", "BL:", "--interfaces", "127.0.0.1"]
    process = subprocess.Popen([sys.executable, *words], env=environment, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def with_pvs(ca_port: int, pva_port: int, test: Callable[[EpicsNeighbours], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        neighbours = EpicsNeighbours([f"127.0.0.1:{ca_port}"], [f"127.0.0.1:{pva_port}"])
        try:
            await test(neighbours)
        finally:
            await neighbours.close()

    asyncio.run(run())


@contextlib.contextmanager
def pvaccess(port: int) -> Iterator[dict[str, SharedPV]]:
    """A gain from 0 to 8 V/V and a mode, served by p4p on loopback."""
    gain = SharedPV(
        nt=NTScalar("d", display=True, control=True),
        initial={"value": 2.0, "control": {"limitLow": 0.5, "limitHigh": 8.0}, "display": {"units": "V/V"}},
    )
    mode = SharedPV(nt=NTEnum(), initial={"value.choices": ["slow", "fast", "burst"], "value.index": 0})
    add = SharedPV(nt=NTScalar("d"), initial=0.0)

    @gain.put
    @mode.put
    def take(pv: SharedPV, operation: Any) -> None:
        pv.post(operation.value())
        operation.done()

    @add.rpc
    def sum_up(pv: SharedPV, operation: Any) -> None:
        query = operation.value().query
        if query.get("first") < 0:
            operation.done(error="first = -1 is < 0")
        else:
            operation.done(NTScalar("d").wrap(query.first + query.second))

    provider = StaticProvider("neighbours")
    for name, pv in (("BL:GAIN", gain), ("BL:MODE", mode), ("BL:ADD", add)):
        provider.add(name, pv)
    conf = {
        "EPICS_PVAS_INTF_ADDR_LIST": "127.0.0.1",
        "EPICS_PVAS_SERVER_PORT": str(port),
        "EPICS_PVAS_BROADCAST_PORT": str(free_port()),
        "EPICS_PVAS_AUTO_BEACON_ADDR_LIST": "NO",
        "EPICS_PVAS_BEACON_ADDR_LIST": "127.0.0.1",
    }
    with Server(providers=[provider], conf=conf, useenv=False):
        yield {"gain": gain, "mode": mode}


def test_channel_access_gives_values_with_their_time_and_takes_them_within_the_limits() -> None:
    port = free_port()

    async def test(neighbours: EpicsNeighbours) -> None:
        seen: list[Reading[Any]] = []
        neighbours.watch("ca:BL:mtr3.RBV", seen.append)
        await until(lambda: seen and seen[-1].quality is Quality.VALID)
        await neighbours.put("ca:BL:mtr3.VAL", "1.5")
        await until(lambda: seen[-1].value == 1.5)
        assert abs(seen[-1].timestamp - time.time()) < 5.0
        assert (await neighbours.read("ca:BL:mtr3.HLM")).value == 30.0
        await neighbours.put("ca:BL:mtr3.EGU", "mm")
        assert (await neighbours.read("ca:BL:mtr3.EGU")).value == "mm"
        assert (await neighbours.read("ca:BL:mtr3.SET")).value in ("Use", "Set", 0)
        with pytest.raises(NotConnectedError, match="no server has it"):
            await neighbours.read("ca:BL:mtr9.RBV")

    with motor_record(port):
        with_pvs(port, free_port(), test)


def test_a_lost_channel_access_server_is_told_and_its_values_come_back_with_it() -> None:
    port = free_port()

    async def test(neighbours: EpicsNeighbours) -> None:
        seen: list[Reading[Any]] = []
        neighbours.watch("ca:BL:mtr1.HLM", seen.append)
        with motor_record(port):
            await until(lambda: seen and seen[-1].value == 10.0)
        await until(lambda: seen[-1].quality is Quality.INVALID)
        with motor_record(port):
            await until(lambda: seen[-1].value == 10.0, 40.0)

    with_pvs(port, free_port(), test)


def test_pvaccess_gives_numbers_and_labels_and_takes_them_within_the_limits() -> None:
    port = free_port()

    async def test(neighbours: EpicsNeighbours) -> None:
        seen: list[Reading[Any]] = []
        watch = neighbours.watch("pva:BL:GAIN", seen.append)
        await until(lambda: seen[-1].value == 2.0)
        facts = await neighbours.facts("pva:BL:GAIN")
        assert (facts.unit, facts.limits) == ("V/V", (0.5, 8.0))
        await neighbours.put("pva:BL:GAIN", "6.25")
        await until(lambda: seen[-1].value == 6.25)
        with pytest.raises(RangeError, match=r"BL:GAIN = 9.*\[0.5, 8.0\] V/V"):
            await neighbours.put("pva:BL:GAIN", 9.0)
        await neighbours.put("pva:BL:MODE", "burst")
        assert (await neighbours.read("pva:BL:MODE")).value == "burst"
        with pytest.raises(BadValueError, match="slow, fast, burst"):
            await neighbours.put("pva:BL:MODE", "slower")
        watch.close()

    with pvaccess(port):
        with_pvs(free_port(), port, test)


def test_a_remote_procedure_takes_named_arguments_and_says_what_it_refuses() -> None:
    port = free_port()

    async def test(neighbours: EpicsNeighbours) -> None:
        assert await neighbours.run("pva:BL:ADD", {"first": 1.5, "second": 4.0}) == 5.5
        with pytest.raises(RefusedError, match="first = -1"):
            await neighbours.run("pva:BL:ADD", {"first": -1.0, "second": 4.0})

    with pvaccess(port):
        with_pvs(free_port(), port, test)


@pytest.mark.long
def test_a_lost_pvaccess_server_is_told_and_its_values_come_back_with_it() -> None:
    port = free_port()

    async def test(neighbours: EpicsNeighbours) -> None:
        seen: list[Reading[Any]] = []
        with pvaccess(port):
            neighbours.watch("pva:BL:GAIN", seen.append)
            await until(lambda: seen[-1].value == 2.0)
        await until(lambda: seen[-1].quality is Quality.INVALID)
        with pvaccess(port):
            await until(lambda: seen[-1].value == 2.0, 40.0)

    with_pvs(free_port(), port, test)
