"""What an operator does: typing, buttons, confirmations, refusals, the keyboard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.page.fake_server import FakeServer
from tests.page.panel_text import open_action, panel, widget, write_action

SETPOINT = {"vtype": "VDouble", "value": 4.2, "units": "K", "precision": 2, "drive_low": 0.0, "drive_high": 10.0}
MODE = {"vtype": "VEnum", "value": 1, "text": "PID", "labels": ["Off", "PID", "Manual"]}
SWITCH = {"vtype": "VEnum", "value": 0, "text": "Off", "labels": ["Off", "On"]}

Serve = Callable[..., FakeServer]
Visit = Callable[..., Page]


def until(true: Callable[[], bool], page: Page, what: str) -> None:
    """Waits for something in the server; the page goes on meanwhile."""
    for _ in range(300):
        if true():
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"not within 15 s: {what}")


def test_what_is_typed_stays_while_the_pv_changes_and_enter_sends_it(serve: Serve, visit: Visit) -> None:
    other = widget("textupdate", 10, 60, 150, 30, pv_name="SP")
    server = serve(main=panel(widget("textentry", 10, 10, 150, 30, pv_name="SP"), other))
    server.put("SP", **SETPOINT)
    page = visit(server)
    entry = page.get_by_role("textbox")
    expect(entry).to_have_value("4.20 K")
    entry.click()
    server.put("SP", value=4.3)
    expect(entry).to_have_value("4.30 K")  # not yet typed: still live
    entry.fill("7.5")
    for step in range(5):
        server.put("SP", value=5.0 + step)
        expect(page.locator("[data-type=textupdate]")).to_have_text(f"{5 + step}.00 K")
        expect(entry).to_have_value("7.5")
    entry.press("Enter")
    until(lambda: server.writes("SP") == [("SP", 7.5)], page, "it is written")
    expect(entry).to_have_value("7.50 K")
    assert server.said("write")[0]["token"] == "tok"
    expect(page.get_by_role("status").get_by_text("done")).to_be_visible()


def test_escape_and_leaving_the_field_bring_the_pv_back(serve: Serve, visit: Visit) -> None:
    server = serve(main=panel(widget("textentry", 10, 10, 150, 30, pv_name="SP")))
    server.put("SP", **SETPOINT)
    page = visit(server)
    entry = page.get_by_role("textbox")
    for leave in (lambda: entry.press("Escape"), lambda: entry.press("Tab")):
        expect(entry).to_have_value("4.20 K")
        entry.fill("9")
        leave()
        expect(entry).to_have_value("4.20 K")
    assert server.writes() == []


@pytest.mark.parametrize(
    ("typed", "reason"),
    [("10.5", "10.5 is outside [0, 10] K"), ("5,5", '"5,5" is not a number'), ("5 mK", '"5 mK" is not a number')],
)
def test_what_cannot_be_sent_is_refused_at_the_field_and_can_be_corrected(
    serve: Serve, visit: Visit, typed: str, reason: str
) -> None:
    server = serve(main=panel(widget("textentry", 10, 10, 150, 30, pv_name="SP")))
    server.put("SP", **SETPOINT)
    page = visit(server)
    entry = page.get_by_role("textbox")
    entry.fill(typed)
    entry.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text(reason)
    server.put("SP", value=4.4)
    expect(entry).to_have_value(typed)
    assert server.writes() == []
    entry.fill("10 K")
    entry.press("Enter")
    until(lambda: server.writes() == [("SP", 10)], page, "it is written")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_refusal_of_the_server_is_shown_at_the_widget_and_kept(serve: Serve, visit: Visit) -> None:
    async def refuse(value: object) -> str:
        raise ValueError("the loop is in alarm")

    server = serve(main=panel(widget("textentry", 10, 10, 150, 30, pv_name="SP")))
    server.put("SP", **SETPOINT)
    server.on_write["SP"] = refuse
    page = visit(server)
    entry = page.get_by_role("textbox")
    entry.fill("5")
    entry.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("the loop is in alarm")
    expect(entry).to_have_value("4.20 K")
    page.get_by_role("alert").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_role("button", name="1 new message").click()
    expect(page.get_by_label("Messages")).to_contain_text("SP := 5 K: the loop is in alarm")


def test_a_long_write_shows_busy_and_holds_nothing_up(serve: Serve, visit: Visit) -> None:
    buttons = [
        widget("action_button", 10, 10, 150, 40, text="Tune", actions=write_action("TUNE", 1)),
        widget("action_button", 200, 10, 150, 40, text="Abort", actions=write_action("ABORT", 1)),
    ]
    server = serve(main=panel(*buttons))
    server.put("TUNE", vtype="VInt", value=0)
    server.put("ABORT", vtype="VInt", value=0)
    aborted = asyncio.Event()

    async def tune(value: object) -> str:
        await aborted.wait()
        raise ValueError("aborted by the operator")

    async def abort(value: object) -> str:
        aborted.set()
        return "all stopped"

    server.on_write.update(TUNE=tune, ABORT=abort)
    page = visit(server)
    page.get_by_role("button", name="Tune").click()
    expect(page.get_by_role("status")).to_contain_text("busy, 1 s")
    expect(page.locator("[aria-busy=true]")).to_have_attribute("data-pv", "TUNE")
    page.get_by_role("button", name="Abort").click()
    expect(page.get_by_text("all stopped")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("aborted by the operator")
    expect(page.locator("[aria-busy=true]")).to_have_count(0)


def test_a_lost_connection_says_that_the_result_is_unknown(serve: Serve, visit: Visit) -> None:
    server = serve(main=panel(widget("action_button", 10, 10, 150, 40, text="Tune", actions=write_action("TUNE", 1))))
    server.put("TUNE", vtype="VInt", value=0)

    async def never(value: object) -> str:
        return await asyncio.get_running_loop().create_future()

    server.on_write["TUNE"] = never
    page = visit(server)
    page.get_by_role("button", name="Tune").click()
    until(lambda: server.writes() != [], page, "it is sent")
    server.drop()
    expect(page.get_by_role("alert").filter(has_text="the result is unknown")).to_be_visible()


def test_a_confirmation_is_asked_before_anything_is_sent(serve: Serve, visit: Visit) -> None:
    button = widget(
        "action_button",
        10,
        10,
        200,
        40,
        text="Heater",
        actions=write_action("ON", "On"),
        show_confirm_dialog=True,
        confirm_message="Really heat?",
    )
    server = serve(main=panel(button))
    server.put("ON", **SWITCH)
    page = visit(server)
    heater, dialog = page.get_by_role("button", name="Heater"), page.get_by_role("dialog", name="Really heat?")
    heater.click()
    expect(dialog).to_contain_text("ON := On")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(heater).to_be_focused()
    heater.click()
    dialog.get_by_role("button", name="Cancel").click()
    assert server.writes() == []
    heater.click()
    dialog.get_by_role("button", name="OK").click()
    until(lambda: server.writes() == [("ON", 1)], page, "it is written")


def test_a_switch_may_ask_one_way_only_and_the_server_may_demand_it(serve: Serve, visit: Visit) -> None:
    server = serve(
        main=panel(
            widget("bool_button", 10, 10, 150, 40, pv_name="ON", show_confirm_dialog=2, confirm_message="Heat?"),
            widget("checkbox", 10, 70, 150, 30, pv_name="SHUTTER", label="Shutter"),
        )
    )
    server.put("ON", **SWITCH)
    server.put("SHUTTER", **SWITCH, confirm="X rays: is the hutch empty?")
    page = visit(server)
    heater = page.get_by_role("button", name="Off")
    heater.click()
    page.get_by_role("dialog", name="Heat?").get_by_role("button", name="OK").click()
    until(lambda: server.writes("ON") == [("ON", 1)], page, "it is on")
    page.get_by_role("button", name="On", exact=True).click()
    until(lambda: server.writes("ON")[1:] == [("ON", 0)], page, "it is off again, unasked")
    assert [message.get("confirmed") for message in server.said("write")] == [True, None]
    asked = page.get_by_role("dialog", name="X rays: is the hutch empty?")
    page.get_by_role("checkbox").click()
    asked.get_by_role("button", name="Cancel").click()
    assert server.writes("SHUTTER") == []
    page.get_by_role("checkbox").click()
    asked.get_by_role("button", name="OK").click()
    until(lambda: server.writes("SHUTTER") != [], page, "it is sent")
    assert server.said("write")[-1]["confirmed"] is True


def test_a_push_button_holds_while_it_is_pressed(serve: Serve, visit: Visit) -> None:
    server = serve(main=panel(widget("bool_button", 10, 10, 150, 40, pv_name="JOG", mode=1, bit=2)))
    server.put("JOG", vtype="VInt", value=0b1001)
    page = visit(server)
    button = page.get_by_role("button", name="Off")
    button.hover()
    page.mouse.down()
    until(lambda: server.writes() == [("JOG", 0b1101)], page, "bit 2 is set")
    expect(page.get_by_role("button", name="On")).to_be_visible()
    page.mouse.move(900, 600)
    page.mouse.up()
    until(lambda: server.writes()[1:] == [("JOG", 0b1001)], page, "bit 2 is cleared, the others stay")


def test_a_push_that_must_be_confirmed_never_stays_pressed(serve: Serve, visit: Visit) -> None:
    button = widget(
        "bool_button", 10, 10, 150, 40, pv_name="JOG", mode=1, show_confirm_dialog=2, confirm_message="Jog?"
    )
    server = serve(main=panel(button))
    server.put("JOG", **SWITCH)
    page = visit(server)
    dialog = page.get_by_role("dialog", name="Jog?")
    page.get_by_role("button", name="Off").click()
    dialog.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Off").click()
    dialog.get_by_role("button", name="OK").click()
    until(lambda: server.writes() == [("JOG", 1), ("JOG", 0)], page, "pressed and released")


def test_every_control_writes_what_the_pv_takes(serve: Serve, visit: Visit) -> None:
    server = serve(
        main=panel(
            widget("combo", 10, 10, 150, 30, pv_name="MODE"),
            widget("choice", 10, 50, 250, 30, pv_name="MODE"),
            widget("radio", 10, 90, 250, 30, pv_name="MODE"),
            widget(
                "combo", 10, 130, 150, 30, pv_name="GAIN", items_from_pv=False, items=[("item", "1"), ("item", "8")]
            ),
            widget("slide_button", 10, 170, 150, 30, pv_name="BITS", bit=4, label="Bit 4"),
            widget("spinner", 10, 210, 150, 30, pv_name="SP", increment=0.1),
        )
    )
    server.put("MODE", **MODE)
    server.put("GAIN", vtype="VDouble", value=1.0)
    server.put("BITS", vtype="VInt", value=1)
    server.put("SP", **SETPOINT)
    page = visit(server)
    page.locator("[data-type=combo][data-pv=MODE]").click()
    page.get_by_role("option", name="Manual").click()
    until(lambda: server.writes("MODE") == [("MODE", 2)], page, "combo: the index")
    page.locator("[data-type=choice]").get_by_role("radio", name="Off").click()
    until(lambda: server.writes("MODE")[1:] == [("MODE", 0)], page, "choice")
    page.locator("[data-type=radio]").get_by_role("radio", name="PID").click()
    until(lambda: server.writes("MODE")[2:] == [("MODE", 1)], page, "radio")
    page.locator("[data-pv=GAIN]").click()
    page.get_by_role("option", name="8").click()
    until(lambda: server.writes("GAIN") == [("GAIN", 8)], page, "own items of a number: the number")
    page.get_by_role("switch").click()
    until(lambda: server.writes("BITS") == [("BITS", 17)], page, "bit 4")
    more = page.get_by_role("button", name="increase")
    for _ in range(3):
        more.click()
    until(lambda: server.writes("SP") == [("SP", 4.3), ("SP", 4.4), ("SP", 4.5)], page, "0.1 K a press")


def test_the_keyboard_reaches_and_works_everything(serve: Serve, visit: Visit) -> None:
    server = serve(
        main=panel(
            widget("action_button", 10, 10, 150, 30, text="Go", actions=write_action("GO", 1)),
            widget("combo", 10, 50, 150, 30, pv_name="MODE"),
            widget("checkbox", 10, 90, 150, 30, pv_name="ON", label="Armed"),
            widget("scaledslider", 10, 130, 300, 50, pv_name="SP", increment=0.5),
            widget(
                "action_button",
                10,
                200,
                150,
                30,
                text="Menu",
                actions=write_action("GO", 7, "Seven") + write_action("GO", 8, "Eight"),
            ),
            widget("tabs", 10, 250, 300, 100, tabs="<tab><name>A</name></tab><tab><name>B</name></tab>"),
        )
    )
    server.put("GO", vtype="VInt", value=0)
    server.put("MODE", **MODE)
    server.put("ON", **SWITCH)
    server.put("SP", **SETPOINT)
    page = visit(server)
    expect(page.locator("[data-sev=NONE][data-pv=SP]")).to_be_visible()
    go = page.get_by_role("button", name="Go")
    go.focus()
    press = page.keyboard.press
    press("Enter")
    until(lambda: server.writes("GO") == [("GO", 1)], page, "Enter")
    press("Tab")
    press("ArrowDown")  # opens the list, and sends nothing
    press("ArrowDown")
    expect(page.get_by_role("option", name="Manual")).to_be_focused()
    press("Escape")
    assert server.writes("MODE") == []
    press("ArrowDown")
    press("Home")
    press("Enter")
    until(lambda: server.writes("MODE") == [("MODE", 0)], page, "Off is chosen")
    press("Tab")
    press(" ")
    until(lambda: server.writes("ON") == [("ON", 1)], page, "the space bar")
    press("Tab")
    expect(page.get_by_role("slider")).to_be_focused()
    press("ArrowRight")
    until(lambda: server.writes("SP") == [("SP", 4.7)], page, "a step of the slider")
    press("Tab")
    press("Enter")
    press("ArrowDown")
    press("Enter")
    until(lambda: server.writes("GO")[1:] == [("GO", 8)], page, "the second action")
    press("Tab")
    press("ArrowRight")
    expect(page.get_by_role("tab", name="B")).to_have_attribute("aria-selected", "true")


def test_a_slider_sends_once_at_the_end_of_a_drag(serve: Serve, visit: Visit) -> None:
    server = serve(main=panel(widget("scaledslider", 10, 10, 400, 60, pv_name="SP", increment=0.5)))
    server.put("SP", **SETPOINT, min=0.0, max=10.0)
    page = visit(server)
    slider = page.get_by_role("slider")
    expect(slider).to_have_attribute("aria-valuemax", "10")
    box = slider.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 12)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 12, steps=5)
    server.put("SP", value=1.0)
    assert server.writes() == []
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 12, steps=5)
    page.mouse.up()
    until(lambda: server.writes() == [("SP", 5)], page, "the middle is sent")


def test_what_cannot_be_written_is_greyed_and_says_why(serve: Serve, visit: Visit) -> None:
    server = serve(
        main=panel(
            widget("textentry", 10, 10, 150, 30, pv_name="RO"),
            widget("action_button", 10, 50, 150, 30, text="Go", actions=write_action("GONE", 1)),
            widget("checkbox", 10, 90, 150, 30, pv_name="ON", label="Armed", enabled=False),
            widget(
                "action_button",
                10,
                130,
                150,
                30,
                text="Run",
                actions='<action type="command"><command>x</command></action>',
            ),
        )
    )
    server.put("RO", **SETPOINT, readonly=True)
    server.put("ON", **SWITCH)
    page = visit(server)
    expect(page.get_by_role("textbox")).to_have_attribute("aria-disabled", "true")
    expect(page.get_by_role("textbox")).to_have_attribute("readonly", "")
    page.get_by_role("button", name="Go").click(force=True)
    expect(page.get_by_role("alert").last).to_contain_text("GONE is not connected: there is no PV of this name")
    page.get_by_role("alert").click()
    page.get_by_role("checkbox").click(force=True)
    expect(page.get_by_role("alert").last).to_contain_text("switched off in the panel")
    page.get_by_role("alert").click()
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("alert").last).to_contain_text('"command" is not allowed in a browser')
    assert server.writes() == []


def test_a_server_that_takes_no_writes_is_for_looking_only(serve: Serve, visit: Visit) -> None:
    server = serve(main=panel(widget("checkbox", 10, 10, 150, 30, pv_name="ON", label="Armed")))
    server.hello["writable"] = False
    server.put("ON", **SWITCH)
    page = visit(server)
    expect(page.get_by_text("view only")).to_be_visible()
    page.get_by_role("checkbox").click(force=True)
    expect(page.get_by_role("alert")).to_contain_text("this server takes no writes from here")
    assert server.writes() == []


def test_a_server_without_the_additions_works_too(serve: Serve, visit: Visit) -> None:
    async def refuse(value: object) -> str:
        raise ValueError("SP: out of range")

    server = serve(
        main=panel(widget("textentry", 10, 10, 150, 30, pv_name="SP"), widget("checkbox", 10, 50, pv_name="ON"))
    )
    server.plain = True
    server.pvs["SP"] = {"vtype": "VDouble", "value": 4.2, "severity": "NONE", "readonly": False}
    server.pvs["ON"] = {"vtype": "VEnum", "value": 0, "text": "Off", "labels": ["Off", "On"], "severity": "UNDEFINED"}
    server.on_write["SP"] = refuse
    page = visit(server)
    expect(page.locator("[data-pv=ON]")).to_have_attribute("data-sev", "DISCONNECTED")
    server.put("ON", severity="NONE")
    page.get_by_role("checkbox").click()
    expect(page.get_by_role("status").get_by_text("sent")).to_be_visible()
    expect(page.get_by_role("checkbox")).to_be_checked()
    page.get_by_role("textbox").fill("99")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="1 new message").click()
    expect(page.get_by_label("Messages")).to_contain_text("SP: out of range")


def test_a_tablet_taps(serve: Serve, visit: Visit) -> None:
    server = serve(main=panel(widget("combo", 10, 10, 150, 40, pv_name="MODE")))
    server.put("MODE", **MODE)
    page = visit(server, has_touch=True)
    page.get_by_role("combobox").tap()
    page.get_by_role("option", name="Manual").tap()
    until(lambda: server.writes() == [("MODE", 2)], page, "it is written")


def test_panels_lead_to_each_other_with_macros(serve: Serve, visit: Visit) -> None:
    child = panel(widget("textupdate", 10, 10, 100, 30, pv_name="$(P):T$(N)"), name="Loop $(N)")
    buttons = [
        widget("action_button", 10, 10, 100, 30, text="Here", actions=open_action("sub/child.bob", macros="<N>1</N>")),
        widget(
            "action_button", 10, 50, 100, 30, text="Tab", actions=open_action("sub/child.bob", "tab", macros="<N>2</N>")
        ),
    ]
    server = serve(main=panel(*buttons, macros={"P": "CRYO"}))
    server.opi["sub/child.bob"] = child
    for number in (1, 2):
        server.put(f"CRYO:T{number}", **{**SETPOINT, "value": float(number)})
    page = visit(server)
    page.get_by_role("link", name="Here").click()
    expect(page.locator("[data-pv='CRYO:T1']")).to_have_text("1.00 K")
    assert page.url.endswith("#/sub/child?P=CRYO&N=1")
    expect(page.get_by_role("heading", level=1)).to_have_text("Loop 1")
    page.go_back()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Tab").click()
    expect(opened.value.locator("[data-pv='CRYO:T2']")).to_have_text("2.00 K")


def test_embedded_panels_have_macros_of_their_own(serve: Serve, visit: Visit) -> None:
    inner = panel(widget("textupdate", 10, 10, 100, 30, pv_name="${P}:T$(N)"), widget("picture", file="mark.svg"))
    rows = [widget("embedded", 0, 60 * n, 200, 50, file="gen/loop.bob", macros=f"<N>{n}</N>") for n in (1, 2)]
    tabs = (
        "<tab><name>One</name><file>gen/loop.bob</file><macros><N>1</N></macros></tab>"
        "<tab><name>Three</name><file>gen/loop.bob</file><macros><N>3</N></macros></tab>"
    )
    server = serve(main=panel(*rows, widget("navtabs", 300, 10, 300, 200, direction=0, tabs=tabs)))
    server.opi["gen/loop.bob"] = inner
    server.opi["gen/mark.svg"] = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 4"/>'
    for number in (1, 2, 3):
        server.put(f"CRYO:T{number}", **{**SETPOINT, "value": float(number)})
    page = visit(server, "main?P=CRYO")
    for number in (1, 2):
        expect(page.locator(f"[data-type=embedded] [data-pv='CRYO:T{number}']")).to_have_text(f"{number}.00 K")
    page.get_by_role("tab", name="Three").click()
    expect(page.locator("[data-type=navtabs] [data-pv='CRYO:T3']")).to_have_text("3.00 K")
    expect(page.locator("[data-type=navtabs] [data-pv='CRYO:T1']")).to_have_count(0)


def test_each_pv_is_subscribed_once_and_given_up_when_nobody_shows_it(serve: Serve, visit: Visit) -> None:
    rows = [widget("textupdate", 10, 40 * row, pv_name="T") for row in range(5)]
    server = serve(main=panel(*rows, widget("led", 300, 10, pv_name="ON")), other=panel(widget("led", pv_name="ON")))
    server.put("T", **SETPOINT)
    server.put("ON", **SWITCH)
    page = visit(server)
    expect(page.locator("[data-sev=NONE]")).to_have_count(6)
    assert sorted(name for each in server.said("subscribe") for name in each["pvs"]) == ["ON", "T"]
    page.goto(server.url("other"))
    until(lambda: server.subscribed() == {"ON"}, page, "T is given up, ON is kept")
    assert [each["pvs"] for each in server.said("clear")] == [["T"]]
