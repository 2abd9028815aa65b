"""The linter of panels: each fault is found, named, and told once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from servers.panels.bob import to_xml
from servers.panels.linter import KnownPvs, lint
from servers.panels.widget import Widget, display, widget

KNOWN = KnownPvs(
    frozenset({"CRYO1:TemperatureA", "CRYO1:ControlOn", "CRYO1:Setpoint1", "CRYO1:Send:Run"}),
    frozenset({"CRYO1:ControlOn", "CRYO1:Send:Run"}),
)


def faults(folder: Path, *widgets: Widget, **properties: Any) -> list[str]:
    (folder / "test.bob").write_text(to_xml(display("Test", 400, 300, list(widgets), **properties)))
    return [line.removeprefix(f"{folder / 'test.bob'}: ") for line in lint([folder / "test.bob"], KNOWN, folder)]


def reading(pv: str, **more: Any) -> Widget:
    return widget("textupdate", name="reading", pv_name=pv, **more)


def button(pv: str, **more: Any) -> Widget:
    action = {"type": "write_pv", "pv_name": pv, "value": "1"}
    return widget("action_button", name="go", text="Go", actions=[action], **more)


def test_a_panel_without_faults_has_none(tmp_path: Path) -> None:
    place = {"y": 30, "show_confirm_dialog": True}
    assert faults(tmp_path, reading("$(P)TemperatureA"), button("${P}ControlOn", **place), macros={"P": "CRYO1:"}) == []


def test_a_pv_that_does_not_exist_is_told_with_the_nearest_one(tmp_path: Path) -> None:
    assert faults(tmp_path, reading("CRYO1:TemperaturA")) == [
        "textupdate 'reading': there is no PV CRYO1:TemperaturA; did you mean CRYO1:TemperatureA?"
    ]


@pytest.mark.parametrize(
    "pv", ["CRYO1:TemperatureA.EGU", "pva://CRYO1:TemperatureA", "ca://CRYO1:Setpoint1", "loc://x"]
)
def test_fields_and_schemes_are_understood(tmp_path: Path, pv: str) -> None:
    assert faults(tmp_path, reading(pv)) == []


def test_a_macro_that_nobody_sets_is_told(tmp_path: Path) -> None:
    (told,) = faults(tmp_path, reading("$(N)TemperatureA"), macros={"P": "CRYO1:"})
    assert told.startswith("textupdate 'reading': the macro N of '$(N)TemperatureA' is not set; known: ")


@pytest.mark.parametrize("pv", ["CRYO1:ControlOn", "CRYO1:Send:Run"])
def test_a_dangerous_command_must_ask(tmp_path: Path, pv: str) -> None:
    assert faults(tmp_path, button(pv)) == [f"action_button 'go': writes {pv} and does not ask (show_confirm_dialog)"]
    assert faults(tmp_path, button(pv, show_confirm_dialog=True)) == []


def test_a_list_that_writes_a_dangerous_command_must_ask_too(tmp_path: Path) -> None:
    found = faults(tmp_path, widget("combo", name="mode", pv_name="CRYO1:ControlOn"))
    assert found == ["combo 'mode': writes CRYO1:ControlOn and does not ask (show_confirm_dialog)"]


def test_widgets_that_cover_one_another_or_leave_the_panel_are_told(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        reading("CRYO1:TemperatureA", width=120),
        widget("label", name="late", text="x", x=100, y=10),
        widget("label", name="out", text="x", x=350, y=200, width=100),
        widget("rectangle", name="frame", width=400, height=300),
    )
    assert found == [
        "label 'out': at (350, 200) to (450, 220) leaves its 400 x 300 px",
        "label 'late': covers textupdate 'reading'",
    ]


def test_neighbours_that_only_touch_are_no_fault(tmp_path: Path) -> None:
    assert faults(tmp_path, widget("label", width=50, text="a"), widget("label", x=50, text="b")) == []


def test_a_tab_is_a_place_of_its_own(tmp_path: Path) -> None:
    inside = [widget("label", name="deep", text="x", y=60)]
    tabs = [{"name": "One", "children": [widget("label", text="x")]}, {"name": "Two", "children": inside}]
    found = faults(tmp_path, widget("tabs", tabs=tabs, width=200, height=100, tab_height=30))
    assert found == ["label 'deep': at (0, 60) to (100, 80) leaves its 200 x 70 px"]


def test_an_embedded_panel_gets_the_macros_and_is_checked_with_them(tmp_path: Path) -> None:
    inner = display("Inner", 200, 100, [reading("$(P)TemperatureA")])
    (tmp_path / "inner.bob").write_text(to_xml(inner))
    place = {"width": 200, "height": 100, "file": "inner.bob"}
    assert faults(tmp_path, widget("embedded", macros={"P": "CRYO1:"}, **place)) == []
    (told,) = faults(tmp_path, widget("embedded", macros={"P": "CRYO2:"}, **place))
    where = f"{tmp_path / 'inner.bob'}: textupdate 'reading'"
    assert told == f"{where}: there is no PV CRYO2:TemperatureA; did you mean CRYO1:TemperatureA?"
    (told,) = faults(tmp_path, widget("embedded", **place))
    assert "the macro P of '$(P)TemperatureA' is not set" in told


def test_macros_of_its_own_win_over_those_of_the_embedding_panel_and_defaults_do_not(tmp_path: Path) -> None:
    place = {"macros": {"P": "CRYO2:"}, "width": 200, "height": 100, "file": "inner.bob"}
    inner = [reading("$(P=CRYO1:)TemperatureA")]
    (tmp_path / "inner.bob").write_text(to_xml(display("Inner", 200, 100, inner)))
    assert lint([tmp_path / "inner.bob"], KNOWN, tmp_path) == [], "alone it has the default"
    (told,) = faults(tmp_path, widget("embedded", **place))
    assert "there is no PV CRYO2:TemperatureA" in told
    (tmp_path / "inner.bob").write_text(to_xml(display("Inner", 200, 100, inner, macros={"P": "CRYO1:"})))
    assert faults(tmp_path, widget("embedded", **place)) == []


def test_an_embedded_panel_must_fit_its_place_unless_it_is_scaled(tmp_path: Path) -> None:
    (tmp_path / "inner.bob").write_text(to_xml(display("Inner", 200, 120, [])))
    place = {"name": "in", "width": 200, "height": 100, "file": "inner.bob"}
    assert faults(tmp_path, widget("embedded", **place)) == [
        "embedded 'in': inner.bob is 200 x 120, more than its place"
    ]
    assert faults(tmp_path, widget("embedded", resize="content", **place)) == []


@pytest.mark.parametrize(("file", "why"), [("missing.bob", "there is no file missing.bob"), ("../x.bob", "is outside")])
def test_a_panel_that_is_not_there_or_not_ours_is_told(tmp_path: Path, file: str, why: str) -> None:
    action = {"type": "open_display", "file": file}
    (told,) = faults(tmp_path, widget("action_button", name="go", actions=[action]))
    assert why in told


def test_only_web_addresses_may_be_opened(tmp_path: Path) -> None:
    action = {"type": "open_webpage", "url": "file:///etc/passwd"}
    (told,) = faults(tmp_path, widget("action_button", name="go", actions=[action]))
    assert told == "action_button 'go': opens 'file:///etc/passwd', which is no http address"
    page = {"type": "open_webpage", "url": "#/saxs/SAXS1:"}
    assert faults(tmp_path, widget("action_button", name="go", actions=[page])) == []


def test_a_file_that_phoebus_would_write_otherwise_is_told(tmp_path: Path) -> None:
    path = tmp_path / "test.bob"
    path.write_text('<?xml version="1.0"?><display version="2.0.0"><name>Test</name></display>')
    assert lint([path], KNOWN, tmp_path) == [
        f"{path}: is not in Phoebus' own form; `diptych panels --format` writes it so"
    ]


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ({"width": 100, "height": 20}, ["its text takes 2 lines, more than 20 px"]),
        ({"width": 100, "height": 20, "wrap_words": False}, ["its text is 160 px wide, more than 100 px"]),
        ({"width": 100, "height": 36}, []),
        ({"width": 162, "height": 20}, []),
        ({"width": 162, "height": 20, "font": "Default Bold"}, ["its text takes 2 lines, more than 20 px"]),
        ({"width": 20, "height": 20, "auto_size": True}, []),
    ],
)
def test_a_label_that_is_cut_is_told(tmp_path: Path, place: dict[str, Any], told: list[str]) -> None:
    text = widget("label", name="name", text="Overtemperature enabled", **place)
    assert faults(tmp_path, text) == [f"label 'name': {fault}" for fault in told]


def test_the_text_of_a_button_has_room_with_its_macros(tmp_path: Path) -> None:
    go = widget("action_button", name="go", text="Move $(WHERE)", width=80, height=24)
    assert faults(tmp_path, go, macros={"WHERE": "in"}) == []
    (told,) = faults(tmp_path, go, macros={"WHERE": "to the parking place"})
    assert told == "action_button 'go': its text is 160 px wide, more than 72 px"
