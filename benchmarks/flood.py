"""A device that publishes as fast as it can: what the gets and puts of another device's PV feel of it.

Run with ``python -m benchmarks flood``.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from benchmarks.epics_servers import PREFIX, pv
from benchmarks.figure import Figure
from benchmarks.publication import PVS
from benchmarks.worker import Worker, epics_environment, free_ports
from tests.support.serving import serving

SECONDS = 8.0
PROTOCOLS = ("ca", "pva")
CLIENT = "benchmarks.epics_client"


def run() -> list[Figure]:
    """The slowest call of a client while another one is flooded, and how far the mirror's memory grows."""
    return [figure for protocol in PROTOCOLS for figure in _flooded(protocol)]


def _flooded(protocol: str) -> Iterator[Figure]:
    ports = free_ports()
    environment = epics_environment(ports)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        enter = stack.enter_context
        device = enter(serving("benchmarks.channels_device:Channels", "bench/channels/1", folder=Path(folder, "a")))
        quiet = enter(serving("benchmarks.channels_device:Quiet", "bench/quiet/1", folder=Path(folder, "b")))
        mirrored = f"{PREFIX}:={device.address}", f"QUIET:={quiet.address}"
        mirror = enter(
            Worker("benchmarks.epics_servers", "mirror", json.dumps(ports), *mirrored, environment=environment)
        )
        mirror.answer()
        flooded, caller = (enter(Worker(CLIENT, environment=environment)) for _ in range(2))
        flooded.ask(f"subscribe {protocol} {' '.join(map(pv, range(PVS)))}")
        caller.ask(f"call {protocol} QUIET:Setting 1")
        before = psutil.Process(mirror.pid).memory_info().rss
        device.proxy().run_levels(json.dumps({"rate": 0.0, "seconds": SECONDS + 2.0, "final": -1.0}))
        took: dict[str, Any] = caller.ask(f"call {protocol} QUIET:Setting {SECONDS}")
        flooded.tell("end -1.0")
        finals_missed = flooded.answer()["finals_missed"]
        grown = psutil.Process(mirror.pid).memory_info().rss - before
    name = f"EPICS: flood, {protocol}"
    for call, all_ms in took.items():
        ordered = sorted(all_ms)
        yield Figure(f"{name}, {call} of another PV, p99", ordered[int(0.99 * len(ordered))], "ms", below=50.0)
        yield Figure(f"{name}, {call} of another PV, worst", ordered[-1], "ms")
    yield Figure(f"{name}, mirror's memory grows by", grown / 1e6, "MB", below=50.0)
    yield Figure(f"{name}, final values missed", finals_missed, "", below=1.0)
