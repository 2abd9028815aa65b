"""A whole site on this machine: 1000 devices of 100 PVs, shared by four mirrors that start one after the other.

Run with ``python -m benchmarks.site [DEVICES [PVS [MIRRORS]]]``; with 1000, 100 and 4 it needs 8 GB and a quarter of
an hour on two cores. Nobody waits for a clock here: figures are processor time and memory, and what clients read at the
end.
"""

from __future__ import annotations

import contextlib
import json
import random
import sys
import tempfile
import time
from pathlib import Path

import caproto as ca
import psutil

from benchmarks.fleet import DEVICES as OF_A_SERVER
from benchmarks.fleet import cpu_s, fleet_server
from benchmarks.fleet_server import OWN
from benchmarks.worker import Worker, epics_environment, free_ports
from servers.epics.portion import Portion
from tests.epics.raw_client import RawClient

LOOK_S = 10.0
QUIET = 0.15  # of a core: what a mirror of 25 000 PVs may need when nothing happens
SETTLE_S = 600.0
IDLE_S = 30.0
READS = 200


def main(devices: int, pvs: int, mirrors: int) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        names, servers = [], devices // OF_A_SERVER
        for number in range(servers):
            names += stack.enter_context(fleet_server(number, Path(folder), pvs - OWN))
        _tell(f"{servers} servers of {OF_A_SERVER} devices", f"{_memory(_children()):8.0f} MB")
        running: list[tuple[list[str], dict[str, int], list[psutil.Process]]] = []
        for number in range(1, mirrors + 1):
            portion, ports, before = Portion(number, mirrors), free_ports(), time.monotonic()
            own = [name for name in names if portion.has(name.partition("=")[2])]
            arguments = ["benchmarks.epics_servers", "mirror", json.dumps(ports), *own]
            worker = stack.enter_context(Worker(*arguments, environment=epics_environment(ports)))
            worker.answer()
            process = psutil.Process(worker.pid)
            processes = [process, *process.children(recursive=True)]
            running.append((own, ports, processes))
            name = f"mirror {portion}, {len(own) * pvs} PVs"
            _tell(f"{name}: all have values", f"{time.monotonic() - before:8.1f} s, {cpu_s(processes):.1f} s of a core")
            _settle(processes)
            _tell(f"{name}: all events subscribed to", f"{cpu_s(processes):8.1f} s of a core")
            _tell(f"{name}: memory", f"{_memory(processes):8.0f} MB")
        used = [cpu_s(processes) for *_, processes in running]
        time.sleep(IDLE_S)
        for number, (own, ports, processes) in enumerate(running):
            share = 100.0 * (cpu_s(processes) - used[number]) / IDLE_S
            good, longest = _read(own, ports["ca"], pvs - OWN)
            _tell(
                f"mirror {number + 1}/{mirrors}: when nothing changes",
                f"{share:8.1f} % of a core; of {READS} PVs {good} are good, the slowest in {1000 * longest:.1f} ms",
            )
        _tell("everything", f"{_memory(_children()):8.0f} MB of {psutil.virtual_memory().total / 1e6:.0f}")


def _tell(what: str, value: str) -> None:
    print(f"{what:56s} {value}", flush=True)


def _children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def _memory(processes: list[psutil.Process]) -> float:
    """MB; what processes share is counted once for each."""
    return sum(process.memory_info().rss for process in processes) / 1e6


def _settle(processes: list[psutil.Process]) -> None:
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline:
        before = cpu_s(processes)
        time.sleep(LOOK_S)
        if (cpu_s(processes) - before) / LOOK_S < QUIET:
            return


def _read(devices: list[str], port: int, values: int) -> tuple[int, float]:
    """How many of some PVs, chosen by chance, are good, and the longest read, s; each with search and channel."""
    good, longest = 0, 0.0
    chosen = random.Random(1)
    with RawClient(port) as client:
        for _ in range(READS):
            prefix = chosen.choice(devices).partition("=")[0]
            begun = time.monotonic()
            answer = client.read(f"{prefix}Level{chosen.randrange(values)}", ca.ChannelType.TIME_DOUBLE)
            longest = max(longest, time.monotonic() - begun)
            good += answer.data[0] == 0.5 and answer.metadata.severity == 0
    return good, longest


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*(given + [1000, 100, 4][len(given) :]))
