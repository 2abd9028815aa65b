"""What a mirror needs by the number of its PVs, in processor time and memory: figures that a busy machine keeps.

Run with ``python -m benchmarks.scaling [DEVICES]``; a device has 20 PVs. ``python -m benchmarks.scaling database
[DEVICES]`` is about the embedded Tango database.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import tango
from p4p.client.thread import Context

from benchmarks.fleet import DEVICES as OF_A_SERVER
from benchmarks.fleet import cpu_s, fleet_server
from benchmarks.fleet_server import OWN, VALUES
from benchmarks.worker import Worker, epics_environment, free_ports
from servers.facility.readiness import database_answers
from servers.facility.tango_database import open_database
from tests.epics.raw_client import RawClient
from tests.failover.probe import ca_search, has_ca_answer
from tests.support.serving import wait_until

PVS = VALUES + OWN
SEARCHES, SUBSCRIPTIONS, ROUNDS = 5000, 1000, 20
IDLE_SECONDS = 30.0


def main(devices: int) -> None:
    servers = max(1, devices // OF_A_SERVER)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        names = [name for number in range(servers) for name in stack.enter_context(fleet_server(number, Path(folder)))]
        ports = free_ports()
        worker = stack.enter_context(
            Worker(
                "benchmarks.epics_servers", "mirror", json.dumps(ports), *names, environment=epics_environment(ports)
            )
        )
        worker.answer()
        process = psutil.Process(worker.pid)
        mirror = [process, *process.children(recursive=True)]

        def told(what: str, value: float, unit: str) -> None:
            print(f"{len(names) * PVS:7d} PVs of {len(names):5d} devices  {what:50s} {value:10.3f} {unit}", flush=True)

        idle = 0.0  # of a core

        def cpu_of(work: Callable[[], object]) -> float:
            """Seconds of the mirror, without what it needs anyway."""
            before, begun = cpu_s(mirror), time.monotonic()
            work()
            return cpu_s(mirror) - before - idle * (time.monotonic() - begun)

        told("processor time until all are served", cpu_s(mirror), "s")
        told("memory of the mirror, with the process for images", sum(p.memory_info().rss for p in mirror) / 1e6, "MB")
        _settle(mirror)
        told("processor time until all events are subscribed to", cpu_s(mirror), "s")
        idle = cpu_of(lambda: time.sleep(IDLE_SECONDS)) / IDLE_SECONDS
        told("idle, of a core", 100.0 * idle, "%")
        searched = cpu_of(lambda: _search(ports["ca"], "F0D0:Level0"))
        told("processor time of a CA search that finds", 1e6 * searched / SEARCHES, "us")
        missed = cpu_of(lambda: _search(ports["ca"], "NOBODY:Has", is_there=False))
        told("the same, of one for an unknown name", 1e6 * missed / SEARCHES, "us")
        pvs = [f"F0D{device}:Level{value}" for device in range(OF_A_SERVER) for value in range(VALUES)]
        pvs = pvs[:SUBSCRIPTIONS]
        with RawClient(ports["ca"]) as client:
            told("processor time of a CA subscription", 1e6 * cpu_of(lambda: _subscribe(client, pvs)) / len(pvs), "us")
        context = Context("pva", conf=_pva(ports), useenv=False, nt=False)
        told(
            "processor time of a PVA get with its channel",
            1e6 * cpu_of(lambda: context.get(pvs, timeout=120.0)) / len(pvs),
            "us",
        )
        told("memory of the mirror now", sum(each.memory_info().rss for each in mirror) / 1e6, "MB")
        context.close()


def database(devices: int) -> None:
    """What the requests of a start cost the embedded Tango database that knows so many devices."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
        free.close()
        words = ("servers.facility.database", "--port", str(port), "--state-dir", folder)
        server = subprocess.Popen([sys.executable, "-P", "-m", *words], stdout=subprocess.DEVNULL)
        try:
            _measure_database(psutil.Process(server.pid), f"127.0.0.1:{port}", devices)
        finally:
            server.terminate()
            server.wait(30.0)


def _measure_database(process: psutil.Process, tango_host: str, devices: int) -> None:
    wait_until(lambda: database_answers(tango_host), 120.0, "the database answers")
    database = open_database(tango_host)
    names = [f"lab/psu/{number}" for number in range(devices)]

    def add(name: str) -> None:
        info = tango.DbDevInfo()
        info.server, info._class, info.name = f"Fleet/{name[-1]}", "Psu", name
        database.add_device(info)

    requests: dict[str, Callable[[str], object]] = {
        "add a device": add,
        "store two properties": lambda name: database.put_device_property(name, {"pv_prefix": ["P:"], "link": ["x"]}),
        "read a property": lambda name: database.get_device_property(name, "pv_prefix"),
        "find the server of a device": lambda name: database.get_device_info(name),
    }
    for what, request in requests.items():
        before = cpu_s([process])
        for name in names:
            request(name)
        each = (cpu_s([process]) - before) / devices
        print(f"{devices:5d} devices  {what:30s} {1e3 * each:8.3f} ms of the database's processor time", flush=True)
    print(f"{devices:5d} devices  {'memory':30s} {process.memory_info().rss / 1e6:8.1f} MB", flush=True)


def _settle(processes: list[psutil.Process]) -> None:
    """Wait until the subscriptions are made: the mirror is as good as idle."""
    deadline = time.monotonic() + 300.0
    while time.monotonic() < deadline:
        before = cpu_s(processes)
        time.sleep(10.0)
        if cpu_s(processes) - before < 1.0:
            return


def _search(port: int, name: str, *, is_there: bool = True) -> None:
    """Search by UDP, 20 at a time."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(10.0)
        for _ in range(SEARCHES // ROUNDS):
            for _ in range(ROUNDS):
                sender.sendto(ca_search(name), ("127.0.0.1", port))
            if not is_there:
                sender.sendto(ca_search("F0D0:Level0"), ("127.0.0.1", port))  # the one that is answered comes last
            for _ in range(ROUNDS if is_there else 1):
                assert has_ca_answer(sender.recv(4096))


def _subscribe(client: RawClient, pvs: list[str]) -> None:
    for pv in pvs:
        client.send(client.channel(pv).subscribe(data_count=0, mask=1))
        client.update(60.0)


def _pva(ports: dict[str, int]) -> dict[str, str]:
    return {
        "EPICS_PVA_ADDR_LIST": "127.0.0.1",
        "EPICS_PVA_AUTO_ADDR_LIST": "NO",
        "EPICS_PVA_NAME_SERVERS": f"127.0.0.1:{ports['pva']}",
        "EPICS_PVA_BROADCAST_PORT": str(ports["search"]),
    }


if __name__ == "__main__":
    wanted = sys.argv[1:]
    if wanted[:1] == ["database"]:
        database(int(wanted[1]) if wanted[1:] else 1000)
    else:
        main(int(wanted[0]) if wanted else 500)
