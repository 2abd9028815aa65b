"""A mirror of 10 000 PVs of 500 devices: how soon it is ready, what it costs when nothing happens.

Run with ``python -m benchmarks fleet``.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks.figure import Figure
from benchmarks.fleet_server import OWN, VALUES, device_names
from benchmarks.worker import Worker, epics_environment, free_ports
from tests.support.serving import ROOT, wait_for_server

SERVERS, DEVICES = 10, 50  # of each server
PVS = SERVERS * DEVICES * (VALUES + OWN)
LOOK_SECONDS = 10.0
SETTLED = 0.1  # of a core: the events of all attributes are subscribed to, and the values are compared
SETTLE_SECONDS = 150.0  # at most
IDLE_SECONDS = 20.0


def run() -> list[Figure]:
    """Ready after the devices, memory, and the processor when idle; the process for images is counted, too."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        devices: list[str] = []
        for number in range(SERVERS):
            devices += stack.enter_context(fleet_server(number, Path(folder)))
        ports = free_ports()
        begun = time.monotonic()
        worker = stack.enter_context(
            Worker(
                "benchmarks.epics_servers", "mirror", json.dumps(ports), *devices, environment=epics_environment(ports)
            )
        )
        worker.answer()
        ready_s = time.monotonic() - begun
        processes = [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]
        settled = time.monotonic() + SETTLE_SECONDS
        while _share(processes, LOOK_SECONDS) > SETTLED and time.monotonic() < settled:
            pass
        share = _share(processes, IDLE_SECONDS)
        memory = sum(process.memory_info().rss for process in processes)
    name = f"EPICS: {PVS} PVs of {SERVERS * DEVICES} devices"
    return [
        Figure(f"{name}, ready", ready_s, "s", below=15.0),
        Figure(f"{name}, memory", memory / 1e6, "MB", below=600.0),
        Figure(f"{name}, idle, of a core", 100.0 * share, "%", below=3.0),
    ]


@contextlib.contextmanager
def fleet_server(number: int, folder: Path, values: int = VALUES) -> Iterator[list[str]]:
    """A server process of devices with so many values; the devices as the mirror is told them."""
    name = f"fleet{number}"
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.fleet_server", name, str(DEVICES), str(folder), str(values)],
            cwd=ROOT, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        wait_for_server(process, log, 60.0)
        port = (folder / f"{name}.port").read_text()
        yield [
            f"F{number}D{each}:=tango://127.0.0.1:{port}/{device}#dbase=no"
            for each, device in enumerate(device_names(name, DEVICES))
        ]
    finally:
        process.terminate()
        try:
            process.wait(20.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _share(processes: list[psutil.Process], seconds: float) -> float:
    """How much of a core some processes take."""
    before = cpu_s(processes)
    time.sleep(seconds)
    return (cpu_s(processes) - before) / seconds


def cpu_s(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)
