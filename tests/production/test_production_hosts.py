"""Four hosts: instruments and their database, two mirrors that stand in for each other, a desk with panels and clients.

Each host is a network namespace with a facility file of its own; cables are pulled and put in again.
"""

from __future__ import annotations

import contextlib
import json
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

pytestmark = [pytest.mark.production, pytest.mark.timeout(1200)]

NAMES = ("instruments", "left", "right", "desk")
MIRRORS = {"left": 1, "right": 2}
PV = "SPEC1:Fast"
START_SECONDS = 300.0  # many processes on two cores that others use as well

PUBLISH = """
import json, sys, tango
proxy = tango.DeviceProxy(sys.argv[1])
for line in sys.stdin:
    proxy.publish_value(json.dumps({"name": "fast", "value": float(line)}))
    print("published", flush=True)
"""


class Site:
    """Everything that runs, and how it is reached."""

    def __init__(self, hosts: Hosts, folder: Path) -> None:
        self.hosts, self.folder = hosts, folder
        self.tango_host = f"{hosts.address('instruments')}:10000"
        self._ups: dict[str, subprocess.Popen[bytes]] = {}
        self._others: list[subprocess.Popen[str]] = []

    def files(self) -> None:
        address = self.hosts.address
        leased = {"image_process": ["false"], "beacons": [self.hosts.broadcast]}
        self._write("instruments", {"bench": pair.devices()}, start_order=["bench"], bind=address("instruments"))
        for host, number in MIRRORS.items():
            servers = {f"mirror{number}": pair.mirror(number, address(host), **leased)}
            self._write(host, servers, mirrors=[*servers], bind=address(host), tango_host=self.tango_host)
        (self.folder / "opi").mkdir()
        pvs = {"ca": 5064, "pva": 5075}
        servers_of = {kind: [f"{address(host)}:{port}" for host in MIRRORS] for kind, port in pvs.items()}
        self._write(
            "desk", {}, tango_host=self.tango_host, panels="opi", bind=address("desk"),
            pv_servers={**servers_of, "mirrors": ["MIRROR1:", "MIRROR2:"]},
        )  # fmt: skip

    def _write(self, host: str, servers: dict[str, Any], **facility: Any) -> None:
        pair.write(self.folder, host, servers, **facility)

    def up(self, host: str) -> None:
        words = [*DIPTYCH, "up", str(self.folder / f"{host}.json"), "--state-dir", str(self.folder / f"{host}-state")]
        with (self.folder / f"{host}.out").open("w") as output:
            self._ups[host] = subprocess.Popen(
                self.hosts.words(host, *words), stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, start_new_session=True,
            )  # fmt: skip

    def wait_ready(self, *hosts: str) -> None:
        for host in hosts:
            output = self.folder / f"{host}.out"

            def is_ready(host: str = host, output: Path = output) -> bool:
                assert self._ups[host].poll() is None, output.read_text()
                return "READY" in output.read_text()

            wait_for(is_ready, START_SECONDS, f"{host} is READY")

    def environment(self, host: str) -> dict[str, str]:
        """What ``diptych env`` gives on a host; clients there notice a dead connection after 5 s."""
        answer = subprocess.run(
            self.hosts.words(host, *DIPTYCH, "env", "--state-dir", str(self.folder / f"{host}-state")),
            capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        ).stdout  # fmt: skip
        given = dict(line.removeprefix("export ").split("=", 1) for line in answer.splitlines() if "PATH=" not in line)
        return {
            **os.environ,
            **{name: value.strip("'") for name, value in given.items()},
            "PYTHONPATH": str(CHECKOUT),
            "EPICS_CA_CONN_TMO": "5",
        }

    def run(self, host: str, *words: str, **more: Any) -> Heard:
        process = self.hosts.python(host, *words, environment=self.environment(host), **more)
        self._others.append(process)
        return Heard(process)

    def diptych(self, host: str, *words: str) -> str:
        """What a ``diptych`` command prints on a host."""
        return subprocess.run(
            self.hosts.words(host, *DIPTYCH, *words, "--state-dir", str(self.folder / f"{host}-state")),
            capture_output=True, text=True, timeout=60.0, env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        ).stdout  # fmt: skip

    def publish(self, value: float) -> None:
        """The hardware has another value; on the host of the instruments, whatever its cable does."""
        script = PUBLISH.replace("for line in sys.stdin", f"for line in ['{value}']")
        name = f"tango://{self.tango_host}/{pair.DEVICE}"
        done = subprocess.run(
            self.hosts.words("instruments", DIPTYCH[0], "-c", script, name),
            capture_output=True,
            text=True,
            timeout=60.0,
        )
        assert done.returncode == 0, done.stderr

    def end(self) -> None:
        for process in self._others:
            process.kill()
            process.wait()
        for process in self._ups.values():
            process.send_signal(signal.SIGTERM)
        for process in self._ups.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30.0)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    hosts = Hosts(NAMES)
    found = Site(hosts, tmp_path_factory.mktemp("hosts"))
    try:
        hosts.make()
        found.files()
        found.up("instruments")
        found.wait_ready("instruments")
        for host in ("left", "right", "desk"):
            found.up(host)
        found.wait_ready("left", "right", "desk")
        yield found
    finally:
        for host in NAMES:
            with contextlib.suppress(subprocess.CalledProcessError):
                hosts.cut(host, False)
        found.end()
        hosts.remove()


