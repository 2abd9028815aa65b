"""Who reaches the Tango servers of a facility: this host alone by default, another host where the file says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import tango

from devices.core.errors import ConfigurationError
from servers.facility import address
from servers.facility.facility_file import read_facility
from tests.facility.running import CHECKOUT, Up, command, free_port, up, wait_for, write_facility

EVERYTHING = "tests.support.everything:Everything"

# What somebody on another host runs: a read, a put, and the event of it (the first event is only the present value).
CLIENT = """
import sys, threading, tango
device = tango.DeviceProxy(sys.argv[1])
puts = [6.5 + number for number in range(50)]
seen, arrived = [], threading.Event()
def arrive(event):
    seen.append(event.errors[0].desc if event.err else event.attr_value.value)
    if seen[-1] in puts:
        arrived.set()
device.subscribe_event("a_float64", tango.EventType.CHANGE_EVENT, arrive)
for value in puts:  # an event of the first moments may be lost: Tango subscribes in the background
    device.a_float64 = value
    if arrived.wait(0.2):
        break
assert seen[-1] == value == device.a_float64, f"no event of the puts: {seen}"
"""


class Link:
    """A veth pair from this host to a network namespace, the other host."""

    def __init__(self) -> None:
        # Interface names have 15 letters at most; several tests run at once.
        self.space = f"diptych{os.getpid()}"
        number = os.getpid() % 16384
        near, far = number * 4 + 1, number * 4 + 2
        self.here, self.there = (f"10.254.{host >> 8}.{host & 255}" for host in (near, far))
        self.ends = f"dh{os.getpid()}", f"dt{os.getpid()}"

    def make(self) -> None:
        near, far = self.ends
        for words in (
            f"netns add {self.space}",
            f"link add {near} type veth peer name {far}",
            f"link set {far} netns {self.space}",
            f"addr add {self.here}/30 dev {near}",
            f"link set {near} up",
            f"-n {self.space} addr add {self.there}/30 dev {far}",
            f"-n {self.space} link set {far} up",
            f"-n {self.space} link set lo up",
            f"-n {self.space} route add default via {self.here}",
        ):
            subprocess.run(["ip", *words.split()], check=True, capture_output=True, text=True, timeout=10.0)

    def remove(self) -> None:
        for words in (f"link del {self.ends[0]}", f"netns del {self.space}"):
            subprocess.run(["ip", *words.split()], check=False, capture_output=True, timeout=10.0)

    def run(self, script: str, *words: str) -> subprocess.CompletedProcess[str]:
        """A Python script on the other host."""
        inside = ["ip", "netns", "exec", self.space, sys.executable, "-c", script, *words]
        return subprocess.run(inside, capture_output=True, text=True, timeout=40.0)


@pytest.fixture
def other_host() -> Iterator[Link]:
    link = Link()
    try:
        try:
            link.make()
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"network namespaces cannot be made here: {getattr(error, 'stderr', '') or error}")
        yield link
    finally:
        link.remove()


def facility_of_everything(folder: Path, bind: str) -> Path:
    path = write_facility(folder, free_port(), (), classes={"Everything": EVERYTHING}, bind=bind)
    path.write_text(json.dumps({"servers": {"Diptych": {"all": {"Everything": {"test/all/1": {}}}}}}))
    return path


def listening(running: Up) -> set[str]:
    return {
        connection.laddr.ip
        for process in running.family()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


@pytest.mark.parametrize("bind", ["the host's address", address.ANY])
def test_a_client_of_another_host_reads_writes_and_gets_events(other_host: Link, tmp_path: Path, bind: str) -> None:
    bind = bind if bind == address.ANY else other_host.here
    with up(facility_of_everything(tmp_path, bind), tmp_path / "state") as running:
        assert listening(running) == {bind}
        here = running.record()["tango_host"]
        assert here.split(":")[0] == address.from_here(bind)
        tango.DeviceProxy(f"tango://{here}/test/all/1").a_float64 = 1.25
        answer = other_host.run(CLIENT, f"tango://{other_host.here}:{here.split(':')[1]}/test/all/1")
        assert answer.returncode == 0, answer.stderr
        assert "Tango has no access rules" in running.output


def test_a_facility_listens_on_another_loopback_address_and_nowhere_else(tmp_path: Path) -> None:
    path = facility_of_everything(tmp_path, "127.0.0.2")
    with up(path, tmp_path / "state") as running:
        assert listening(running) == {"127.0.0.2"}
        assert "Tango has no access rules" not in running.output
        arguments = ("test/all/1/a_float64", "--state-dir", tmp_path / "state")
        assert command("put", *arguments[:1], "6.5", *arguments[1:]).returncode == 0
        wait_for(lambda: command("get", *arguments).stdout.strip() == "6.5 mm", 10.0, "the value that was put")


@pytest.mark.parametrize(
    ("bind", "expected"),
    [
        ("everywhere", "is not an IPv4 address"),
        ("::1", "is not an IPv4 address"),
        ("224.0.0.1", "an address of many hosts"),
        (True, "bind: must be a text"),
    ],
)
def test_a_bind_that_is_no_address_is_refused(tmp_path: Path, bind: object, expected: str) -> None:
    path = write_facility(tmp_path, free_port(), bind=bind)
    with pytest.raises(ConfigurationError, match=expected):
        read_facility(path, state_dir=tmp_path)


def test_an_address_of_another_machine_is_one_clear_line(tmp_path: Path) -> None:
    path = write_facility(tmp_path, free_port(), bind="192.0.2.77")  # for documentation: no machine has it
    answer = command("up", path, "--state-dir", tmp_path / "state")
    assert answer.returncode == 1
    assert answer.stderr.strip() == (
        "error: bind: 192.0.2.77 is not an address of this machine; 0.0.0.0 means every one that it has"
    )
    assert str(CHECKOUT) not in answer.stderr
