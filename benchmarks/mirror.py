"""From a device's ``publish`` to an EPICS client, through the mirror: latency at steady rates, and updates per second.

A device server, the mirror and the client are a process each, on loopback. The published value is the time of its
publication, so a client needs only its own clock. The same events to a Tango client show what the mirror adds. The
device is written by hand with PyTango (any device can be mirrored), or made from the model.
Run with ``python -m benchmarks.mirror``.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.serving import serving

RATES = (100, 1000, 3000)  # publications per second
PROTOCOLS = ("tango", "ca", "pva")
SECONDS = 4.0  # of one measurement
ROUNDS = 3
FLOOD_PVS = 100
FLOOD_EACH = 300
DEVICE = "bench/plain/1"

Row = dict[str, Any]


def run(rates: Sequence[int] = RATES, protocols: Sequence[str] = PROTOCOLS, *, model: bool = False) -> list[Row]:
    """One row per figure: name, and p50_ms, p99_ms or updates_per_s (medians over rounds), and what was lost.

    Args:
        model: the device is made from the model; latencies only.
    """
    ports = {name: _free_port() for name in ("tango", "ca", "repeater", "pva", "search")}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as repeater:
        repeater.bind(("0.0.0.0", ports["repeater"]))  # libca looks for no caRepeater when somebody is there
        with _model_device(ports) if model else _process("device", ports), _process("mirror", ports):
            rows = [_latency(protocol, rate, ports) for rate in rates for protocol in protocols]
            if not model:
                rows += [_throughput(protocol, ports) for protocol in ("ca", "pva")]
            return rows


def _latency(protocol: str, rate: int, ports: dict[str, int]) -> Row:
    rounds = []
    for _ in range(ROUNDS):
        got = _client(protocol, f"steady {rate}", ports)
        latencies = sorted(1000 * (arrived - sent) for arrived, sent in got)
        rounds.append((statistics.median(latencies), latencies[int(0.99 * len(latencies))], len(latencies)))
    p50, p99, received = (statistics.median(column) for column in zip(*rounds, strict=True))
    published = int(rate * SECONDS)
    name = f"publish -> {protocol} monitor at {rate}/s"
    return {"name": name, "p50_ms": round(p50, 3), "p99_ms": round(p99, 3), "received": received / published}


def _throughput(protocol: str, ports: dict[str, int]) -> Row:
    """All PVs published as fast as the device can; what arrives per second (skipped values are no loss)."""
    rates, finals = [], []
    for _ in range(ROUNDS):
        got = _client(protocol, "flood", ports)
        rates.append(len(got) / (max(arrived for arrived, _ in got) - min(arrived for arrived, _ in got)))
        finals.append(len({sent for _, sent in got if sent <= -FLOOD_EACH}))
    name = f"flood of {FLOOD_PVS} PVs -> {protocol} monitors"
    return {"name": name, "updates_per_s": round(statistics.median(rates)), "final_values_missing": 1 - min(finals)}


def _client(protocol: str, what: str, ports: dict[str, int]) -> list[tuple[float, float]]:
    """Run a client; returns (time of arrival, published value) of each update."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.mirror", "client", json.dumps(ports), protocol, what],
        env=_environment(ports), stdout=subprocess.PIPE, check=True, timeout=120,
    )  # fmt: skip
    return [(arrived, sent) for arrived, sent in json.loads(done.stdout.splitlines()[-1])]


@contextmanager
def _model_device(ports: dict[str, int]) -> Iterator[None]:
    model = "benchmarks.model_device:ModelDevice"
    with tempfile.TemporaryDirectory() as folder, serving(model, DEVICE, folder=Path(folder), port=ports["tango"]):
        yield


@contextmanager
def _process(role: str, ports: dict[str, int]) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.mirror", role, json.dumps(ports)],
        env=_environment(ports), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    while b"eady" not in (line := process.stdout.readline()):
        assert line, f"the {role} ended"
    try:
        yield
    finally:
        process.stdin.close()
        process.terminate()
        process.wait(10)


def _environment(ports: dict[str, int]) -> dict[str, str]:
    return dict(os.environ) | {
        "EPICS_CA_ADDR_LIST": "127.0.0.1",
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_SERVER_PORT": str(ports["ca"]),
        "EPICS_CA_REPEATER_PORT": str(ports["repeater"]),
        "EPICS_PVA_AUTO_ADDR_LIST": "NO",
        "EPICS_PVA_ADDR_LIST": "127.0.0.1",
        "EPICS_PVA_NAME_SERVERS": f"127.0.0.1:{ports['pva']}",
        "EPICS_PVA_BROADCAST_PORT": str(ports["search"]),
    }


def _free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def _device_name(ports: dict[str, int]) -> str:
    return f"tango://127.0.0.1:{ports['tango']}/{DEVICE}#dbase=no"


