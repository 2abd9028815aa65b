"""EPICS values of 500 PVs to two clients at once: how late, how many per second; ours beside pythonSoftIOC and FastCS.

Servers, devices and clients are processes of their own, on loopback; clients are as lean as Python allows. The
servers take turns with their peers. Run with ``python -m benchmarks epics``.
"""

from __future__ import annotations

import contextlib
import json
import socket
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tango

from benchmarks.epics_servers import PREFIX, pv
from benchmarks.figure import Figure
from benchmarks.publication import PVS
from benchmarks.worker import Worker, epics_environment, free_ports
from tests.support.serving import serving, wait_until

RATE = 1000.0  # publications per second
#: How fast is as fast as possible? Who publishes without a pause leaves a server of the same process no time.
FAST_RATES = (5000.0, 10000.0, 20000.0, 0.0)
SECONDS = 4.0  # of one measurement
ROUNDS = 3
CLIENTS = 2
PROTOCOLS = ("ca", "pva")
#: Peers of the two servers alone, the first of each is the one that a ratio is to.
PEERS = {"ca": ("softioc", "fastcs-ca"), "pva": ("softioc", "fastcs-pva")}
TITLES = {"softioc": "pythonSoftIOC", "fastcs-ca": "FastCS", "fastcs-pva": "FastCS"}
MIRROR_TARGETS = {"ca": {"p50": 3.0, "p99": 10.0, "per_s": 6000.0}, "pva": {"p50": 1.5, "per_s": 8000.0}}
ALONE_TARGETS = {"ca": 8000.0, "pva": 20000.0}


@dataclass(frozen=True)
class Measured:
    """What came to the clients, medians over rounds and clients; updates per second and final values missed in all."""

    p50_ms: float
    p99_ms: float
    per_s: float
    missed: int
    share: float  # of the published values


def run() -> list[Figure]:
    """The two servers alone beside the peers, then the way through the mirror."""
    return [*_alone(), *_through_mirror()]


def _alone() -> Iterator[Figure]:
    for protocol in PROTOCOLS:
        with contextlib.ExitStack() as stack:
            clients = {name: stack.enter_context(_served(name, protocol)) for name in ("records", *PEERS[protocol])}
            steady = _turns(clients, RATE)
            fast = {name: _fastest(client) for name, client in clients.items()}
        ours = "records"
        for peer in PEERS[protocol]:
            name = f"EPICS: server alone, {protocol} (peer: {TITLES[peer]})"
            yield Figure(f"{name}, p50 at {RATE:.0f}/s", steady[ours].p50_ms, "ms", steady[peer].p50_ms)
            yield Figure(f"{name}, p99", steady[ours].p99_ms, "ms", steady[peer].p99_ms)
            above = ALONE_TARGETS[protocol] if peer == PEERS[protocol][0] else None
            yield Figure(f"{name}, to {CLIENTS} clients", fast[ours].per_s, "/s", fast[peer].per_s, above=above)
        yield Figure(f"EPICS: server alone, {protocol}, final values missed", fast[ours].missed, "", below=1)


def _through_mirror() -> Iterator[Figure]:
    for protocol in PROTOCOLS:
        with _mirrored(protocol) as source:
            steady = _turns({"mirror": source}, RATE)["mirror"]
            fast = _fastest(source)
        name, targets = f"EPICS: through the mirror, {protocol}", MIRROR_TARGETS[protocol]
        yield Figure(f"{name}, p50 at {RATE:.0f}/s", steady.p50_ms, "ms", below=targets["p50"])
        yield Figure(f"{name}, p99", steady.p99_ms, "ms", below=targets.get("p99"))
        yield Figure(f"{name}, values that arrived", 100 * steady.share, "%")
        yield Figure(f"{name}, to {CLIENTS} clients", fast.per_s, "/s", above=targets["per_s"])
        yield Figure(f"{name}, final values missed", fast.missed + steady.missed, "", below=1)


