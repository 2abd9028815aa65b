"""The file of devices: a few lines for each, checked before anything is mirrored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devices.core.errors import ConfigurationError
from servers.epics.configuration import MirroredDevice
from servers.epics.device import EpicsMirror
from servers.epics.devices_file import read_devices
from servers.facility.facility_file import read_facility
from servers.facility.mirrored import state_pvs
from servers.facility.rehearsal import rehearse
from tests.facility.running import command
from tests.support.demo_facility import free_offset

CHECKOUT = Path(__file__).parents[2]
TANGOTEST = CHECKOUT / "dbconfig" / "tangotest.json"


def _read(folder: Path, text: str) -> tuple[MirroredDevice, ...]:
    path = folder / "lab.devices.yaml"
    path.write_text(text)
    return read_devices(path)


def _problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        _read(folder, text)
    assert caught.value.subject == str(folder / "lab.devices.yaml")
    return list(caught.value.problems)


def test_a_device_is_mirrored_as_the_file_says(tmp_path: Path) -> None:
    text = """
lab/magnet/1:
  prefix: "MAG1:"
  pv_names: {current: Amps, on: Energize}
  mirror_commands: [On, Off, Reset]
  leave_out: [Status, "raw_*"]
  period: 2
  periods: {"temperature_*": 30, temperature_1: 1, field: 0.1}
  text_limit: 80
tango://other.site.org:10000/lab/pump/1:
"""
    magnet, pump = _read(tmp_path, text)
    assert magnet == MirroredDevice(
        "lab/magnet/1", "MAG1:", {"current": "Amps", "on": "Energize"}, ("On", "Off", "Reset"), ("Status", "raw_*"),
        2, {"temperature_*": 30, "temperature_1": 1, "field": 0.1}, 80,
    )  # fmt: skip
    assert magnet.leaves_out("RAW_current")
    assert not magnet.leaves_out("current")
    assert [magnet.period_of(name) for name in ("Field", "temperature_1", "current")] == [0.1, 30, None]
    assert pump == MirroredDevice("tango://other.site.org:10000/lab/pump/1")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("lab/magnet/1: {prefx: 'M:'}", "lab/magnet/1: unknown key prefx; did you mean prefix?"),
        ("lab/magnet/1: {period: 0}", "lab/magnet/1 > period: 0 is less than the minimum of 0.02"),
        ("lab/magnet/1: {period: .nan}", "lab/magnet/1 > period: is not a number of seconds"),
        ("lab/magnet/1: {periods: {field: fast}}", 'lab/magnet/1 > periods > field: must be a number, is "fast"'),
        ("lab/magnet/1: {mirror_commands: On}", 'lab/magnet/1 > mirror_commands: must be a list, is "On"'),
        ("lab/magnet/1: {text_limit: 0.5}", "lab/magnet/1 > text_limit: must be a whole number, is 0.5"),
        ("lab/magnet: {}", "lab/magnet: is not the name of a device: a/b/c or tango://HOST:PORT/a/b/c, with #dbase=no"),
        ("lab/magnet/1: {prefix: 'M 1:'}", "lab/magnet/1: PV name 'M 1:State' may have only A-Z"),
        ("lab/magnet/1: {pv_names: {a: X, b: X}}", "lab/magnet/1 > pv_names: a and b would both be X"),
        ("lab/magnet/1: {pv_names: {a: State}}", "lab/magnet/1 > pv_names: a and State would both be State"),
        ("a/b/c: {prefix: 'M:'}\nd/e/f: {prefix: 'M:'}", "d/e/f: PV M:State of State is that of a/b/c/State too"),
        ("a/b/c: {prefix: 'M:'}\nA/B/c:", "A/B/c: stands there twice, as a/b/c too"),
        ("a/b/c:\na/b/c:", "line 2 column 1: not YAML: a/b/c stands twice in one group"),
        ("a/b/c: {prefix: M:}\n- x", "not YAML"),
        ("[a/b/c]", "the file: must be a group of keys"),
    ],
)
def test_a_mistake_is_told_with_device_and_key(tmp_path: Path, text: str, problem: str) -> None:
    assert any(problem in line for line in _problems(tmp_path, text)), _problems(tmp_path, text)


def test_all_mistakes_are_told_together(tmp_path: Path) -> None:
    assert len(_problems(tmp_path, "a/b/c: {prefx: 1, period: 0}\nd/e/f: {text_limit: x}")) == 3


def test_two_devices_may_share_a_prefix_when_no_name_is_doubled(tmp_path: Path) -> None:
    text = "a/b/c: {prefix: 'M:'}\nd/e/f: {prefix: 'M:', leave_out: [state, status], pv_names: {x: Y}}"
    assert [device.prefix for device in _read(tmp_path, text)] == ["M:", "M:"]


def _facility(folder: Path, devices_file: str, **properties: Any) -> Path:
    (folder / "lab.devices.yaml").write_text(devices_file)
    path = folder / "lab.json"
    mirror = {"devices_file": ["@here/lab.devices.yaml"], "pv_prefix": ["MIRROR1:"], **properties}
    document = {
        "servers": {
            "Diptych": {
                "mirror": {"EpicsMirror": {"mirror/epics/1": {"properties": mirror}}},
            },
            "Magnet": {"1": {"Magnet": {"lab/magnet/1": {}, "lab/coil/1": {"properties": {"pv_prefix": ["COIL1:"]}}}}},
        }
    }
    path.write_text(json.dumps(document))
    extra = {
        "classes": {"EpicsMirror": "servers.epics.device:EpicsMirror"},
        "programs": {"Magnet/1": ["magnet_server", "1"]},
        "mirrors": ["mirror"],
    }
    path.with_suffix(".facility.yaml").write_text(json.dumps(extra))
    return path


def test_up_and_register_refuse_names_that_clash(tmp_path: Path) -> None:
    text = """
