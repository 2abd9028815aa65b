"""Images from a device's ``publish`` to EPICS clients through the mirror: loss, order, latency, and scalars meanwhile.

Device, mirror (with its process for large attributes) and each client are a process of their own, on loopback. The peer
has no Tango: one process publishes and serves. Run with ``python -m benchmarks.images``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks.figure import HEADER, Figure
from benchmarks.worker import Worker, epics_environment, free_ports
from tests.support.serving import serving

DEVICE = "bench/camera/1"
SECONDS = 5.0
ROUNDS = 3
SLOW = 20  # clients
RATES = {"small": 100.0, "large": 5.0}  # frames per second
PVS = {"small": "CAM:Small", "large": "CAM:Large"}
SIZES = {"small": "1 MB at 100/s", "large": "32 MB at 5/s"}


def run() -> list[Figure]:
    """Frames of both sizes, medians over the rounds; a lost one in any round counts."""
    figures = []
    with camera() as (ports, proxy):
        for protocol, name in (("pva", "small"), ("pva", "large"), ("ca", "small")):
            ours = [round_of(ports, proxy, protocol, name) for _ in range(ROUNDS)]
            peer = peer_of(name) if protocol == "pva" else {}  # no CA peer: caproto cuts zeros from the end of bytes
            title = f"images: {SIZES[name]} over {protocol.upper()}"
            frames, scalars = [each["frames"] for each in ours], [each["scalars"] for each in ours]
            lost = max(each["lost"] + each["disordered"] for each in frames)
            figures += [
                Figure(f"{title}, lost", lost, "frames", peer.get("lost"), below=1.0),
                Figure(f"{title}, p50", median(each["p50_ms"] for each in frames), "ms", peer.get("p50_ms")),
                Figure(f"{title}, p99", median(each["p99_ms"] for each in frames), "ms", peer.get("p99_ms")),
                Figure(f"{title}, scalars p99", median(each["p99_ms"] for each in scalars), "ms", below=20.0),
            ]
    figures += slow_clients()
    return figures


@contextmanager
def camera() -> Iterator[tuple[dict[str, int], Any]]:
    """A device and its mirror: the ports of the mirror, and a proxy of the device."""
    ports = free_ports()
    with (
        tempfile.TemporaryDirectory() as folder,
        serving("benchmarks.image_device:Camera", DEVICE, folder=Path(folder)) as server,
        Worker(
            "benchmarks.epics_servers", "mirror", json.dumps(ports), f"CAM:={server.address}",
            environment=epics_environment(ports),
        ) as mirror,
    ):  # fmt: skip
        mirror.answer()
        yield ports, server.proxy()


def round_of(ports: dict[str, int], proxy: Any, protocol: str, name: str) -> dict[str, Any]:
    """One exposure: what a client of the frames got, and one of the scalar that was published meanwhile."""
    environment = epics_environment(ports) | {"EPICS_CA_MAX_ARRAY_BYTES": "16777216"}
    rate, final = RATES[name], -1.0 - (time.time_ns() >> 10) % 1_000_000
    with (
        Worker("benchmarks.image_client", environment=environment) as frames,
        Worker("benchmarks.epics_client", environment=environment) as scalars,
    ):
        expose(proxy, name, rate, 0.5, final - 0.5)
        frames.ask(f"subscribe {protocol} {PVS[name]}")
        scalars.ask(f"subscribe {protocol} CAM:Level")
        scalars.ask("begin")
        expose(proxy, name, rate, SECONDS, final)
        return {"frames": frames.ask(f"end {int(rate * SECONDS)}"), "scalars": scalars.ask(f"end {final}")}


def slow_clients() -> list[Figure]:
    """Memory of the image process with 20 clients of 32 MB frames that do not read, and what another client loses."""
    with camera() as (ports, proxy), ExitStack() as stack:
        environment, count = epics_environment(ports), int(RATES["large"] * SECONDS)
        server = next(
            each for each in psutil.Process().children(recursive=True) if "servers.epics.image_server" in each.cmdline()
        )
        server = server.children()[0] if server.children() else server  # the leash is its parent
        expose(proxy, "large", RATES["large"], 0.5, -1.0)
        reading, *slow = (
            stack.enter_context(Worker("benchmarks.image_client", environment=environment)) for _ in range(1 + SLOW)
        )
        for client in (*slow, reading):
            client.ask("subscribe pva CAM:Large")
        for client in slow:
            os.kill(client.pid, signal.SIGSTOP)
        stack.callback(lambda: [os.kill(client.pid, signal.SIGCONT) for client in slow])
        expose(proxy, "large", RATES["large"], SECONDS, -2.0)
        memory = server.memory_info().rss
        lost = reading.ask(f"end {count}")["lost"]
        for client in slow:
            os.kill(client.pid, signal.SIGCONT)
        late = sum(client.ask(f"end {count}")["newest"] != count for client in slow)
        # A frame that p4p keeps for each client, one on its way in each, and those that wait for all.
        bound = (2 * SLOW + 12) * 32.0
        return [
            Figure(f"images: 32 MB, {SLOW} clients stopped, memory", memory / (1 << 20), "MB", below=bound),
            Figure(f"images: 32 MB, {SLOW} clients stopped, another lost", lost, "frames", below=1.0),
            Figure(f"images: 32 MB, {SLOW} clients stopped, without the newest", late, "clients", below=1.0),
        ]


def expose(proxy: Any, name: str, rate: float, seconds: float, final: float) -> None:
    """Have frames published, and wait for the end."""
    arguments = {"name": name, "rate": rate, "seconds": seconds, "final": final}
    operation = proxy.expose(json.dumps(arguments))
    while (status := json.loads(proxy.operation_status(operation)))["state"] in ("QUEUED", "RUNNING"):
        time.sleep(0.2)
    assert status["state"] == "DONE", status


def peer_of(name: str) -> dict[str, float]:
    """The same frames over PVAccess, of a server without Tango."""
    environment = epics_environment(free_ports())
    with (
        Worker("benchmarks.image_peers", name, environment=environment) as peer,
        Worker("benchmarks.image_client", environment=environment) as client,
    ):
        peer.answer()
        client.ask("subscribe pva PEER:Frame")
        count = peer.ask(f"publish {RATES[name]} {SECONDS}")["published"]
        found: dict[str, float] = client.ask(f"end {count}")
        return found


def main() -> None:
    if sys.argv[1:] == ["slow"]:
        for figure in slow_clients():
            print(figure.line(), flush=True)
        return
    if len(sys.argv) > 1:  # PROTOCOL NAME: the rounds one by one
        with camera() as (ports, proxy):
            for _ in range(ROUNDS):
                print(json.dumps(round_of(ports, proxy, *sys.argv[1:3])), os.getloadavg(), flush=True)
        return
    print(HEADER)
    for figure in run():
        print(figure.line(), flush=True)


if __name__ == "__main__":
    main()
