"""The alarms in the browser: the badge in the head, the table, what a person does with an alarm, and the horn."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.page.fake_server import FakeServer
from tests.page.panel_text import panel, widget
from tests.page.test_renderer_writes import until

Serve = Callable[..., FakeServer]
Visit = Callable[..., Page]

#: In the page: counts the tones instead of playing them; they are started after a click only, as in a browser.
TONES = """
window.tones = 0;
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (...when) { window.tones++; return start.apply(this, when); };
"""


def alarm(name: str, severity: str = "MAJOR", stand: str = "UNACKNOWLEDGED", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "device": "cryo/cryocon/1",
        "stand": stand,
        "severity": severity,
        "worst": severity,
        "text": f"{name} is too high",
        "guidance": "",
        "raised_s": time.time() - 125.0,
        "cleared_s": 0.0,
        "shelved_until_s": 0.0,
        "acknowledged_by": "",
        "set_aside_by": "",
        "set_aside_why": "",
        **more,
    }


class Alarms:
    """The alarm device of a server: what its table shows, and what it was told."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.news = 0
        server.hello["alarms"] = "ALARM:"
        for command in ("Acknowledge", "Shelve", "Unshelve", "TakeOutOfService", "PutBackIntoService"):
            server.on_call[f"ALARM:{command}"] = lambda given, name=command: self.told.append((name, given))

    def show(self, *alarms: dict[str, Any], news: int = 0) -> None:
        self.news += news
        self.server.put("ALARM:Table", vtype="VStringArray", texts=[json.dumps(each) for each in alarms])
        self.server.put("ALARM:News", vtype="VLong", value=self.news)


def shown(serve: Serve, visit: Visit, *alarms: dict[str, Any], where: str = "alarm-table", script: str = "") -> Any:
    server = serve(main=panel(widget("label", 20, 20, 200, 20, text="Hall")))
    device = Alarms(server)
    device.show(*alarms)
    return visit(server, where, script=script), device


def names(page: Page) -> list[str]:
    return page.locator(".alarm-name").all_text_contents()


def row(page: Page, name: str) -> Locator:
    return page.locator(f".alarm-row[data-alarm='{name}']")


def test_every_page_says_how_many_alarms_there_are_and_leads_to_them(serve: Serve, visit: Visit) -> None:
    page, device = shown(serve, visit, where="main")
    badge = page.locator(".alarm-badge")
    expect(badge).to_have_text("No alarms")
    device.show(alarm("CRYO1:TemperatureA"), alarm("SAXS1:State", "INVALID", "ACKNOWLEDGED"), news=1)
    expect(badge).to_have_text("2 alarms, INVALID, 1 new")
    expect(badge).to_have_attribute("data-worst", "INVALID")
    device.show(alarm("A", "MINOR", "ACKNOWLEDGED"), alarm("B", "MAJOR", "SHELVED"))
    expect(badge).to_have_text("1 alarm, MINOR")
    badge.click()
    expect(page.locator(".panel-name")).to_have_text("Alarms")


def test_alarms_that_cannot_be_known_are_not_shown_as_none(serve: Serve, visit: Visit) -> None:
    page, device = shown(serve, visit, alarm("A"))
    expect(page.locator(".alarm-row")).to_have_count(1)
    device.server.put("ALARM:Table", connected=False, reason="the EPICS mirror does not answer")
    expect(page.locator(".alarm-badge")).to_have_text("Alarms unknown")
    expect(page.locator(".alarm-empty")).to_have_text("The alarms are not known: the EPICS mirror does not answer")


def test_a_facility_without_an_alarm_device_has_no_badge(serve: Serve, visit: Visit) -> None:
    page = visit(serve(main=panel()), "alarm-table")
    expect(page.locator(".alarm-empty")).to_have_text("This facility has no alarm device.")
    expect(page.locator(".alarm-badge")).to_be_hidden()