def _serve_device(ports: dict[str, int]) -> None:
    import tango
    from tango.server import Device, attribute, command

    class Bench(Device):
        def init_device(self) -> None:
            super().init_device()
            self._value = 0.0
            self._values = {f"flood_{number}": 0.0 for number in range(FLOOD_PVS)}
            self.set_change_event("value", True, False)

        @attribute(dtype=float)
        def value(self) -> float:
            return self._value

        def initialize_dynamic_attributes(self) -> None:
            for name in self._values:
                self.add_attribute(attribute(name=name, dtype=float, fget=self.read_flood))
                self.set_change_event(name, True, False)

        def read_flood(self, asked: Any) -> float:
            return self._values[asked.get_name()]

        @command(dtype_in=float)
        def Steady(self, rate: float) -> None:
            threading.Thread(target=self._steady, args=(rate,), daemon=True).start()

        def _steady(self, rate: float) -> None:
            with tango.EnsureOmniThread():
                begin = time.perf_counter()
                for number in range(int(rate * SECONDS)):
                    time.sleep(max(0.0, begin + number / rate - time.perf_counter()))
                    self._value = now = time.time()
                    self.push_change_event("value", now, now, tango.AttrQuality.ATTR_VALID)
                self._value = 0.0
                self.push_change_event("value", 0.0)

        @command
        def Flood(self) -> None:
            threading.Thread(target=self._flood, daemon=True).start()

        def _flood(self) -> None:
            with tango.EnsureOmniThread():
                for number in range(1, FLOOD_EACH + 1):
                    for name in self._values:
                        self._values[name] = -float(number)
                        self.push_change_event(name, -float(number))

    endpoint = f"giop:tcp:127.0.0.1:{ports['tango']}"
    tango.server.run((Bench,), args=["Bench", "bench", "-nodb", "-ORBendPoint", endpoint, "-dlist", DEVICE])


def _serve_mirror(ports: dict[str, int]) -> None:
    from servers.epics.configuration import MirrorConfig, MirroredDevice
    from servers.epics.mirror import Mirror

    mirror = Mirror(
        MirrorConfig(
            devices=(MirroredDevice(_device_name(ports), "BENCH:"),),
            ca_port=ports["ca"], ca_repeater_port=ports["repeater"],
            pva_port=ports["pva"], pva_broadcast_port=ports["search"],
        )
    )  # fmt: skip
    mirror.start()
    while any(mirror.statistics()["devices"].values()):
        time.sleep(0.05)
    print("ready", flush=True)
    sys.stdin.read()
    print(mirror.statistics(), file=sys.stderr)
    mirror.stop()


class _Collector:
    """Subscribes with one protocol's client and keeps (arrival, value)."""

    def __init__(self, protocol: str, pvs: list[str], ports: dict[str, int]) -> None:
        self.got: list[tuple[float, float]] = []
        self._keep: list[Any] = []
        getattr(self, f"_subscribe_{protocol}")(pvs, ports)
        time.sleep(1.0)  # the first values
        self.got.clear()

    def _subscribe_ca(self, pvs: list[str], ports: dict[str, int]) -> None:
        from epics import ca

        for pv in pvs:
            channel = ca.create_channel(pv, connect=True)
            self._keep.append(ca.create_subscription(channel, use_time=True, callback=self._on_ca))

    def _on_ca(self, value: Any = None, **_: Any) -> None:
        self.got.append((time.time(), float(value)))

    def _subscribe_pva(self, pvs: list[str], ports: dict[str, int]) -> None:
        from p4p.client.thread import Context

        context = Context("pva", nt=False)
        self._keep = [context, *(context.monitor(pv, self._on_pva) for pv in pvs)]

    def _on_pva(self, value: Any) -> None:
        self.got.append((time.time(), float(value.value)))

    def _subscribe_tango(self, pvs: list[str], ports: dict[str, int]) -> None:
        import tango

        proxy = tango.DeviceProxy(_device_name(ports))
        self._keep = [proxy, proxy.subscribe_event("value", tango.EventType.CHANGE_EVENT, self._on_tango)]

    def _on_tango(self, event: Any) -> None:
        self.got.append((time.time(), float(event.attr_value.value)))


def _be_client(ports: dict[str, int], protocol: str, what: str) -> None:
    import tango

    flood = what == "flood"
    pvs = [f"BENCH:Flood{number}" for number in range(FLOOD_PVS)] if flood else ["BENCH:Value"]
    collector = _Collector(protocol, pvs, ports)
    proxy = tango.DeviceProxy(_device_name(ports))
    proxy.Flood() if flood else proxy.Steady(float(what.split()[1]))
    last = -float(FLOOD_EACH) if flood else 0.0
    deadline = time.monotonic() + 60
    while sum(value == last for _, value in collector.got) < (FLOOD_PVS if flood else 1):
        assert time.monotonic() < deadline, "the last value did not come"
        time.sleep(0.05)
    print(json.dumps([(arrived, value) for arrived, value in collector.got if value]), flush=True)
    os._exit(0)  # libca and p4p need not take leave


def main() -> None:
    role, *arguments = sys.argv[1:] or ["run"]
    if role == "run":
        for row in run():
            print(row)
    else:
        ports = json.loads(arguments[0])
        {"device": _serve_device, "mirror": _serve_mirror, "client": _be_client}[role](ports, *arguments[1:])


if __name__ == "__main__":
    main()