@pytest.fixture
def clients(site: Site) -> Iterator[Heard]:
    heard = site.run("desk", "-c", WATCH, PV)
    yield heard
    heard.process.kill()
    heard.process.wait()


def panel_shows(site: Site, pv: str) -> dict[str, Any]:
    """What a browser at the desk's web server is told first of a PV; asked on that host."""
    script = f"""
import asyncio, aiohttp, json
async def main():
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect("http://127.0.0.1:8080/pvws/pv") as socket:
            await socket.send_json({{"type": "subscribe", "pvs": ["{pv}"]}})
            found = {{}}
            while "value" not in found:
                message = json.loads((await asyncio.wait_for(socket.receive(), 30)).data)
                for each in message if isinstance(message, list) else [message]:
                    if each.get("pv") == "{pv}":
                        found |= each
            print(json.dumps(found))
asyncio.run(main())
"""
    answer = subprocess.run(
        site.hosts.words("desk", DIPTYCH[0], "-c", script), capture_output=True, text=True, timeout=60.0
    )
    assert answer.returncode == 0, answer.stderr
    shown: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return shown


def test_a_value_goes_from_the_instrument_to_clients_and_panels_of_another_host(site: Site, clients: Heard) -> None:
    site.publish(1.25)
    clients.until(1.25)
    wait_for(lambda: panel_shows(site, PV)["value"] == 1.25, 60.0, "the panel shows it")


def test_a_cut_cable_of_the_instruments_is_seen_and_their_values_are_right_afterwards(
    site: Site, clients: Heard, capsys: pytest.CaptureFixture[str]
) -> None:
    site.publish(2.5)
    clients.until(2.5)
    site.hosts.cut("instruments")
    cut = time.monotonic()
    try:
        seen = clients.until(2.5, severity=3) - cut
        wait_for(lambda: panel_shows(site, PV)["severity"] == "INVALID", 30.0, "the panel shows it")
        site.publish(3.5)
    finally:
        site.hosts.cut("instruments", False)
    back = time.monotonic()
    clients.until(3.5)
    with capsys.disabled():
        print(f"\ncable of the instruments: INVALID after {seen:.1f} s, right {time.monotonic() - back:.1f} s after it")
    wait_for(lambda: panel_shows(site, PV)["value"] == 3.5, 60.0, "the panel shows it")
    assert "gone" not in [words[0] for words in clients.words()], "clients stay connected to the mirror"