def test_the_table_says_what_is_wrong_since_when_and_who_knows(serve: Serve, visit: Visit) -> None:
    over = alarm("C", "NO_ALARM", "RETURNED", worst="MINOR", cleared_s=time.time() - 40.0)
    aside = alarm(
        "D", "MAJOR", "SHELVED", set_aside_by="ada", set_aside_why="filling", shelved_until_s=time.time() + 630
    )
    page, _ = shown(serve, visit, alarm("A"), alarm("B", stand="ACKNOWLEDGED", acknowledged_by="bob"), over, aside)
    expect(row(page, "A").locator(".alarm-severity")).to_have_text("MAJOR")
    expect(row(page, "A").locator(".alarm-text")).to_have_text("A is too high")
    expect(row(page, "A").locator(".alarm-age")).to_have_text("2 min")
    expect(row(page, "B").locator(".alarm-stand")).to_have_text("acknowledged by bob")
    expect(row(page, "C").locator(".alarm-severity")).to_have_text("was MINOR")
    expect(row(page, "C").locator(".alarm-age")).to_have_text(re.compile(r"over for \d+ s"))
    expect(row(page, "D").locator(".alarm-stand")).to_have_text("shelved for 10 min more by ada (filling)")


def test_who_is_logged_in_is_not_asked_for_a_name(serve: Serve, visit: Visit) -> None:
    server = serve(main=panel())
    server.hello["person"] = {"name": "anna", "role": "operate", "logout": True}
    device = Alarms(server)
    device.show(alarm("A"))
    page = visit(server, "alarm-table")
    name = page.get_by_label("Your name")
    expect(name).to_have_value("anna")
    expect(name).to_have_attribute("readonly", "")
    row(page, "A").get_by_role("button", name="Acknowledge").click()
    device.show(alarm("A", stand="ACKNOWLEDGED", acknowledged_by="anna"))
    expect(row(page, "A").get_by_role("button", name="Acknowledge")).to_be_hidden()
    assert device.told == [("Acknowledge", {"alarm": "A", "who": "anna"})]


def test_an_alarm_is_acknowledged_with_the_name_that_was_given_once(serve: Serve, visit: Visit) -> None:
    page, device = shown(serve, visit, alarm("A"), alarm("B"))
    page.get_by_label("Your name").fill("ada")
    row(page, "B").get_by_role("button", name="Acknowledge").click()
    device.show(alarm("A"), alarm("B", stand="ACKNOWLEDGED", acknowledged_by="ada"))
    expect(row(page, "B").get_by_role("button", name="Acknowledge")).to_be_hidden()
    page.reload()
    page.get_by_role("button", name="Acknowledge all").click()
    device.show(alarm("A", stand="ACKNOWLEDGED"))
    expect(page.get_by_role("button", name="Acknowledge all")).to_be_hidden()
    assert device.told == [
        ("Acknowledge", {"alarm": "B", "who": "ada"}),
        ("Acknowledge", {"alarm": "*", "who": "ada"}),
    ]


def test_only_what_the_filter_shows_is_acknowledged_with_a_filter(serve: Serve, visit: Visit) -> None:
    page, device = shown(
        serve, visit, alarm("CRYO1:A"), alarm("SAXS1:B", "MINOR"), alarm("CRYO1:C", stand="ACKNOWLEDGED")
    )
    page.get_by_label("Filter").fill("cryo1 major")
    expect(page.locator(".alarm-row")).to_have_count(2)
    page.get_by_role("button", name="Acknowledge all").click()
    device.show(alarm("SAXS1:B", "MINOR"))
    expect(page.locator(".alarm-empty")).to_have_text("No alarm fits the filter.")
    assert [given["alarm"] for _, given in device.told] == ["CRYO1:A"]