class Source:
    """A server with clients that have subscribed to all its PVs.

    Args:
        worker: publishes when it is told so.
        device: publishes instead, where the worker is a mirror.
    """

    def __init__(self, worker: Worker, clients: Sequence[Worker], device: tango.DeviceProxy | None = None) -> None:
        self.worker, self.clients, self._device = worker, clients, device
        self._runs = 0

    def measure(self, rate: float) -> Measured:
        self._runs += 1
        final = -float(self._runs)
        for client in self.clients:
            client.ask("begin")
        for client in self.clients:
            client.tell(f"end {final}")
        if self._device is None:
            published = self.worker.ask(f"publish {rate} {SECONDS} {final}")["published"]
        else:
            published = _run_levels(self._device, rate, final)
        answers = [client.answer() for client in self.clients]
        middle = {key: statistics.median(answer[key] for answer in answers) for key in answers[0]}
        missed = sum(answer["finals_missed"] for answer in answers)
        per_s = sum(answer["per_s"] for answer in answers)
        return Measured(middle["p50_ms"], middle["p99_ms"], per_s, missed, middle["received"] / published)


def _turns(sources: dict[str, Source], rate: float) -> dict[str, Measured]:
    """Medians of several rounds, the servers one after the other in each."""
    rounds: dict[str, list[Measured]] = {name: [] for name in sources}
    for number in range(ROUNDS + 1):
        for name, source in sources.items():
            measured = source.measure(rate)
            if number:  # in the first one, subscriptions are still on their way
                rounds[name].append(measured)
    return {
        name: Measured(
            *(statistics.median(getattr(each, key) for each in each_round) for key in ("p50_ms", "p99_ms", "per_s")),
            missed=sum(each.missed for each in each_round),
            share=statistics.median(each.share for each in each_round),
        )
        for name, each_round in rounds.items()
    }


def _fastest(source: Source) -> Measured:
    """The round with the most updates per second, of several rates of publication; final values missed in all."""
    rounds = [source.measure(rate) for rate in FAST_RATES]
    return replace(max(rounds, key=lambda each: each.per_s), missed=sum(each.missed for each in rounds))


@contextmanager
def _clients(environment: dict[str, str], protocol: str) -> Iterator[list[Worker]]:
    with contextlib.ExitStack() as stack, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as repeater:
        # libca starts no caRepeater when somebody is there.
        repeater.bind(("0.0.0.0", int(environment["EPICS_CA_REPEATER_PORT"])))
        clients = [
            stack.enter_context(Worker("benchmarks.epics_client", environment=environment)) for _ in range(CLIENTS)
        ]
        for client in clients:
            client.tell(f"subscribe {protocol} {' '.join(map(pv, range(PVS)))}")
        for client in clients:
            assert client.answer()["values"] >= PVS, "not every PV brought its first value"
        yield clients


@contextmanager
def _served(name: str, protocol: str) -> Iterator[Source]:
    ports = free_ports()
    environment = epics_environment(ports)
    with Worker("benchmarks.epics_servers", name, json.dumps(ports), environment=environment) as worker:
        worker.answer()
        with _clients(environment, protocol) as clients:
            yield Source(worker, clients)


@contextmanager
def _mirrored(protocol: str) -> Iterator[Source]:
    ports = free_ports()
    environment = epics_environment(ports)
    model = "benchmarks.channels_device:Channels"
    with tempfile.TemporaryDirectory() as folder, serving(model, "bench/channels/1", folder=Path(folder)) as server:
        mirrored = f"{PREFIX}:={server.address}"
        with Worker(
            "benchmarks.epics_servers", "mirror", json.dumps(ports), mirrored, environment=environment
        ) as worker:
            worker.answer()
            with _clients(environment, protocol) as clients:
                yield Source(worker, clients, server.proxy())


def _run_levels(proxy: tango.DeviceProxy, rate: float, final: float) -> int:
    """Run the operation to its end; how many values it published before the final ones."""
    operation = proxy.run_levels(json.dumps({"rate": rate, "seconds": SECONDS, "final": final}))

    def ended() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(proxy.operation_status(operation))
        return {} if found["state"] in ("QUEUED", "RUNNING") else found

    found = wait_until(ended, SECONDS + 60.0, "the values are published")
    assert found["state"] == "DONE", found
    return int(found["result"])
