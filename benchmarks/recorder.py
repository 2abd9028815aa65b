"""The recorder end to end: what 10 000 PVs at 1 Hz cost, from their Channel Access updates to the store.

The source is an IOC in C. The peer does nothing but receive: a client with aioca that takes the values and keeps none.
``python -m benchmarks recorder``.
"""

from __future__ import annotations

import contextlib
import tempfile
import time

import psutil

from benchmarks.figure import Figure
from benchmarks.worker import Worker, epics_environment, free_ports

PVS = 10_000
SETTLE_S = 60.0
SECONDS = 20.0


def run() -> list[Figure]:
    """The share of a core of the recorder, and how many of the values it kept."""
    ours, kept = _share("benchmarks.recorder_worker")
    peer, _ = _share("benchmarks.recorder_peer")
    name = "history: recording 10 000 PVs at 1 Hz"
    return [
        Figure(f"{name} (peer: aioca, received only)", ours, "% core", peer, below=20.0),
        Figure(f"{name}, values kept", kept, "%", above=99.0),
    ]


def _share(module: str) -> tuple[float, float]:
    """What a process takes of a core, %, and how many of the values that came meanwhile it has kept, %."""
    ports = free_ports()
    with tempfile.TemporaryDirectory(prefix="recorder-") as folder, contextlib.ExitStack() as stack:
        environment = epics_environment(ports)
        stack.enter_context(Worker("benchmarks.recorder_source", str(PVS), environment=environment)).answer()
        worker = stack.enter_context(Worker(module, str(PVS), str(ports["ca"]), folder, environment=environment))
        settled = time.monotonic() + SETTLE_S
        before = worker.ask("")["received"]
        while time.monotonic() < settled:  # until all are connected and come once a second
            time.sleep(5.0)
            now = worker.ask("")["received"]
            if now - before >= 4 * PVS:
                break
            before = now
        process = psutil.Process(worker.pid)
        first, cpu = worker.ask(""), sum(process.cpu_times()[:2])
        time.sleep(SECONDS)
        used, last = sum(process.cpu_times()[:2]) - cpu, worker.ask("")
        came = last["received"] - first["received"]
        if came < 0.9 * PVS * SECONDS:
            raise RuntimeError(f"{module}: {came} values came in {SECONDS:g} s, {PVS} a second are wanted")
        return 100 * used / SECONDS, 100 * (last["kept"] - first["kept"]) / came
