"""A Pool, a MacroServer and a Door of Sardana, with the controllers that ``diptych describe --sardana`` writes."""

from __future__ import annotations

import ast
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tango

from benchmarks import peer_home
from tests.facility.running import wait_for
from tests.support.demo_facility import Facility
from tests.support.serving import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

SERVER = "Sardana/test"


class Door:
    """What spock is to a person: lines, one after the other."""

    def __init__(self, host: str) -> None:
        self._host = host
        self.device = tango.DeviceProxy(f"tango://{host}/door/test/1")
        self.device.ping()

    def start(self, line: str) -> None:
        """Begin a macro."""
        wait_for(self.is_free, 60.0, "the Door is free")
        self.device.RunMacro(line.split())

    def is_free(self) -> bool:
        """Whether no macro runs, nor is about to. Asked for: events of the Door did not come every time."""
        for _ in range(5):
            if self.device.state() not in (tango.DevState.ON, tango.DevState.ALARM):
                return False
            time.sleep(0.1)  # a macro that was accepted begins a moment later
        return True

    def end(self, seconds: float = 150.0) -> str:
        """Wait until a macro has ended; why it failed, "" when it did not."""
        wait_for(self.is_free, seconds, "the macro ends")
        return "\n".join(self.device.read_attribute("Error").value or ())

    def type(self, line: str) -> list[str]:
        """Run a macro, or set an attribute of an element (NAME.ATTRIBUTE = VALUE); what is printed."""
        place, equals, value = line.partition(" = ")
        if equals:
            element, attribute = place.split(".")
            self.element(element).write_attribute(attribute, ast.literal_eval(value))
            return []
        self.start(line)
        failure = self.end()
        assert not failure, (line, failure)
        return list(self.device.read_attribute("Output").value or ())

    def element(self, name: str) -> tango.DeviceProxy:
        return tango.DeviceProxy(f"tango://{self._host}/{name}")


@contextmanager
def sardana(facility: Facility, controllers: Path, python: Path) -> Iterator[Door]:
    """The server in the facility's own Tango database; it is forgotten there at the end."""
    host = facility.environment["TANGO_HOST"]
    database = tango.Database(*host.split(":"))
    devices = {
        "Pool": ("pool/test/1", {"PoolPath": [str(controllers)]}),
        "MacroServer": (
            "macroserver/test/1",
            {"PoolNames": ["pool/test/1"], "EnvironmentDb": [str(controllers / "env.db")]},
        ),
        "Door": ("door/test/1", {"MacroServerName": ["macroserver/test/1"]}),
    }
    for class_name, (device, properties) in devices.items():
        info = tango.DbDevInfo()
        info.server, info._class, info.name = SERVER, class_name, device
        database.add_device(info)
        database.put_device_property(device, properties)
    words = [str(python.with_name("Sardana")), "test", "--without-log-file=True"]
    with (controllers / "log").open("w") as log:
        process = subprocess.Popen(
            words, cwd=controllers, env=facility.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )

    def door() -> Door | None:
        assert process.poll() is None, (controllers / "log").read_text()
        try:
            return Door(host)
        except tango.DevFailed:
            return None

    try:
        yield wait_for(door, 150.0, "the Door answers")
    finally:
        process.terminate()
        process.wait(20.0)
        database.delete_server(SERVER)


@pytest.fixture(scope="module")
def door(facility: Facility, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    python = peer_home.installed("sardana")
    if python is None:
        pytest.skip("Sardana is not installed (make peers)")
    folder = tmp_path_factory.mktemp("controllers")
    page = (ROOT / "docs" / "sequencers.md").read_text()
    (section,) = re.findall(r"^## Sardana$(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    (describe,) = re.findall(r"^```sh\ndiptych (.*?) > \S+\n```$", section, re.MULTILINE)
    made = facility.run("diptych", *describe.split())
    assert made.returncode == 0, made.stderr
    (folder / "beamline.py").write_text(made.stdout)
    with sardana(facility, folder, python) as running:
        wait_for(
            lambda: any("DiptychSetPoint" in line for line in running.type("lsctrllib")), 100.0,
            "the MacroServer knows what its Pool can do",
        )  # fmt: skip
        head = made.stdout.split('"""')[1]
        lines = re.findall(r"^    (def\w+ .*|\w+\.\w+ = .*)$", head, re.MULTILINE)
        (spock,) = re.findall(r"^```text\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
        for line in (*lines, *spock.splitlines()):
            running.type(line)
        yield running


def test_a_scan_of_the_set_point_has_the_readings_at_each_point(facility: Facility, door: Door) -> None:
    cryo = tango.DeviceProxy(f"tango://{facility.environment['TANGO_HOST']}/cryo/cryocon/1")
    cryo.control_on()
    start = round(cryo.temperature_a, 1)
    printed = door.type(f"ascan cryo1_temperature {start} {start + 2} 2 0.2")
    rows = [[float(word) for word in line.split()] for line in printed if re.match(r"^\s*\d+\s+[\d.]+\s", line)]
    assert [row[0] for row in rows] == [0.0, 1.0, 2.0], printed
    for row, kelvin in zip(rows, (start, start + 1, start + 2), strict=True):
        # Sardana shows where the motor came to rest: within 1 K, and a little on the way since.
        assert row[1] == pytest.approx(kelvin, abs=1.5)
        assert 1.0 < row[4] < 1.15  # the demo's ring at 1.076 /nm
    assert cryo.setpoint_1 == pytest.approx(start + 2, abs=0.01)


def test_a_stopped_macro_has_the_cryostat_hold_where_it_is(facility: Facility, door: Door) -> None:
    cryo = tango.DeviceProxy(f"tango://{facility.environment['TANGO_HOST']}/cryo/cryocon/1")
    door.start("mv cryo1_temperature 250.0")
    wait_for(lambda: cryo.setpoint_1 == pytest.approx(250.0), 20.0, "the move has begun")
    door.device.StopMacro()
    door.end()
    wait_for(lambda: cryo.setpoint_1 == pytest.approx(cryo.temperature_a, abs=5.0), 10.0, "the set point is held")


def test_an_element_that_was_told_of_no_attribute_says_so(door: Door) -> None:
    door.type("defelem nothing saxs1_readings 9")
    with pytest.raises(tango.DevFailed, match=r"Attribute of this element is not set.*saxs/detector/1"):
        _ = door.element("nothing").Value
