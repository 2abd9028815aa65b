"""The demo facility as a new user meets it: command-line clients, a Tango client, a killed process, a clean stop."""

from __future__ import annotations

import getpass
import json
import signal
import socket
import sys
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.demo_facility import Facility, free_offset, started, stopped
from tests.support.serving import wait_until

pytestmark = pytest.mark.timeout(180)


def test_a_temperature_is_read_over_channel_access(facility: Facility) -> None:
    kelvin = float(facility.get("CRYO1:TemperatureA"))
    assert 3.0 < kelvin < 320.0
    assert facility.get("CRYO1:TemperatureA.EGU") == "K"


def test_a_set_point_written_by_caproto_reaches_the_simulator_and_tango(facility: Facility) -> None:
    done = facility.run("caproto-put", "-c", "-w", "10", "CRYO1:Setpoint1", "77.5")
    assert done.returncode == 0, done.stderr
    assert facility.run("diptych", "get", "cryo/cryocon/1/setpoint_1").stdout.split()[-2:] == ["77.5", "K"]
    script = 'import tango; print(tango.DeviceProxy("cryo/cryocon/1").read_attribute("setpoint_1").value)'
    assert float(facility.run(Path(sys.executable).name, "-c", script).stdout) == 77.5
    with socket.create_connection(("127.0.0.1", 5000 + facility.offset), timeout=5.0) as simulator:
        simulator.sendall(b"LOOP 1:SETPT?\n")
        assert float(simulator.recv(100).decode().strip().rstrip("K")) == 77.5
    assert float(facility.get("CRYO1:Setpoint1_RBV")) == 77.5


def test_a_set_point_written_by_tango_is_seen_over_epics(facility: Facility) -> None:
    assert facility.run("diptych", "put", "cryo/cryocon/1/setpoint_2", "91.25").returncode == 0
    wait_until(lambda: float(facility.get("CRYO1:Setpoint2")) == 91.25, 5.0)


def test_a_wrong_value_is_refused_with_the_limit_and_every_write_is_audited(facility: Facility) -> None:
    refused = facility.run("caproto-put", "-c", "-w", "10", "CRYO1:Rate1", "5000")
    assert "1000" in facility.get("CRYO1:Rate1:Error"), refused
    lines = [json.loads(line) for line in (facility.state_dir / "log" / "audit.jsonl").read_text().splitlines()]
    assert any(line["pv"] == "CRYO1:Rate1" and "1000" in json.dumps(line) for line in lines)


def test_the_curve_is_there_and_a_file_is_integrated_on_request(facility: Facility) -> None:
    wait_until(lambda: len(facility.get("SAXS1:Intensity").split()) > 50, 20.0, "the folder is watched")
    image = sorted((facility.state_dir / "saxs").glob("*.tif"))[-1]  # the oldest is soon removed
    assert len(str(image)) > 40, "longer than an EPICS string"
    done = facility.run("caproto-put", "-c", "-w", "30", "-S", "SAXS1:IntegrateFile", str(image))
    assert done.returncode == 0, done.stderr
    assert facility.get("SAXS1:IntegrateFile:Status") == "DONE"


def test_commands_of_the_shell_reach_the_devices(facility: Facility) -> None:
    listed = facility.run("diptych", "ls").stdout
    assert "cryo/cryocon/1" in listed
    assert "mirror/epics/1" in listed
    assert "auto_tune" in facility.run("diptych", "describe", "cryo/cryocon/1").stdout
    failed = facility.run("diptych", "get", "cryo/cryocon/1/no_such_attribute")
    assert failed.returncode != 0
    assert "Traceback" not in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1


def test_the_log_has_the_write_of_a_set_point_and_who_made_it(facility: Facility) -> None:
    assert facility.run("caproto-put", "-c", "-w", "10", "CRYO1:Setpoint2", "93.25").returncode == 0
    done = facility.run("diptych", "log", "--writes", "--pv", "cryo1:setpoint2", "--json")
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["write"]["value"], last["write"]["result"], last["server"]) == ("93.25", "done", "audit")
    assert last["write"]["who"] == getpass.getuser()


def test_the_health_of_a_process_is_seen_over_epics_and_by_prometheus(facility: Facility) -> None:
    assert facility.get("HEALTH:ROW01:State") == "RUNNING"
    wait_until(lambda: int(facility.get("HEALTH:ROW01:Heartbeat")) > 0, 10.0)
    address = f"http://127.0.0.1:{8080 + facility.offset}/metrics"

    def figures() -> dict[tuple[str, str], float]:
        with urllib.request.urlopen(address, timeout=10.0) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        return {
            (sample.name, sample.labels.get("process") or sample.labels.get("severity", "")): sample.value
            for family in families
            for sample in family.samples
        }

    found = wait_until(lambda: (now := figures()).get(("diptych_alarms_up", "")) == 1.0 and now, 20.0)
    assert found["diptych_process_up", "cryocon"] == 1.0
    assert found["diptych_process_cpu_seconds_total", "saxs"] > 0.5
    assert found["diptych_alarms_active", "MAJOR"] >= 0.0
    assert found["diptych_mirror_pvs", ""] > 500