lab/magnet/1: {prefix: "COIL1:"}
lab/pump/1: {prefix: "MIRROR1", pv_names: {a: ":Uptime"}}
lab/valve/1: {prefix: "MIRROR1:", leave_out: [State]}
"""
    facility = read_facility(_facility(tmp_path, text), state_dir=tmp_path / "state")
    with pytest.raises(ConfigurationError) as caught:
        rehearse(facility)
    assert set(caught.value.problems) == {
        "lab/magnet/1: its PV COIL1:State is that of lab/coil/1 too",
        "lab/magnet/1: its PV COIL1:Status is that of lab/coil/1 too",
        "lab/pump/1: its PV MIRROR1:Uptime is that of mirror/epics/1 too",
        "lab/valve/1: its PV MIRROR1:Status is that of mirror/epics/1 too",
    }


def test_up_and_register_refuse_a_file_with_mistakes(tmp_path: Path) -> None:
    facility = read_facility(_facility(tmp_path, "lab/magnet/1: {prefx: 'M:'}"), state_dir=tmp_path / "state")
    with pytest.raises(ConfigurationError, match=r"lab\.devices\.yaml: lab/magnet/1: unknown key prefx"):
        rehearse(facility)


def test_a_facility_waits_for_the_state_of_what_it_mirrors(tmp_path: Path) -> None:
    def states(text: str, **properties: Any) -> list[str]:
        facility = read_facility(_facility(tmp_path, text, **properties), state_dir=tmp_path / "state")
        return sorted(state_pvs(facility))

    magnet = "lab/magnet/1: {prefix: 'MAG1:'}"
    assert states(magnet + "\nlab/elsewhere/1: {prefix: 'X:'}") == ["COIL1:State", "MAG1:State"]
    assert states(magnet, devices=["lab/magnet/1"]) == ["MAG1:State"]
    assert states("lab/magnet/1: {prefix: 'MAG1:', leave_out: [State]}") == ["COIL1:State"]
    assert states("lab/coil/1: {prefix: 'C:', pv_names: {state: Condition}}") == ["C:Condition"]


def test_the_file_and_the_property_are_taken_together(tmp_path: Path) -> None:
    path = tmp_path / "lab.devices.yaml"
    path.write_text("lab/magnet/1: {period: 5}\nlab/pump/1: {prefix: 'PUMP1:'}")

    def devices(*lines: str) -> dict[str, str | None]:
        mirror = EpicsMirror("mirror/epics/1", {"devices": list(lines), "devices_file": [str(path)]})
        return {device.name: device.prefix for device in mirror._config().devices}

    assert devices("lab/magnet/1=MAG1:", "lab/valve/1") == {
        "lab/magnet/1": "MAG1:", "lab/valve/1": None, "lab/pump/1": "PUMP1:",
    }  # fmt: skip
    with pytest.raises(ConfigurationError, match=r"lab/pump/1 > prefix: PUMP1:, but P: in the property devices"):
        devices("lab/pump/1=P:")


def test_the_shipped_file_is_sound(tmp_path: Path) -> None:
    facility = read_facility(TANGOTEST, state_dir=tmp_path)
    rehearse(facility)
    assert state_pvs(facility) == ["TEST1:State"]
    (device,) = read_devices(TANGOTEST.with_suffix(".devices.yaml"))
    assert device.mirror_commands


def test_a_program_that_is_not_installed_is_named_before_anything_starts(tmp_path: Path) -> None:
    answer = command("up", _facility(tmp_path, ""), "--state-dir", tmp_path / "state", "--port-offset", free_offset())
    assert answer.returncode == 1
    told = "error: lab.json: programs > Magnet/1: magnet_server is not installed here, neither in PATH nor in /usr/lib/"
    assert answer.stderr.startswith(told)
    assert "starting" not in answer.stdout
