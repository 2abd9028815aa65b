"""The servers of the EPICS benchmarks, one per process: ours and the peers, all with the same PVs.

Told by lines on its standard input; each is answered by one line of JSON: ``publish RATE SECONDS FINAL`` (publishes in
this very process) and ``usage`` (memory and CPU time).
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import psutil

from benchmarks.publication import PVS, Publish, publish

PREFIX = "BENCH"  # and a colon; FastCS adds it itself
Started = Callable[[Publish], Awaitable[None]]  # answers until the benchmark is over


def pv(number: int) -> str:
    return f"{PREFIX}:Level{number}"


async def serve_records(ports: dict[str, int], started: Started) -> None:
    """Our two servers alone, without Tango."""
    import time

    from servers.epics.access import DEFAULT_RULES, Access
    from servers.epics.audit import Audit
    from servers.epics.ca import ChannelAccess
    from servers.epics.gate import Gate
    from servers.epics.pva import PvAccess
    from servers.epics.records import Facts, Kind, Reading, Record

    facts = Facts(unit="V", precision=6)
    records = [Record(pv(number), Kind.FLOAT64, value=0.0, facts=facts) for number in range(PVS)]
    named = {record.name: record for record in records}
    gate = Gate(Access(DEFAULT_RULES), Audit(None, max_bytes=1))
    ca = ChannelAccess(gate, named.get, port=ports["ca"], repeater_port=ports["repeater"])
    pva = PvAccess(gate, port=ports["pva"], broadcast_port=ports["search"])
    for record in records:
        pva.add(record)
    ca.start()
    pva.start()
    ca.open()
    pva.open()
    await started(lambda number, value: records[number].publish(Reading(value, time.time_ns())))
    ca.stop()
    pva.stop()


async def serve_softioc(ports: dict[str, int], started: Started) -> None:
    """pythonSoftIOC: EPICS base's IOC with records set from Python; both protocols."""
    from softioc import builder, softioc
    from softioc.asyncio_dispatcher import AsyncioDispatcher

    records = [builder.aIn(pv(number), initial_value=0.0, EGU="V", PREC=6) for number in range(PVS)]
    builder.LoadDatabase()
    softioc.iocInit(AsyncioDispatcher(asyncio.get_running_loop()))
    await started(lambda number, value: records[number].set(value))


async def serve_fastcs(transport: Any, started: Started) -> None:
    """FastCS with one of its transports."""
    from fastcs.attributes import AttrR
    from fastcs.control_system import FastCS
    from fastcs.controllers import Controller
    from fastcs.datatypes import Float

    controller = Controller()
    controller.set_path([PREFIX])
    # It rounds to its precision: microseconds are wanted.
    attributes = [AttrR(Float(units="V", prec=6)) for _ in range(PVS)]
    for number, attribute in enumerate(attributes):
        controller.add_attribute(f"level{number}", attribute)
    system = FastCS(controller, [transport], asyncio.get_running_loop())
    serving = asyncio.create_task(system.serve(interactive=False))
    await asyncio.sleep(1.0)
    await started(lambda number, value: attributes[number].update(value))
    serving.cancel()


async def serve_fastcs_ca(ports: dict[str, int], started: Started) -> None:
    from fastcs.transports.epics.ca import EpicsCATransport

    await serve_fastcs(EpicsCATransport(), started)


async def serve_fastcs_pva(ports: dict[str, int], started: Started) -> None:
    from fastcs.transports.epics.pva import EpicsPVATransport

    await serve_fastcs(EpicsPVATransport(), started)


async def serve_mirror(ports: dict[str, int], started: Started, *devices: str) -> None:
    """The mirror of devices, each ``PREFIX=tango://...``."""
    from servers.epics.configuration import MirrorConfig, MirroredDevice
    from servers.epics.mirror import Mirror

    mirrored = (device.partition("=") for device in devices)
    mirror = Mirror(
        MirrorConfig(
            devices=tuple(MirroredDevice(name, prefix) for prefix, _, name in mirrored),
            ca_port=ports["ca"], ca_repeater_port=ports["repeater"],
            pva_port=ports["pva"], pva_broadcast_port=ports["search"],
        )
    )  # fmt: skip
    mirror.start()
    while any(mirror.statistics()["devices"].values()):  # noqa: ASYNC110 - the mirror has no event for it
        await asyncio.sleep(0.05)
    await started(lambda number, value: None)
    mirror.stop()


SERVERS: dict[str, Callable[..., Awaitable[None]]] = {
    "mirror": serve_mirror,
    "records": serve_records,
    "softioc": serve_softioc,
    "fastcs-ca": serve_fastcs_ca,
    "fastcs-pva": serve_fastcs_pva,
}


async def _answer(publishes: Publish) -> None:
    """Do what the lines say, until there are no more."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read_lines() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, "")

    threading.Thread(target=read_lines, daemon=True).start()
    process = psutil.Process()
    print(json.dumps({"ready": True}), flush=True)
    while line := await lines.get():
        task, *arguments = line.split()
        if task == "publish":
            rate, seconds, final = map(float, arguments)
            answer: Any = {"published": await publish(publishes, rate, seconds, final)}
        else:
            times = process.cpu_times()
            answer = {"rss": process.memory_info().rss, "cpu_s": times.user + times.system}
        print(json.dumps(answer), flush=True)


def main() -> None:
    name, ports, *more = sys.argv[1:]
    asyncio.run(SERVERS[name](json.loads(ports), _answer, *more))


if __name__ == "__main__":
    main()
