"""Who reaches the Tango servers of a facility: this host alone by default, another host where the file says so."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest
import tango

from devices.core.errors import ConfigurationError
from servers.facility import address
from servers.facility.facility_file import read_facility
from tests.facility.running import CHECKOUT, Up, command, free_port, up, wait_for, write_facility
from tests.support.other_host import OtherHost, other_host

__all__ = ["other_host"]

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


@pytest.mark.long
@pytest.mark.parametrize("bind", ["the host's address", address.ANY])
def test_a_client_of_another_host_reads_writes_and_gets_events(
    other_host: OtherHost, tmp_path: Path, bind: str
) -> None:
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
