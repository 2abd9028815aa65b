"""The demo's panels as an operator meets them: a browser, and nothing else."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tango
from playwright.sync_api import Browser, ConsoleMessage, Error, Locator, Page, expect

from servers.facility.facility_file import read_facility
from servers.panels.generated import check, plates_of
from tests.page.conftest import browser, playwright  # noqa: F401 (fixtures)
from tests.support.demo_facility import Facility
from tests.support.serving import ROOT

pytestmark = pytest.mark.timeout(180)
Show = Callable[[str], Page]
PANELS = sorted(path.relative_to(ROOT / "opi").with_suffix("").as_posix() for path in (ROOT / "opi").rglob("*.bob"))


@pytest.fixture
def show(browser: Browser, facility: Facility) -> Iterator[Show]:  # noqa: F811 (the fixture)
    """Opens panels of the demo, each in a browser of its own; a page with any error fails the test."""
    errors: list[str] = []
    pages: list[Page] = []

    def go(panel: str) -> Page:
        page = browser.new_context(viewport={"width": 1600, "height": 1000}).new_page()
        page.on("pageerror", lambda error: errors.append(f"{panel}: {error}"))
        page.on("console", lambda said: errors.append(f"{panel}: {said.text}") if is_error(said) else None)
        pages.append(page)
        page.goto(f"http://127.0.0.1:{8080 + facility.offset}/#/{panel}")
        return page

    yield go
    for page in pages:
        errors += [str(each) for each in page.evaluate("window.__errors")]
        page.context.close()
    assert errors == []


def is_error(said: ConsoleMessage) -> bool:
    """A strip chart that is opened before anything was recorded is told so; browsers log each such answer."""
    return said.type == "error" and "/hist?" not in said.location["url"]


def shows(page: Page, pv: str, kind: str = "textupdate") -> Locator:
    return page.locator(f'[data-type="{kind}"][data-pv="{pv}"]')


def proxy(facility: Facility, device: str) -> tango.DeviceProxy:
    return tango.DeviceProxy(f"tango://127.0.0.1:{10000 + facility.offset}/{device}")


def test_no_panel_of_the_repository_has_a_fault() -> None:
    facility = read_facility(ROOT / "dbconfig" / "demo.json", state_dir=Path("var"), to_run=False)
    assert list(check(plates_of([facility]), ROOT / "opi")) == []


@pytest.mark.parametrize("panel", PANELS)
def test_every_panel_opens_with_everything_connected(show: Show, panel: str) -> None:
    page = show(panel)
    expect(page.locator(".widget[data-pv]").first).to_be_visible()
    expect(page.locator('.widget[data-sev="DISCONNECTED"]')).to_have_count(0, timeout=20_000)
    assert page.locator("[data-fault]").count() == 0


def test_the_overview_leads_to_the_instrument_in_trouble_and_says_why(show: Show, facility: Facility) -> None:
    page = show("overview")
    state = shows(page, "CRYO1:State")
    expect(state).to_have_attribute("data-sev", "NONE")
    device = proxy(facility, "cryo/cryocon/1")
    config = device.get_attribute_config("temperature_c")
    former, config.alarms.max_alarm = config.alarms.max_alarm, "1.5"
    device.set_attribute_config(config)
    expect(state).to_have_attribute("data-sev", "MINOR", timeout=3000)
    expect(shows(page, "CRYO1:Status")).to_contain_text("temperature_c")
    page.locator(".widget", has_text="Screen").first.click()
    expect(shows(page, "CRYO1:TemperatureC")).to_have_attribute("data-sev", "MAJOR")
    config.alarms.max_alarm = former
    device.set_attribute_config(config)
    expect(shows(page, "CRYO1:TemperatureC")).to_have_attribute("data-sev", "NONE", timeout=3000)


def test_values_move(show: Show) -> None:
    temperature = shows(show("cryocon"), "CRYO1:TemperatureA")
    expect(temperature).to_have_text(re.compile(r"^[\d.]+ K$"))
    former = temperature.inner_text()
    expect(temperature).not_to_have_text(former)


def test_a_set_point_written_in_the_browser_reaches_the_instrument_and_comes_back(
    show: Show, facility: Facility
) -> None:
    page = show("cryocon")
    field = shows(page, "CRYO1:Setpoint1", "textentry").get_by_role("textbox")
    field.fill("71.25")
    field.press("Enter")
    expect(shows(page, "CRYO1:Setpoint1_RBV")).to_have_text("71.250 K")
    with socket.create_connection(("127.0.0.1", 5000 + facility.offset), timeout=5.0) as simulator:
        simulator.sendall(b"LOOP 1:SETPT?\n")
        assert float(simulator.recv(100).decode().strip().rstrip("K")) == 71.25


def test_a_refused_value_says_why_at_its_field(show: Show, facility: Facility) -> None:
    page = show("cryocon")
    entry = shows(page, "CRYO1:Setpoint1", "textentry")
    device = proxy(facility, "cryo/cryocon/1")
    former, before = device.max_setpoint_1, device.setpoint_1
    try:
        device.max_setpoint_1 = 310.5
        entry.get_by_role("textbox").fill("311")
        entry.hover()
        expect(page.get_by_role("tooltip")).to_contain_text("at most 310.5", timeout=5000)
        entry.get_by_role("textbox").press("Enter")
        expect(page.get_by_role("alert").first).to_contain_text("311 is above 310.5 K")
        assert device.setpoint_1 == before
    finally:
        device.max_setpoint_1 = former


@pytest.mark.long
def test_a_device_that_a_sequencer_has_reserved_refuses_the_panel_and_says_who(show: Show, facility: Facility) -> None:
    page = show("cryocon")
    entry = shows(page, "CRYO1:Setpoint1", "textentry").get_by_role("textbox")
    device = proxy(facility, "cryo/cryocon/1")
    before = device.setpoint_1
    device.reserve('{"name": "bluesky", "seconds": 120}')
    try:
        entry.fill("71.5")
        entry.press("Enter")
        expect(page.get_by_role("alert").first).to_contain_text("reserved by bluesky until", timeout=20_000)
        assert device.setpoint_1 == before
    finally:
        device.release("bluesky")
    entry.fill("71.5")
    entry.press("Enter")
    expect(shows(page, "CRYO1:Setpoint1_RBV")).to_have_text("71.500 K", timeout=20_000)


def test_heaters_go_on_only_after_a_question(show: Show, facility: Facility) -> None:
    page = show("cryocon")
    device = proxy(facility, "cryo/cryocon/1")
    button = page.get_by_role("button", name="Control on")
    button.click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("heaters may go on")
    question.get_by_role("button", name="Cancel").click()
    assert device.control is False
    button.click()
    question.get_by_role("button", name="OK").click()
    expect(shows(page, "CRYO1:Control")).to_have_text("On")
    page.get_by_role("button", name="Control off").click()
    expect(shows(page, "CRYO1:Control")).to_have_text("Off")


def test_stop_ends_an_auto_tune_at_once_and_without_a_question(show: Show, facility: Facility) -> None:
    device = proxy(facility, "cryo/cryocon/1")
    device.control_on()  # or the instrument refuses to tune
    page = show("cryocon")
    loop = shows(page, "CRYO1:AutoTune:Loop", "textentry").get_by_role("textbox")
    loop.fill("1")
    loop.press("Enter")
    page.get_by_role("button", name="Auto tune").click()
    page.get_by_role("dialog").get_by_role("button", name="OK").click()
    status = shows(page, "CRYO1:AutoTune:Status")
    expect(status).to_have_text("RUNNING")
    page.get_by_role("button", name="STOP").click()
    expect(status).to_have_text("ABORTED", timeout=5000)
    expect(page.get_by_role("dialog")).to_have_count(0)
    device.control_off()


def test_an_image_is_integrated_and_the_first_ring_is_that_of_silver_behenate(show: Show, facility: Facility) -> None:
    page = show("saxs")
    image = sorted((facility.state_dir / "saxs").glob("*.tif"))[-1]  # the oldest are taken away
    field = shows(page, "SAXS1:IntegrateFile:Path", "textentry").get_by_role("textbox")
    field.fill(str(image))
    field.press("Enter")
    page.get_by_role("button", name="Integrate").click()
    expect(shows(page, "SAXS1:IntegrateFile:Status")).to_have_text("DONE")
    ring = float(shows(page, "SAXS1:QPeak").inner_text().split()[0])
    assert ring == pytest.approx(1.076, abs=0.003)  # nm^-1; Huang et al., J. Appl. Cryst. 26 (1993) 180


def test_the_pixel_under_the_cursor_has_its_true_count(show: Show, facility: Facility) -> None:
    device = proxy(facility, "saxs/detector/1")
    device.watching = False  # the image stands still
    try:
        page = show("saxs")
        area = shows(page, "SAXS1:Image", "image").locator(".image-area")
        readout = shows(page, "SAXS1:Image", "image").locator(".readout")
        expect(readout).to_contain_text("×")
        box = area.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.6 * box["height"])
        expect(readout).to_have_text(re.compile(r"^x \d+  y \d+  -?\d+ count$"))
        x, y, count = (int(number) for number in re.findall(r"-?\d+", readout.inner_text()))
        assert device.image[y, x] == count
    finally:
        device.watching = True


@pytest.mark.long
def test_a_killed_server_is_seen_and_comes_back(show: Show, facility: Facility) -> None:
    page = show("cryocon")
    temperature = shows(page, "CRYO1:TemperatureA")
    expect(temperature).to_have_attribute("data-sev", "NONE")
    facility.child("serve", "cryocon").send_signal(signal.SIGKILL)
    expect(temperature).to_have_attribute("data-sev", "INVALID", timeout=5000)
    expect(temperature).to_have_attribute("data-sev", "NONE", timeout=20_000)
    facility.child("mirror", "mirror").send_signal(signal.SIGKILL)
    expect(temperature).to_have_attribute("data-sev", "DISCONNECTED", timeout=5000)
    expect(temperature).to_have_attribute("data-sev", "NONE", timeout=20_000)


def test_a_trend_of_the_demo_is_full_after_a_reload(show: Show) -> None:
    page = show("trend?pv=CRYO1:TemperatureA&span=600")
    deadline = time.monotonic() + 60.0
    recorded: list[float] = []
    while len(recorded) < 3:  # the recorder begins when the mirror does, and writes once a second
        assert time.monotonic() < deadline, recorded
        with page.expect_response(lambda answer: "/hist?" in answer.url) as asked:
            page.reload()
        with contextlib.suppress(Error):  # the answer is gone when the page asks once more at once
            recorded = asked.value.json()["trends"][0]["time"] if asked.value.ok else []
    page.wait_for_function(f"() => Number(document.querySelector('.plot')?.dataset.points) >= {len(recorded)}")
    expect(page.locator(".trend-remark")).to_be_empty()
