"""A model-made Tango device against one written by hand with PyTango: reads, events, and reads while it works.

Each device has server processes of its own, each client one; ours and the peer's take turns. Run with
``python -m benchmarks tango``.
"""

from __future__ import annotations

import contextlib
import json
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tango

from benchmarks.figure import Figure
from benchmarks.plain_device import NAME
from tests.support.serving import ROOT, serving, wait_until

#: Two processes of the very same server differ by 5 % in their speed (measured), so there are some of each.
PAIRS = 3
#: Turns for each of them.
READ_ROUNDS = {"value": 8, "text": 3, "spectrum": 3, "image": 3}
READ_SECONDS = 0.4  # of one turn
READS_AT_LEAST = 0.9  # of the reads per second of the device written by hand
WORST_READ_MS = 20.0
EVENT_P99_MS = 1.0
RATE = 1000.0  # publications per second
OPERATION_SECONDS = 10.0


def run() -> list[Figure]:
    """Reads per second, the latency of events, the worst read during an operation."""
    with contextlib.ExitStack() as stack:
        pairs = [(stack.enter_context(_model_device()), stack.enter_context(_plain_device())) for _ in range(PAIRS)]
        return [*_reads(pairs), *_events(*pairs[0]), *_worst_reads(*pairs[0])]


def _reads(pairs: list[tuple[str, str]]) -> Iterator[Figure]:
    answers = [_measured("reads", *pair, READ_ROUNDS, READ_SECONDS) for pair in pairs]
    for attribute in READ_ROUNDS:
        turns = [turn for answer in answers for turn in answer[attribute]]
        # The ratio of the medians would let one slow second of the machine fall on one of the two.
        ratio = statistics.median(ours / peer for ours, peer in turns)
        peer = statistics.median(peer for _, peer in turns)
        at_least = READS_AT_LEAST if attribute == "value" else None
        yield Figure(f"Tango: reads of {attribute}", ratio * peer, "reads/s", peer, at_least=at_least)


def _events(ours: str, peer: str) -> Iterator[Figure]:
    latencies: dict[str, list[list[float]]] = {ours: [], peer: []}
    for _ in range(5):
        for device, rounds in latencies.items():
            rounds.append(sorted(_measured("event_latencies", device, RATE, 2.0)))
    for share, below in ((0.5, None), (0.99, EVENT_P99_MS)):
        name = f"Tango: publish -> event, p{share * 100:.0f} at {RATE:.0f}/s"
        mine, theirs = (
            1e3 * statistics.median(each[int(share * len(each))] for each in latencies[device]) for device in latencies
        )
        yield Figure(name, mine, "ms", theirs, below=below)


def _worst_reads(ours: str, peer: str) -> Iterator[Figure]:
    worst: dict[str, list[float]] = {ours: [], peer: []}
    for device in (ours, peer) * 3:
        with _client("event_latencies", device, RATE, OPERATION_SECONDS) as other:
            worst[device].append(max(_measured("read_latencies", device, OPERATION_SECONDS - 1.0)))
            _answer(other)
    mine, theirs = (1e3 * statistics.median(worst[device]) for device in worst)
    name = f"Tango: worst read during a {OPERATION_SECONDS:.0f} s operation, {RATE:.0f} events/s"
    yield Figure(name, mine, "ms", theirs, below=WORST_READ_MS)


@contextmanager
def _model_device() -> Iterator[str]:
    model = "benchmarks.model_device:ModelDevice"
    with tempfile.TemporaryDirectory() as folder, serving(model, "bench/model/1", folder=Path(folder)) as server:
        yield server.address


@contextmanager
def _plain_device() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.plain_device", str(port)], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    address = f"tango://127.0.0.1:{port}/{NAME}#dbase=no"
    try:
        wait_until(lambda: tango.DeviceProxy(address).ping() >= 0, 15.0, "the peer answers")
        yield address
    finally:
        process.terminate()
        process.wait(10.0)


def _measured(measurement: str, *arguments: Any) -> Any:
    with _client(measurement, *arguments) as client:
        return _answer(client)


@contextmanager
def _client(measurement: str, *arguments: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.tango_client", measurement, json.dumps(arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _answer(client: subprocess.Popen[bytes]) -> Any:
    output, _ = client.communicate(timeout=120.0)
    return json.loads(output)
