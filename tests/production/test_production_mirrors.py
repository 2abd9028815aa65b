"""Three hosts without a database: a device with a voter, and two mirrors of it that stand in for each other."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.facility.running import CHECKOUT, DIPTYCH, wait_for
from tests.failover import pair
from tests.production.heard import WATCH, Heard
from tests.support.hosts import Hosts

pytestmark = [pytest.mark.production, pytest.mark.timeout(900)]

MIRRORS = {"left": 1, "right": 2}
NAMES = ("instruments", *MIRRORS, "desk")
PV = "SPEC1:Fast"
START_SECONDS = 400.0  # on cores that many others use


class Site:
    """One server on each host, served from its facility file."""

    def __init__(self, hosts: Hosts, folder: Path) -> None:
        self.hosts, self.folder = hosts, folder
        self._processes: list[subprocess.Popen[Any]] = []
        self.instances: dict[str, subprocess.Popen[Any]] = {}
        voters = [self.device(host, f"lease/voter/{n}") for host, n in (*MIRRORS.items(), ("instruments", 3))]
        self._serve("instruments", "bench", pair.devices())
        followed = {
            "devices": [f"{self.device('instruments', pair.DEVICE)}={pair.PREFIX}"],
            "image_process": ["false"],
            "lease_voters": voters,
            "beacons": [hosts.broadcast],
        }
        for host, number in MIRRORS.items():
            self._serve(host, f"mirror{number}", pair.mirror(number, hosts.address(host), **followed))

    def device(self, host: str, name: str) -> str:
        return f"tango://{self.hosts.address(host)}:10000/{name}#dbase=no"

    def _serve(self, host: str, instance: str, server: dict[str, Any]) -> None:
        mirrors = [instance] if instance.startswith("mirror") else []
        path = pair.write(self.folder, host, {instance: server}, bind=self.hosts.address(host), mirrors=mirrors)
        words = ["serve", instance, "--file", str(path), "--state-dir", str(self.folder / f"{host}-state")]
        with (self.folder / f"{host}.log").open("w") as output:
            process = subprocess.Popen(
                self.hosts.words(host, *DIPTYCH, *words), stdout=output, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            )  # fmt: skip
        self._processes.append(process)
        self.instances[host] = process

    def log(self, host: str) -> str:
        return (self.folder / f"{host}.log").read_text()

    def run(self, host: str, *words: str) -> Heard:
        addresses = " ".join(self.hosts.address(each) for each in MIRRORS)
        environment = {
            **os.environ,
            "EPICS_CA_ADDR_LIST": addresses,
            "EPICS_CA_AUTO_ADDR_LIST": "NO",
            "EPICS_CA_CONN_TMO": "5",
        }
        process = self.hosts.python(host, *words, environment=environment)
        self._processes.append(process)
        return Heard(process)

    def publish(self, value: float) -> None:
        """The hardware has another value; told on the host of the instruments, whatever its cable does."""
        script = (
            f"import json, sys, tango; "
            f"tango.DeviceProxy(sys.argv[1]).publish_value(json.dumps({{'name': 'fast', 'value': {value}}}))"
        )
        name = self.device("instruments", pair.DEVICE)
        words = self.hosts.words("instruments", DIPTYCH[0], "-c", script, name)
        done = subprocess.run(words, capture_output=True, text=True, timeout=100.0)
        assert done.returncode == 0, done.stderr

    def end(self) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20.0)
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    hosts = Hosts(NAMES)
    try:
        hosts.make()
        running = Site(hosts, tmp_path_factory.mktemp("mirrors"))
        try:
            yield running
        finally:
            running.end()
    finally:
        hosts.remove()


def answering(probes: dict[str, Heard], since: float = 0.0) -> set[tuple[str, str]]:
    """Which hosts answered since a time, by which protocol."""
    return {
        (host, words[0])
        for host, probe in probes.items()
        for words in probe.words()
        if words[0] in ("ca", "pva") and float(words[1]) > since
    }


def both(host: str) -> set[tuple[str, str]]:
    return {(host, "ca"), (host, "pva")}


def test_cables_are_pulled_and_never_do_two_mirrors_answer(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    script = str(Path(pair.__file__).with_name("probe.py"))
    probes = {host: site.run(host, script, site.hosts.address(host), "5064", "5076", PV) for host in MIRRORS}
    found = wait_for(lambda: answering(probes), START_SECONDS, "one mirror serves")
    first = next(iter(found))[0]
    second = next(host for host in MIRRORS if host != first)
    wait_for(lambda: both(first) <= answering(probes), 60.0, "by both protocols")
    client = site.run("desk", "-c", WATCH, PV)
    site.publish(2.5)
    client.until(2.5)

    site.hosts.cut("instruments")
    cut = time.monotonic()
    invalid = client.until(2.5, severity=3) - cut
    site.publish(3.5)
    site.hosts.cut("instruments", False)
    back = time.monotonic()
    right = client.until(3.5) - back
    assert "gone" not in [words[0] for words in client.words()], "clients stay connected to the mirror"
    with capsys.disabled():
        print(f"\ncable of the instruments: INVALID after {invalid:.1f} s; right again {right:.1f} s after it was back")

    site.hosts.cut(first)
    cut = time.monotonic()
    wait_for(lambda: both(second) <= answering(probes), 120.0, "the other mirror answers")
    site.publish(4.5)
    resumed = client.until(4.5, seconds=200.0) - cut  # without a repeater on its host it hears no beacon
    site.hosts.cut(first, False)
    # The first one hears of the other one's votes, and stands by.
    wait_for(lambda: site.log(first).count("does not answer") and answering(probes, time.monotonic() - 1.0), 60.0, "")
    back = time.monotonic()
    wait_for(lambda: time.monotonic() > back + 2 * pair.LEASE_SECONDS and answering(probes, back), 120.0, "it stays so")
    assert {host for host, _ in answering(probes, back)} == {second}
    times = {host: [float(w[1]) for w in probe.words() if w[0] in ("ca", "pva")] for host, probe in probes.items()}
    last, begun = max(times[first]), min(times[second])
    with capsys.disabled():
        print(
            f"the mirror that served was cut off (lease of {pair.LEASE_SECONDS:g} s): it fell silent after "
            f"{last - cut:.2f} s, the other one answered after {begun - cut:.2f} s, a client heard again after "
            f"{resumed:.1f} s (EPICS_CA_CONN_TMO = 5)"
        )
    assert last < begun, "never did both answer a search"
    site.publish(5.5)
    client.until(5.5)
