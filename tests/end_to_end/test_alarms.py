"""An alarm of the demo, seen and acknowledged alike over Tango, EPICS and in the browser."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import tango
from playwright.sync_api import Browser, Page, expect

from tests.end_to_end.test_panels import proxy
from tests.page.conftest import browser, playwright  # noqa: F401 (fixtures)
from tests.support.demo_facility import Facility
from tests.support.serving import wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]
PV = "CRYO1:TemperatureD"


@pytest.fixture
def page(browser: Browser, facility: Facility) -> Iterator[Page]:  # noqa: F811 (the fixture)
    page = browser.new_context(viewport={"width": 1600, "height": 1000}).new_page()
    page.goto(f"http://127.0.0.1:{8080 + facility.offset}/#/alarm-table")
    expect(page.locator(".alarm-badge")).to_be_visible(timeout=20_000)
    expect(page.locator(".alarms")).to_have_attribute("data-known", "true", timeout=20_000)
    yield page
    assert page.evaluate("window.__errors") == []
    page.context.close()


def listed(facility: Facility) -> dict[str, str]:
    """The stand of every alarm, over Tango."""
    alarms = json.loads(proxy(facility, "alarm/facility/1").alarms())["alarms"]
    return {alarm["name"]: alarm["stand"] for alarm in alarms}


def first_rows(facility: Facility) -> str:
    """Names in the first rows, as caproto reads them."""
    return facility.run("caproto-get", "--terse", "-S", *(f"ALARM:ROW{row:02d}:Name" for row in range(1, 9))).stdout


def bounded(device: tango.DeviceProxy, kelvin: str) -> str:
    """Set the upper alarm bound; returns the former one."""
    config = device.get_attribute_config("temperature_d")
    former, config.alarms.max_alarm = config.alarms.max_alarm, kelvin
    device.set_attribute_config(config)
    return str(former)


def test_the_life_of_an_alarm_is_the_same_over_tango_epics_and_in_the_browser(page: Page, facility: Facility) -> None:
    device = proxy(facility, "cryo/cryocon/1")
    row = page.locator(f".alarm-row[data-alarm='{PV}']")
    former = bounded(device, "1.0")
    try:
        expect(row.locator(".alarm-severity")).to_have_text("MAJOR", timeout=10_000)
        assert listed(facility)[PV] == "UNACKNOWLEDGED"
        wait_until(lambda: PV in first_rows(facility), 20.0, "it is in a row")
    finally:
        bounded(device, former)
    expect(row.locator(".alarm-severity")).to_have_text("was MAJOR", timeout=10_000)
    assert listed(facility)[PV] == "RETURNED", "it came and went, and nobody knows"

    page.get_by_label("Your name").fill("ada")
    row.get_by_role("button", name="Acknowledge").click()
    expect(row).to_have_count(0)
    wait_until(lambda: PV not in listed(facility), 5.0, "it is over and acknowledged")
    past = page.locator(".alarm-past li", has_text=PV)
    expect(past.filter(has_text="acknowledged")).to_contain_text("ada")
    expect(past.filter(has_text="raised").first).to_contain_text("MAJOR")

    former = bounded(device, "1.0")
    try:
        row.get_by_role("button", name="Set aside").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Why").fill("the sensor is being changed")
        dialog.get_by_role("button", name="Set aside").click()
        expect(row.locator(".alarm-stand")).to_contain_text("by ada (the sensor is being changed)")
        assert listed(facility)[PV] == "SHELVED"
        row.get_by_role("button", name="Put back").click()
        wait_until(lambda: listed(facility)[PV] == "UNACKNOWLEDGED", 5.0, "back, and still wrong")
    finally:
        bounded(device, former)
    row.get_by_role("button", name="Acknowledge").click()
    expect(row).to_have_count(0, timeout=10_000)


def test_the_alarm_leads_to_its_trend(page: Page, facility: Facility) -> None:
    device = proxy(facility, "cryo/cryocon/1")
    former = bounded(device, "1.0")
    try:
        page.get_by_role("button", name=PV).click(timeout=10_000)
    finally:
        bounded(device, former)
    page.get_by_role("link", name="Trend").click()
    expect(page.locator(".trend-entry")).to_contain_text(PV)
    page.goto(page.url.partition("#")[0] + "#/alarm-table")
    page.locator(f".alarm-row[data-alarm='{PV}']").get_by_role("button", name="Acknowledge").click()
    expect(page.locator(f".alarm-row[data-alarm='{PV}']")).to_have_count(0, timeout=10_000)
