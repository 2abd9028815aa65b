"""A facility with alarms, its processes and all: what Tango, EPICS and the journal make of one kettle."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import tango

from tests.support.demo_facility import Facility, free_offset, started, stopped
from tests.support.serving import ROOT, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]  # a facility starts

RULES = """
pvs:
  - {pv: "KETTLE1:*", guidance: Switch the kettle off.}
  - {tango: "mirror/*", off: true}
rules:
  Boiling:
    when: '`test/kettle/1/temperature` > 373.15 and connected(KETTLE1:Profile)'
    severity: MINOR
    message: "it boils at {KETTLE1:Temperature_RBV} K"
"""


@pytest.fixture(scope="module")
def facility(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facility]:
    folder = tmp_path_factory.mktemp("kettle")
    endpoints = ("channel_access=@ca", "ca_repeater=@ca_repeater", "pv_access=@pva", "pva_broadcast=@pva_broadcast",
                 "ca_images=@ca_images", "pva_images=@pva_images", "pv_prefix=MIRROR1:")  # fmt: skip
    devices: dict[str, Any] = {
        "kettle": {"Kettle": {"test/kettle/1": {"pv_prefix": ["KETTLE1:"]}}},
        "mirror": {"EpicsMirror": {"mirror/epics/1": {k: [v] for k, _, v in (e.partition("=") for e in endpoints)}}},
        "alarms": {
            "AlarmFacility": {
                "alarm/facility/1": {
                    "pv_prefix": ["ALARM:"],
                    "pv_access": ["@pva", "@pva_images"],
                    "alarms_file": [str(folder / "alarms.yaml")],
                    "journal": ["@state/alarms/alarms.sqlite"],
                }
            }
        },
    }
    servers = {
        server: {
            name: {device: {"properties": given} for device, given in each.items()} for name, each in found.items()
        }
        for server, found in devices.items()
    }
    (folder / "kettle.json").write_text(json.dumps({"servers": {"Diptych": servers}}))
    extra = {
        "classes": {
            "Kettle": "tests.support.kettle:Kettle",
            "EpicsMirror": "servers.epics.device:EpicsMirror",
            "AlarmFacility": "servers.alarms.device:AlarmFacility",
        },
        "mirrors": ["mirror"],
        "start_order": ["kettle", "mirror", "alarms"],
    }
    (folder / "kettle.facility.yaml").write_text(json.dumps(extra))  # JSON is YAML
    (folder / "alarms.yaml").write_text(RULES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))  # where the processes find the kettle
        running = started(folder / "state", free_offset(), file=folder / "kettle.json")
    try:
        yield running
    finally:
        if running.process.poll() is None:
            stopped(running)


class Clients:
    def __init__(self, facility: Facility) -> None:
        self.facility = facility

    def proxy(self, device: str) -> tango.DeviceProxy:
        return tango.DeviceProxy(f"tango://{self.facility.environment['TANGO_HOST']}/{device}")

    def attribute(self, name: str) -> Any:
        return self.proxy("alarm/facility/1").read_attribute(name).value

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """What a command answers; with arguments, they travel as JSON."""
        given = [json.dumps(arguments)] if arguments else []
        return json.loads(self.proxy("alarm/facility/1").command_inout(command, *given) or "{}")

    def alarms(self) -> dict[str, tuple[str, str, bool]]:
        """Severity, stand and acknowledgement of all that are listed, as Tango tells it."""
        found = self.ask("alarms")["alarms"]
        return {each["name"]: (each["severity"], each["stand"], each["is_acknowledged"]) for each in found}

    def put(self, pv: str, value: str) -> None:
        done = self.facility.run("caproto-put", "-c", pv, value)
        assert done.returncode == 0 and "Error" not in done.stdout, done.stdout + done.stderr

    def heat(self, kelvin: float) -> None:
        self.put("KETTLE1:Temperature", str(kelvin))


def until_equal(get: Callable[[], Any], expected: Any, what: str, seconds: float = 10.0) -> None:
    def check() -> bool:
        assert (found := get()) == expected, found
        return True

    wait_until(check, seconds, what)


def test_an_alarm_is_seen_and_acknowledged_alike_over_tango_and_epics_and_outlives_its_process(
    facility: Facility,
) -> None:
    clients = Clients(facility)
    name = "KETTLE1:Temperature_RBV"
    wait_until(lambda: (clients.attribute("watched") or 0) > 3, 20.0, "the PVs are watched")
    assert clients.alarms() == {}

    clients.heat(371.5)
    until_equal(lambda: clients.alarms(), {name: ("MAJOR", "UNACKNOWLEDGED", False)}, "the alarm, over Tango", 30.0)
    wait_until(lambda: facility.get("ALARM:ROW01:Name") == name, 10.0, "the alarm, as a PV")
    assert "371.5 K" in facility.get("ALARM:ROW01:Text")
    assert facility.get("ALARM:ROW01:Guidance") == "Switch the kettle off."
    assert facility.get("ALARM:Unacknowledged") == "1"

    clients.put("ALARM:ROW01:Ack", "1")
    until_equal(lambda: clients.alarms()[name], ("MAJOR", "ACKNOWLEDGED", True), "acknowledged, over Tango", 10.0)
    wait_until(lambda: facility.get("ALARM:Unacknowledged") == "0", 10.0, "acknowledged, as a PV")

    clients.heat(374.0)
    wait_until(lambda: "Boiling" in clients.alarms(), 10.0, "the rule")
    wait_until(lambda: facility.get("ALARM:ROW01:Text") == "it boils at 374 K", 10.0, "the rule, as a PV")
    assert clients.attribute("problem") == ""

    process = facility.child("serve", "alarms")
    process.kill()
    wait_until(lambda: not process.is_running(), 10.0, "the process is dead")
    after = {"Boiling": ("MINOR", "UNACKNOWLEDGED", False), name: ("MAJOR", "ACKNOWLEDGED", True)}
    until_equal(lambda: clients.alarms(), after, "all is as before", 40.0)
    wait_until(lambda: (clients.attribute("watched") or 0) > 3, 20.0, "the PVs are watched again")

    clients.heat(293.0)
    until_equal(lambda: clients.alarms(), {"Boiling": ("NO_ALARM", "RETURNED", False)}, "what nobody has seen", 15.0)
    clients.ask("acknowledge", alarm="Boiling", who="ada")
    wait_until(lambda: facility.get("ALARM:Highest") == "NO_ALARM", 10.0, "all is well")
    assert clients.alarms() == {}
    history = clients.ask("alarm_history", alarm="Boiling", hours=1.0)["steps"]
    assert [(each["step"], each["who"]) for each in history] == [
        ("acknowledged", "ada"),
        ("cleared", ""),
        ("raised", ""),
    ]


def test_a_device_whose_process_hangs_is_one_alarm(facility: Facility) -> None:
    clients = Clients(facility)
    wait_until(lambda: (clients.attribute("watched") or 0) > 3, 20.0, "the PVs are watched")
    clients.ask("acknowledge", alarm="*", who="ada")
    process = facility.child("serve", "kettle")
    process.suspend()
    try:
        away = {"KETTLE1:State": ("INVALID", "UNACKNOWLEDGED", False)}
        until_equal(lambda: clients.alarms(), away, "one alarm", 30.0)
        assert facility.get("ALARM:ROW01:Text") == "test/kettle/1 does not answer"
    finally:
        process.resume()
    until_equal(lambda: clients.alarms(), {"KETTLE1:State": ("NO_ALARM", "RETURNED", False)}, "it is back", 30.0)
