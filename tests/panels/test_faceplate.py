"""Faceplates made from device descriptions: everything is there, nothing covers anything, dangerous things ask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devices.core.errors import ConfigurationError
from devices.cryocon import CryoCon
from devices.saxs import SaxsDetector
from servers.epics import names
from servers.panels.bob import from_xml, to_xml
from servers.panels.faceplate import faceplates
from servers.panels.generated import Plate, check, known_pvs, write
from servers.panels.linter import lint
from servers.panels.override import Override, read_override
from servers.panels.widget import Widget
from tests.support.everything import Everything

CRYOCON = CryoCon("cryo/cryocon/7", {"link": ["tcp://127.0.0.1:5000"], "model": ["24C"], "pv_prefix": ["CRYO7:"]})
SAXS = SaxsDetector("saxs/detector/7", {"folder": ["/tmp"], "allowed_folders": ["/tmp"], "pv_prefix": ["SAXS7:"]})
EVERYTHING = Everything("test/all/1", {"pv_prefix": ["ALL1:"]})


def description(device: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(device.interface.to_json())
    return found


def panels(device: Any, override: Override | None = None) -> dict[str, Widget]:
    return faceplates(device.name, description(device), override or Override())


def pvs(panel: Widget, prefix: str) -> set[str]:
    """Every PV that a panel shows or writes."""
    found: set[str] = set()
    for item in panel.all():
        found.add(item.properties.get("pv_name", ""))
        found.update(action.get("pv_name", "") for action in item.properties.get("actions", ()))
        for trace in item.properties.get("traces", ()):
            found |= {trace.get("x_pv", ""), trace.get("y_pv", "")}
    return {pv.replace("$(P)", prefix) for pv in found - {""}}


@pytest.mark.parametrize("device", [CRYOCON, SAXS, EVERYTHING], ids=["cryocon", "saxs", "everything"])
def test_a_faceplate_has_no_fault(device: Any, tmp_path: Path) -> None:
    plate = Plate(device.name, description(device))
    list(write([plate], tmp_path))
    files = sorted((tmp_path / "gen").glob("*.bob"))
    assert files
    assert lint(files, known_pvs([plate]), tmp_path) == []
    assert list(check([plate], tmp_path)) == []
    for path in files:
        assert to_xml(from_xml(path.read_text())) == path.read_text()


@pytest.mark.parametrize("device", [CRYOCON, SAXS], ids=["cryocon", "saxs"])
def test_every_attribute_and_command_of_the_instrument_is_on_one_of_its_panels(device: Any) -> None:
    found = description(device)
    shown = set().union(*(pvs(panel, found["pv_prefix"]) for panel in panels(device).values()))
    for attribute in found["attributes"]:
        pv = found["pv_prefix"] + (attribute["pv_name"] or names.segment(attribute["name"]))
        if attribute["name"] not in ("operation_id", "operation_result", "operation_error", "alarm_summary"):
            assert pv in shown, attribute["name"]
    for command in found["commands"]:
        if command["name"] not in ("describe", "operation_status", "operations", "memorized", "apply_memorized"):
            pv = found["pv_prefix"] + (command["pv_name"] or names.segment(command["name"]))
            run = pv if command["name"] == "abort" or not command["arguments"] else f"{pv}:Run"
            assert run in shown, command["name"]


def test_set_point_and_read_back_stand_in_one_row_with_the_limits() -> None:
    panel = panels(CRYOCON)["cryo_cryocon_7.bob"]
    by_pv = {item.properties.get("pv_name"): item for item in panel.all()}
    entry, readback = by_pv["$(P)Rate2"], by_pv["$(P)Rate2_RBV"]
    assert (entry.type, readback.type) == ("textentry", "textupdate")
    assert entry.get("y") == readback.get("y")
    same_row = [item.get("text") for item in panel.all() if item.type == "label" and item.get("y") == entry.get("y")]
    assert "0 to 1000 K/min" in same_row
    assert "Rate" in same_row, "the key stands in the heading of the group"


def test_what_is_dangerous_asks_and_stop_never_does() -> None:
    panel = panels(CRYOCON)["cryo_cryocon_7.bob"]
    buttons = {item.get("text"): item for item in panel.all() if item.type == "action_button"}
    assert buttons["Control on"].get("show_confirm_dialog")
    assert buttons["Auto tune"].get("show_confirm_dialog")
    assert not buttons["Control off"].get("show_confirm_dialog")
    stop = buttons["STOP"]
    assert not stop.get("show_confirm_dialog")
    assert stop.get("actions") == ({"type": "write_pv", "pv_name": "$(P)Abort", "value": "1", "description": "STOP"},)


def test_an_operation_has_one_entry_for_each_argument_a_bar_and_its_result() -> None:
    shown = pvs(panels(CRYOCON)["cryo_cryocon_7.bob"], "CRYO7:")
    tune = {pv for pv in shown if pv.startswith("CRYO7:AutoTune")}
    arguments = {f"CRYO7:AutoTune:{name}" for name in ("Loop", "Mode", "DeltaPower", "Timeout", "Save")}
    assert tune == arguments | {f"CRYO7:AutoTune:{name}" for name in ("Run", "Status", "Progress", "Error", "Result")}


def test_inputs_and_loops_have_pages_of_their_own() -> None:
    (tabs,) = [item for item in panels(CRYOCON)["cryo_cryocon_7.bob"].all() if item.type == "tabs"]
    assert [tab["name"] for tab in tabs.get("tabs")] == ["Main", "Inputs", "Loops", "Relays"]


def test_an_override_changes_label_order_group_format_and_question_and_hides(tmp_path: Path) -> None:
    (tmp_path / "cryo_cryocon_7.toml").write_text(
        'title = "Cryostat"\nhide = ["ambient_temperature"]\norder = ["heat_sink"]\n'
        '[attributes.temperature_a]\nlabel = "Sample"\ngroup = "Stage"\nformat = "exponential"\nprecision = 2\n'
        '[commands.control_off]\nconfirm = "Let it warm up?"\n'
    )
    panel = panels(CRYOCON, read_override(tmp_path, "cryo/cryocon/7", "CryoCon"))["cryo_cryocon_7.bob"]
    texts = [item.get("text") for item in panel.all() if item.type in ("label", "action_button")]
    assert "Cryostat" in texts
    assert "Ambient temperature" not in texts
    assert texts.index("Stage") < texts.index("Sample")
    (sample,) = [item for item in panel.all() if item.properties.get("pv_name") == "$(P)TemperatureA"]
    assert (sample.get("format"), sample.get("precision")) == ("exponential", 2)
    (off,) = [item for item in panel.all() if item.properties.get("text") == "Control off"]
    assert off.get("confirm_message") == "Let it warm up?"


def test_an_override_may_draw_curves_together(tmp_path: Path) -> None:
    (tmp_path / "SaxsDetector.toml").write_text(
        '[[plots]]\ntitle = "Curve"\nx = "q"\ny = ["intensity", "sigma"]\nlog_y = true\n'
    )
    panel = panels(SAXS, read_override(tmp_path, "saxs/detector/7", "SaxsDetector"))["saxs_detector_7.bob"]
    (plot,) = [item for item in panel.all() if item.type == "xyplot" and item.get("title") == "Curve"]
    assert [(trace["x_pv"], trace["y_pv"]) for trace in plot.get("traces")] == [
        ("$(P)Q", "$(P)Intensity"),
        ("$(P)Q", "$(P)Sigma"),
    ]
    assert plot.get("x_axis")["title"] == "Q / nm^-1"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('titel = "x"', "unknown key titel"),
        ("[attributes.temperature_a]\nprecision = 'two'", "precision = 'two' is not of the type int"),
        ("[attributes.temperature_a]\nformat = 'pretty'", "format = 'pretty' is not one of default"),
        ("title = ", "Invalid value"),
    ],
)
def test_a_wrong_override_is_told(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "CryoCon.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"CryoCon\.toml") as refused:
        read_override(tmp_path, "cryo/cryocon/7", "CryoCon")
    assert why in str(refused.value)


def test_an_override_of_something_that_the_device_has_not_is_told(tmp_path: Path) -> None:
    (tmp_path / "overrides").mkdir()
    (tmp_path / "overrides" / "CryoCon.toml").write_text('hide = ["temperatur_a"]')
    with pytest.raises(ConfigurationError, match="no attribute or command temperatur_a; did you mean temperature_a"):
        list(write([Plate(CRYOCON.name, description(CRYOCON))], tmp_path))


def test_a_panel_that_was_changed_by_hand_is_told_and_written_anew(tmp_path: Path) -> None:
    plate = Plate(SAXS.name, description(SAXS))
    list(write([plate], tmp_path))
    path = tmp_path / "gen" / "saxs_detector_7.bob"
    path.write_text(path.read_text().replace("<width>", "<width>1", 1))
    (tmp_path / "gen" / "old_device_1.bob").write_text(path.read_text())
    told = list(check([plate], tmp_path))
    assert f"{path}: not up to date; run `diptych panels`" in told
    assert f"{tmp_path / 'gen' / 'old_device_1.bob'}: no device has this panel any more; run `diptych panels`" in told
    list(write([plate], tmp_path))
    assert list(check([plate], tmp_path)) == []
