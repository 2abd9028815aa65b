"""What an operator sees: every widget, severities, what is disconnected, old or broken."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.page.fake_server import FakeServer, array_update
from tests.page.panel_text import SUBSET, open_action, panel, widget, write_action

TEMPERATURE = {"vtype": "VDouble", "value": 4.213, "units": "K", "precision": 3, "min": 0.0, "max": 10.0}
MODE = {"vtype": "VEnum", "value": 1, "text": "PID", "labels": ["Off", "PID", "Manual"]}

Serve = Callable[..., FakeServer]
Visit = Callable[..., Page]

#: What each widget needs to show something, and a selector of what it then shows.
ALONE: dict[str, tuple[dict[str, Any], str]] = {
    "label": ({"text": "Cryostat"}, "text=Cryostat"),
    "rectangle": ({}, "rect"),
    "ellipse": ({}, "ellipse"),
    "polyline": ({"points": '<point x="0" y="0"/><point x="9" y="5"/>', "arrows": 3}, "polyline >> nth=0"),
    "picture": ({"file": "mark.svg"}, "img"),
    "textupdate": ({"pv_name": "T"}, "text=4.213 K"),
    "led": ({"pv_name": "MODE"}, ".lamp"),
    "multi_state_led": ({"pv_name": "MODE", "square": True}, "text=State 2"),
    "byte_monitor": ({"pv_name": "MODE"}, "[data-bit='0'][data-state=on]"),
    "progressbar": ({"pv_name": "T"}, "[role=meter][aria-valuenow='4.213']"),
    "tank": ({"pv_name": "T"}, "[role=meter][aria-valuemax='10']"),
    "meter": ({"pv_name": "T"}, "text=4.213 K"),
    "textentry": ({"pv_name": "T"}, "input"),
    "action_button": ({"actions": write_action("T", 1, "Heat")}, "role=button[name=Heat]"),
    "bool_button": ({"pv_name": "MODE"}, "role=button[pressed=true]"),
    "slide_button": ({"pv_name": "MODE", "label": "Shutter"}, "role=switch[name=Shutter][checked=true]"),
    "checkbox": ({"pv_name": "MODE", "label": "Armed"}, "role=checkbox[name=Armed][checked=true]"),
    "choice": ({"pv_name": "MODE"}, "role=radio[name=PID][checked=true]"),
    "combo": ({"pv_name": "MODE"}, "role=combobox"),
    "radio": ({"pv_name": "MODE"}, "role=radio[name=PID][checked=true]"),
    "scaledslider": ({"pv_name": "T"}, "role=slider"),
    "spinner": ({"pv_name": "T"}, "role=spinbutton"),
    "xyplot": ({"traces": [("trace", {"y_pv": "I"})]}, "[data-points='5'] canvas"),
    "stripchart": ({"traces": [("trace", {"y_pv": "T"})]}, "canvas"),
    "image": ({"pv_name": "CAM"}, "[data-seq='1'] canvas"),
    "group": ({"children": [widget("label", text="inside")]}, "text=inside"),
    "embedded": ({"file": "child.bob"}, "text=child"),
    "tabs": ({"tabs": "<tab><name>One</name><children></children></tab>"}, "role=tab[name=One][selected=true]"),
    "navtabs": ({"tabs": "<tab><name>One</name><file>child.bob</file></tab>"}, "text=child"),
}


@pytest.fixture
def all_alone(serve: Serve) -> FakeServer:
    """A server with a panel for each type of widget, and PVs for all of them."""
    panels = {
        kind: panel(widget(kind, 10, 10, 200, 120, **properties), width=1000, height=680)
        for kind, (properties, _) in ALONE.items()
    }
    server = serve(child=panel(widget("label", text="child")), **panels)
    server.opi["mark.svg"] = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 4"/>'
    server.put("T", **TEMPERATURE)
    server.put("MODE", **MODE)
    server.put("I", **array_update(np.array([1.0, 4.0, 9.0, 16.0, 25.0])))
    server.show("CAM", np.arange(12, dtype=np.uint16).reshape(3, 4))
    return server


def test_every_widget_of_the_subset_shows_its_value(all_alone: FakeServer, visit: Visit) -> None:
    assert set(ALONE) == set(SUBSET["widgets"])
    page = visit(all_alone, "label")
    for kind, (_, shown) in ALONE.items():
        page.goto(all_alone.url(kind))
        here = page.locator(f"[data-panel='{kind}.bob'] > [data-type={kind}]")
        expect(here.locator(shown).first, kind).to_be_attached()
        expect(here, kind).not_to_have_attribute("data-fault", "")
        assert here.get_attribute("data-fault") is None, kind
        box = here.bounding_box()
        assert box is not None and (box["width"], box["height"]) == (200, 120), kind


def test_every_widget_survives_values_it_cannot_show(all_alone: FakeServer, visit: Visit) -> None:
    page = visit(all_alone, "label")
    strange = [
        {"vtype": "VString", "value": None, "text": "a <b>text</b> & more", "labels": None},
        {"vtype": "VDoubleArray", "value": None, "b64dbl": ""},
        {"vtype": "VDouble", "value": "NaN", "severity": "INVALID"},
        {"vtype": "VDouble", "value": 1e300, "min": 5.0, "max": 5.0, "severity": "NONE"},
        {"connected": False, "reason": "gone"},
    ]
    for kind in [kind for kind, rule in SUBSET["widgets"].items() if rule["pv"] and kind != "image"]:
        page.goto(all_alone.url(kind))
        here = page.locator(f"[data-panel='{kind}.bob'] > [data-type={kind}]")
        for name in ("T", "MODE", "I"):
            all_alone.put(name, **{"connected": True, **TEMPERATURE})
        expect(here, kind).to_have_attribute("data-sev", "NONE")
        for update in strange:
            for name in ("T", "MODE", "I"):
                all_alone.put(name, **update)
        expect(here, kind).to_have_attribute("data-sev", "DISCONNECTED")
        assert here.get_attribute("data-fault") is None, kind
    assert page.locator("b").count() == 0


def test_a_broken_widget_shows_why_and_its_neighbours_go_on(serve: Serve, visit: Visit) -> None:
    kinds = sorted(SUBSET["widgets"])
    broken = [
        widget(kind, 10 + 160 * (row % 5), 40 + 60 * (row // 5), 150, 50, visible="perhaps")
        for row, kind in enumerate(kinds)
    ]
    more = [
        widget("thumbwheel", 10, 500, 150, 40),
        widget("xyplot", 180, 500, 150, 40, y_axes=""),
        widget("image", 350, 500, 150, 40, pv_name=""),
        widget("textupdate", 520, 500, 150, 40, pv_name="$(MISSING):A"),
    ]
    server = serve(main=panel(widget("textupdate", 10, 5, 150, 24, pv_name="T"), *broken, *more, height=600))
    server.put("T", **TEMPERATURE)
    page = visit(server, faults=("perhaps", "thumbwheel", "y axis", "pv_name", "MISSING"))
    expect(page.get_by_text("4.213 K")).to_be_visible()
    for kind in kinds:
        text = page.locator(f"[data-type={kind}][data-fault]").first
        expect(text, kind).to_contain_text('visible: "perhaps" is neither true nor false')
    expect(page.get_by_text('there is no widget of the type "thumbwheel" here')).to_be_visible()
    expect(page.get_by_text("it has no y axis")).to_be_visible()
    expect(page.get_by_text("the macro MISSING")).to_be_visible()


def border(page: Page, selector: str) -> tuple[str, str, str]:
    """Style, width and colour of the frame around a widget."""
    script = "e => ['Style', 'Width', 'Color'].map(key => getComputedStyle(e, '::after')['borderTop' + key])"
    return tuple(page.locator(selector).evaluate(script))


def test_severities_differ_in_line_style_as_well_as_in_colour(serve: Serve, visit: Visit) -> None:
    severities = ["NONE", "MINOR", "MAJOR", "INVALID", "UNDEFINED"]
    rows = [widget("textupdate", 10, 20 + 50 * row, pv_name=name) for row, name in enumerate(severities)]
    quiet = widget("textupdate", 10, 300, pv_name="MAJOR", border_alarm_sensitive=False, name="quiet")
    server = serve(main=panel(*rows, quiet))
    for name in severities:
        server.put(name, **TEMPERATURE)
    page = visit(server)
    for name in severities:
        server.put(name, severity=name, **({"connected": False} if name == "UNDEFINED" else {}))
    expect(page.locator("[data-sev=DISCONNECTED]")).to_have_count(1)
    seen = {name: border(page, f"[data-pv={name}] >> nth=0") for name in severities}
    assert seen["NONE"][0] == "none"
    assert [seen[name][0] for name in severities[1:]] == ["solid", "solid", "dashed", "dotted"]
    assert seen["MINOR"][1] != seen["MAJOR"][1]
    assert [seen[name][2] for name in severities[1:4]] == ["rgb(255, 128, 0)", "rgb(255, 0, 0)", "rgb(255, 0, 255)"]
    assert seen["UNDEFINED"][2].startswith("rgba(200, 0, 200")
    assert border(page, "[data-quiet]")[0] == "none"
    expect(page.locator("[data-quiet]")).to_have_attribute("data-sev", "MAJOR")


def test_a_disconnected_widget_keeps_its_value_and_says_why_and_how_long(serve: Serve, visit: Visit) -> None:
    lamp = widget("led", 300, 10, 20, 20, pv_name="T")
    server = serve(main=panel(widget("textupdate", 10, 10, 250, 60, pv_name="T"), lamp))
    server.put("T", **TEMPERATURE)
    page = visit(server)
    text = page.locator("[data-type=textupdate]")
    expect(text).to_have_attribute("data-sev", "NONE")
    server.put("T", connected=False, reason="the device server does not answer")
    expect(text).to_have_attribute("data-sev", "DISCONNECTED")
    expect(text).to_contain_text("4.213 K")
    expect(text.locator(".lost")).to_contain_text("the device server does not answer")
    expect(text.locator(".lost")).to_contain_text("2 s")
    hatch = page.locator("[data-type=led] .lost").evaluate("e => getComputedStyle(e).backgroundImage")
    assert "repeating-linear-gradient" in hatch
    server.put("T", connected=True, value=4.5)
    expect(text).to_have_attribute("data-sev", "NONE")
    expect(text).to_have_text("4.500 K")


def test_an_unknown_pv_says_so(serve: Serve, visit: Visit) -> None:
    page = visit(serve(main=panel(widget("textupdate", 10, 10, 400, 60, pv_name="NO:SUCH"))))
    expect(page.locator("[data-pv='NO:SUCH'] .lost")).to_contain_text("there is no PV of this name")


def test_a_value_older_than_three_periods_is_shown_as_old(serve: Serve, visit: Visit) -> None:
    server = serve(main=panel(widget("textupdate", 10, 10, 200, 24, pv_name="T"), widget("led", pv_name="SLOW")))
    server.put("T", **TEMPERATURE, period=1.0)
    server.put("SLOW", **TEMPERATURE)
    server.put("SLOW", seconds=int(time.time()) - 1000)
    page = visit(server)
    server.put("T", seconds=int(time.time()) - 90)
    expect(page.locator("[data-pv=T][data-stale]")).to_contain_text("90 s", timeout=5000)
    expect(page.locator("[data-pv=SLOW][data-stale]")).to_have_count(0)
    server.put("T", value=5.0)
    expect(page.locator("[data-stale]")).to_have_count(0)


def test_while_the_server_is_away_everything_is_disconnected_and_comes_back(serve: Serve, visit: Visit) -> None:
    server = serve(main=panel(*[widget("textupdate", 10, 30 * row, pv_name=f"T{row}") for row in range(4)]))
    for row in range(4):
        server.put(f"T{row}", **TEMPERATURE)
    page = visit(server)
    expect(page.locator("[data-sev=NONE]")).to_have_count(4)
    server.open = False
    server.drop()
    expect(page.locator("[data-sev=DISCONNECTED]")).to_have_count(4)
    expect(page.get_by_role("alert")).to_contain_text("No connection to the server")
    server.open = True
    expect(page.locator("[data-sev=NONE]")).to_have_count(4)
    expect(page.get_by_role("alert")).to_have_count(0)
    server.put("T2", value=9.876)
    expect(page.get_by_text("9.876 K")).to_be_visible()


@pytest.mark.long
def test_a_server_that_is_silent_is_taken_for_dead(serve: Serve, visit: Visit) -> None:
    server = serve(main=panel(widget("textupdate", 10, 10, 200, 30, pv_name="T")))
    server.put("T", **TEMPERATURE)
    page = visit(server)
    expect(page.locator("[data-sev=NONE]")).to_have_count(1)
    server.silent = True
    expect(page.locator("[data-sev=DISCONNECTED]")).to_have_count(1)
    server.silent = False
    server.drop()  # what it left unanswered stays so
    expect(page.locator("[data-sev=NONE]")).to_have_count(1)


def test_the_tooltip_tells_pv_value_time_severity_and_limits(serve: Serve, visit: Visit) -> None:
    server = serve(main=panel(widget("textentry", 10, 10, 200, 30, pv_name="SP")))
    update = {
        **TEMPERATURE,
        "drive_low": 0.0,
        "drive_high": 10.0,
        "alarm_high": 8.5,
        "description": "Set point of loop 1",
    }
    server.put("SP", **update, severity="MINOR", status="HIGH")
    page = visit(server)
    page.locator("[data-pv=SP]").hover()
    tip = page.get_by_role("tooltip")
    for text in ("SP", "Set point of loop 1", "4.213 K", "MINOR: HIGH", "0 to 10", "from 8.5 up"):
        expect(tip).to_contain_text(text)


def test_a_panel_fits_a_narrow_tablet_and_a_dark_room(serve: Serve, visit: Visit) -> None:
    server = serve(main=panel(widget("textupdate", 700, 10, 90, 30, pv_name="T"), width=800))
    server.put("T", **TEMPERATURE)
    page = visit(server, color_scheme="dark")
    text = page.locator("[data-pv=T]")
    wide = text.bounding_box()
    dark = page.locator("main").evaluate("e => getComputedStyle(e).backgroundColor")
    page.set_viewport_size({"width": 400, "height": 700})
    page.wait_for_function("() => document.querySelector('[data-pv=T]').getBoundingClientRect().right <= 400")
    narrow = text.bounding_box()
    assert wide and narrow and narrow["width"] < 0.6 * wide["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.get_by_role("button", name="Room: auto").click()
    expect(page.get_by_role("button", name="Room: light")).to_be_visible()
    light = page.locator("main").evaluate("e => getComputedStyle(e).backgroundColor")
    assert (dark, light) == ("rgb(38, 41, 44)", "rgb(226, 228, 230)")
    page.reload()
    expect(page.get_by_role("button", name="Room: light")).to_be_visible()


def test_a_panel_that_is_missing_or_broken_says_so(serve: Serve, visit: Visit) -> None:
    server = serve(main=panel(widget("label", text="here")), broken="<display><widget></display>")
    # Chromium puts a style into what it says about broken XML, which the policy forbids.
    page = visit(server, "nowhere", faults=("there is no panel", "this is not XML", "without end", "style-src-attr"))
    expect(page.get_by_role("alert")).to_contain_text("there is no panel nowhere.bob (404")
    page.goto(server.url("broken"))
    expect(page.get_by_role("alert")).to_contain_text("this is not XML")
    page.goto(server.url("main"))
    expect(page.get_by_text("here", exact=True)).to_be_visible()
    server.opi["loop.bob"] = panel(widget("embedded", 0, 0, 300, 200, file="loop.bob"))
    page.goto(server.url("loop"))
    expect(page.get_by_text("panels embed each other without end")).to_be_visible()


def test_nothing_in_a_panel_becomes_markup_or_a_script(serve: Serve, visit: Visit) -> None:
    evil = "&lt;img src=x onerror=window.hacked=1&gt;"
    text = panel(
        f'<widget type="label"><text>{evil}</text></widget>',
        widget("textupdate", 10, 40, 300, 30, pv_name="T"),
        widget(
            "action_button",
            10,
            80,
            200,
            30,
            text="Page",
            actions='<action type="open_webpage"><url>javascript:hacked=1</url></action>',
        ),
        widget("action_button", 10, 120, 200, 30, text="Out", actions=open_action("../../secret.bob")),
        name="x",
    )
    server = serve(main=text)
    server.put("T", vtype="VString", text="<script>window.hacked=1</script><img src=x onerror=window.hacked=1>")
    page = visit(server, faults=("links to javascript:", "outside of the folder"))
    expect(page.get_by_text("<script>window.hacked=1</script>")).to_be_visible()
    expect(page.get_by_text("links to javascript: are not allowed")).to_be_visible()
    expect(page.get_by_text("is outside of the folder of panels")).to_be_visible()
    assert page.evaluate("[document.images.length, window.hacked ?? null]") == [0, None]