def test_an_archiver_is_told_of_every_number_and_state_and_of_no_text_or_curve(facility: Facility) -> None:
    served = facility.run("diptych", "ls", "--pvs").stdout.splitlines()
    assert {"CRYO1:TemperatureA", "CRYO1:AutoTune:Status", "SAXS1:Intensity", "MIRROR1:Uptime"} <= set(served)
    chosen = json.loads(facility.run("diptych", "ls", "--archive", "--json", "CRYO1:*").stdout)
    names = {row["pv"] for row in chosen}
    assert {"CRYO1:TemperatureA", "CRYO1:Setpoint1", "CRYO1:Setpoint1_RBV", "CRYO1:State"} <= names
    assert names < {name for name in served if name.startswith("CRYO1:")}
    assert not names & {"CRYO1:Status", "CRYO1:AutoTune", "CRYO1:AutoTune:Status", "CRYO1:Setpoint1:Error"}
    assert {row["samplingmethod"] for row in chosen} == {"MONITOR"}


def test_the_history_has_what_a_temperature_was_and_its_unit_as_csv(facility: Facility) -> None:
    def rows() -> list[str]:
        asked = facility.run("diptych", "history", "CRYO1:TemperatureA", "CRYO1:State", "--from", "10 min ago")
        return asked.stdout.splitlines()

    wait_until(lambda: sum(",yes" in row for row in rows()) >= 4, 20.0, "some seconds are recorded")
    found = [row.split(",") for row in rows() if row.startswith("CRYO1:TemperatureA")]
    assert all(3.0 < float(row[2]) < 320.0 for row in found if row[-1] == "yes")
    assert any(row.split(",")[3] in ("STANDBY", "ON", "RUNNING", "ALARM") for row in rows())
    assert "recording" in facility.run("diptych", "history").stdout.splitlines()[0]


@pytest.mark.parametrize("words", [("serve", "cryocon"), ("mirror", "mirror"), ("sim", "cryocon")])
def test_a_killed_process_is_back_by_itself(facility: Facility, words: tuple[str, ...]) -> None:
    victim = facility.child(*words)
    victim.send_signal(signal.SIGKILL)
    wait_until(lambda: not victim.is_running(), 5.0)

    def back() -> bool:
        value = facility.run("caproto-get", "--terse", "CRYO1:TemperatureA", "CRYO1:State")
        return value.returncode == 0 and "INVALID" not in value.stdout and "FAULT" not in value.stdout

    # On a machine with nothing else to do it takes 5 s with the clients, of which each asks for 1 s.
    wait_until(back, 30.0, f"{words} comes back")


def test_a_killed_database_is_back_with_everything_in_it(facility: Facility) -> None:
    victim = facility.child("servers.facility.database")
    victim.send_signal(signal.SIGKILL)
    wait_until(lambda: not victim.is_running(), 5.0)
    wait_until(lambda: "cryo/cryocon/1" in facility.run("diptych", "ls").stdout, 10.0, "the database is back")


def test_limits_changed_by_a_client_hold_after_a_restart(facility: Facility) -> None:
    script = """
import sys, tango
proxy = tango.DeviceProxy("cryo/cryocon/1")
config = proxy.get_attribute_config("temperature_b")
config.alarms.max_alarm = sys.argv[1]
proxy.set_attribute_config(config)
"""
    assert facility.run(Path(sys.executable).name, "-c", script, "2.5").returncode == 0
    wait_until(lambda: "temperature_b" in facility.run("diptych", "get", "cryo/cryocon/1/alarm_summary").stdout, 5.0)
    facility.child("serve", "cryocon").send_signal(signal.SIGKILL)
    wait_until(
        lambda: "temperature_b" in facility.run("diptych", "get", "cryo/cryocon/1/alarm_summary").stdout,
        15.0,
        "the limit comes from the database",
    )
    assert facility.run(Path(sys.executable).name, "-c", script, "Not specified").returncode == 0
    wait_until(
        lambda: "temperature_b" not in facility.run("diptych", "get", "cryo/cryocon/1/alarm_summary").stdout,
        15.0,
        "the limit is gone",
    )


@pytest.mark.long
def test_ctrl_c_leaves_no_process_and_no_port(tmp_path: Path) -> None:
    offset = free_offset()
    running = started(tmp_path / "state", offset)
    assert stopped(running) < 10.0
    for port in (10000, 5000, 5064, 5075):
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", port + offset), timeout=0.5)
