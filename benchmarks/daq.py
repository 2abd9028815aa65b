"""A DAQ node under load: nothing lost, how old frames are at clients, what the node takes of a core.

Who may (root) measures with a priority above that of other programs, as on a machine that a DAQ node has for itself.

The peer is the server of panoseti-grpc, where it is installed (``make peers``). ``python -m benchmarks daq``.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import grpc
import psutil

from benchmarks.figure import Figure
from benchmarks.worker import Worker
from servers.daqdata import daq_data_pb2 as pb
from tests.support.serving import ROOT

SECONDS = 10.0
SETTLE_S = 1.5
IDLE_CLIENTS = 100
PRIORITY = -10


@dataclass(frozen=True)
class Result:
    """Share of the frames that each client got, %, of the one that got fewest; ages, ms; share of a core, %."""

    kept: float
    p50: float
    p99: float
    cpu: float


def run() -> list[Figure]:
    """One module at 1 kHz by every way, eight modules, idle clients."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    try:
        _set_priority(PRIORITY)  # which the processes that it starts inherit
        return _all()
    finally:
        _set_priority(before)


def _set_priority(nice: int) -> None:
    with contextlib.suppress(OSError):  # not allowed, or a system without such groups
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        # Linux weighs sessions against each other first, and processes within one thereafter: sched(7), autogroup.
        Path("/proc/self/autogroup").write_text(str(nice))


def _all() -> list[Figure]:
    figures: list[Figure] = []
    has_peer = importlib.util.find_spec("panoseti_grpc") is not None
    for clients in (1, 4):
        for way, below in (("socket", 10.0), ("upload", 10.0), ("file", 30.0)):
            ours = measure("ours", way, clients)
            peer = measure("theirs", way, clients) if way == "upload" and has_peer else None
            name = f"DAQ: 1 kHz by {way} to {clients}"
            figures += [
                Figure(f"{name}, kept", ours.kept, "%", None if peer is None else peer.kept, above=100.0),
                Figure(
                    f"{name}, p50",
                    ours.p50,
                    "ms",
                    None if peer is None else peer.p50,
                    below=2.0 if way != "file" else None,
                ),
                Figure(f"{name}, p99", ours.p99, "ms", None if peer is None else peer.p99, below=below),
            ]
            if clients == 4:
                cpu = None if peer is None else peer.cpu
                figures.append(Figure(f"{name}, share of a core", ours.cpu, "%", cpu, below=60.0))
    eight = measure("ours", "socket", 4, modules=8, rate_hz=250.0)
    figures.append(Figure("DAQ: 8 modules x 250 Hz by socket to 4, kept", eight.kept, "%", above=100.0))
    idle = measure("ours", "socket", IDLE_CLIENTS, modules=1, rate_hz=1.0)
    figures.append(Figure(f"DAQ: {IDLE_CLIENTS} idle clients, share of a core", idle.cpu, "%", below=5.0))
    return figures


def measure(whose: str, way: str, clients: int, modules: int = 1, rate_hz: float = 1000.0) -> Result:
    """Frames from a source process by way of a server process to clients in a third."""
    with tempfile.TemporaryDirectory(prefix="daq-") as name:
        folder = Path(name)
        with Worker("benchmarks.daq_server", whose, name, environment={}) as server:
            server.answer()
            address = f"unix://{folder}/daq.sock"
            interval = 0.0
            if whose == "theirs":
                _simulate(address)
                interval = 0.001
            words = (f"{folder}/daq.sock", str(clients), str(modules), str(interval))
            with Worker("benchmarks.daq_client", *words, environment={}) as client:
                client.answer()
                time.sleep(SETTLE_S)
                client.ask("begin")
                process = psutil.Process(server.pid)
                before = sum(process.cpu_times()[:2])
                began = time.monotonic()
                words = (way, name, str(modules), str(rate_hz), str(SECONDS))
                subprocess.run(
                    [sys.executable, "-m", "benchmarks.daq_source", *words], cwd=ROOT, check=True, capture_output=True
                )
                took = time.monotonic() - began
                time.sleep(0.5)
                cpu = 100.0 * (sum(process.cpu_times()[:2]) - before) / took
                found = client.ask("end")
        total = round(modules * rate_hz * SECONDS)
        return Result(100.0 * min(found["counts"]) / total, found["p50"], found["p99"], cpu)


def _simulate(address: str) -> None:
    """Their server takes uploads while it simulates; its own frames are of another module."""
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(
            "/daqdata.DaqData/InitHpIo", pb.InitHpIoRequest.SerializeToString, pb.InitHpIoResponse.FromString
        )
        request = pb.InitHpIoRequest(data_dir="", update_interval_seconds=0.001, force=True, simulate_daq=True)
        assert call(request, wait_for_ready=True, timeout=20.0).success


if __name__ == "__main__":
    for figure in run():
        print(figure.line(), flush=True)