def test_an_alarm_is_set_aside_for_a_time_by_somebody(serve: Serve, visit: Visit) -> None:
    page, device = shown(serve, visit, alarm("A"))
    row(page, "A").get_by_role("button", name="Set aside").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Set aside").click()
    expect(dialog).to_be_visible()  # nobody's name: the browser says so
    dialog.get_by_label("For how long").select_option("8 hours")
    dialog.get_by_label("Your name").fill("ada")
    dialog.get_by_label("Why").fill("the dewar is filled")
    dialog.get_by_role("button", name="Set aside").click()
    expect(dialog).to_have_count(0)
    device.show(alarm("A", stand="OUT_OF_SERVICE", set_aside_by="ada"))
    row(page, "A").get_by_role("button", name="Put back").click()
    device.show()
    expect(page.locator(".alarm-empty")).to_have_text("No alarms.")
    assert device.told == [
        ("Shelve", {"alarm": "A", "minutes": 480, "who": "ada", "why": "the dewar is filled"}),
        ("PutBackIntoService", {"alarm": "A", "who": "ada"}),
    ]


def test_a_refusal_is_a_message(serve: Serve, visit: Visit) -> None:
    page, device = shown(serve, visit, alarm("A"))

    def refuse(_: dict[str, Any]) -> None:
        raise ValueError("there is no alarm A")

    device.server.on_call["ALARM:Acknowledge"] = refuse
    row(page, "A").get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".messages-button")).to_have_text("1 new message")


def test_an_alarm_has_its_guidance_its_trend_and_its_history(serve: Serve, visit: Visit) -> None:
    page, device = shown(serve, visit, alarm("A", guidance="Fill nitrogen."), alarm("Warm", device=""))
    step = {"alarm": "A", "step": "raised", "severity": 2, "text": "too high", "who": "", "why": "", "time_s": 1.7e9}
    device.server.steps = [{**step, "step": "acknowledged", "who": "ada", "time_s": 1.7e9 + 60}, step]
    page.get_by_role("button", name="A", exact=True).click()
    detail = row(page, "A").locator(".alarm-detail")
    expect(detail).to_contain_text("Fill nitrogen.")
    expect(detail.locator("li")).to_have_count(2)
    expect(detail.locator("li").first).to_contain_text("acknowledged, MAJOR: too high ada")
    page.get_by_role("button", name="Warm").click()
    expect(row(page, "Warm").get_by_role("link")).to_have_count(0)
    detail.get_by_role("link", name="Trend").click()
    expect(page.locator(".panel-name")).to_have_text("Trend")
    assert "pv=A&span=3600" in page.url


def test_text_of_alarms_is_text(serve: Serve, visit: Visit) -> None:
    page, _ = shown(serve, visit, alarm("<b id=bold>A</b>", text="<img src=x onerror='document.title=1'>"))
    expect(page.locator(".alarm-text")).to_have_text("<img src=x onerror='document.title=1'>")
    assert page.locator("#bold").count() == 0


def test_the_order_stays_while_somebody_is_about_to_click(serve: Serve, visit: Visit) -> None:
    page, device = shown(serve, visit, alarm("A"), alarm("B"))
    row(page, "A").get_by_role("button", name="Acknowledge").hover()
    device.show(alarm("Z"), alarm("B"), alarm("A"), news=1)
    expect(page.locator(".alarm-row")).to_have_count(3)
    assert names(page) == ["A", "B", "Z"]
    page.get_by_label("Filter").hover()
    expect(page.locator(".alarm-name").first).to_have_text("Z")
    assert names(page) == ["Z", "B", "A"]


def test_the_horn_sounds_for_a_new_alarm_until_it_is_silenced(serve: Serve, visit: Visit) -> None:
    page, device = shown(serve, visit, alarm("A"), script=TONES)
    page.get_by_role("button", name="Sound off").click()
    expect(page.get_by_role("button", name="Sound on")).to_be_visible()
    assert page.evaluate("tones") == 0, "an alarm that was there before is not new"
    device.show(alarm("A"), alarm("B"), news=1)
    until(lambda: page.evaluate("tones") >= 2, page, "two tones")
    page.get_by_role("button", name="Silence").click()
    expect(page.get_by_role("button", name="Silence")).to_be_hidden()
    sounded = page.evaluate("tones")
    device.show(alarm("A"), alarm("B"), alarm("C"), news=1)
    until(lambda: page.evaluate("tones") > sounded, page, "the next alarm")
    device.show(alarm("A", stand="ACKNOWLEDGED"))
    expect(page.get_by_role("button", name="Silence")).to_be_hidden()
