"""The camera as an observer at a browser uses it: its panel, and its page of headers, telemetry and quick looks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import tango
from astropy.io import fits
from playwright.sync_api import Browser, Locator, Page, expect

from servers.ccd_client import CcdClient
from servers.log.command import lines
from tests.end_to_end.test_panels import is_error
from tests.page.conftest import browser, playwright  # noqa: F401 (fixtures)
from tests.support.demo_facility import Facility
from tests.support.serving import wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]
Show = Callable[..., Page]
KEPT = ("exposure_time", "image_type", "image_title", "sequence_total", "roi")


@pytest.fixture
def show(browser: Browser, facility: Facility) -> Iterator[Show]:  # noqa: F811 (the fixture)
    """Opens an address in a browser of its own; a page with any error fails the test."""
    errors: list[str] = []
    pages: list[Page] = []

    def go(address: str = "ccd") -> Page:
        page = browser.new_context(viewport={"width": 1400, "height": 950}).new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if is_error(said) else None)
        pages.append(page)
        page.goto(f"http://127.0.0.1:{8080 + facility.offset}/#/{address}")
        return page

    yield go
    for page in pages:
        errors += [str(each) for each in page.evaluate("window.__errors")]
        page.context.close()
    assert errors == []


def proxy(facility: Facility, device: str) -> tango.DeviceProxy:
    return tango.DeviceProxy(f"tango://127.0.0.1:{10000 + facility.offset}/{device}")


@pytest.fixture
def camera(facility: Facility) -> Iterator[CcdClient]:
    """The camera; at the end its settings are as they were."""
    client = CcdClient(f"tango://127.0.0.1:{10000 + facility.offset}/ccd/1/exposure")
    former = {name: client.get(name) for name in KEPT}
    yield client
    client.abort()
    wait_until(lambda: client.get("exposure_state") == "Idle", 10.0)
    for name, value in former.items():
        client.put(name, value)


def shows(page: Page, pv: str) -> Locator:
    return page.locator(f'[data-type="textupdate"][data-pv="CCD1:{pv}"]')


def give(page: Page, pv: str, text: str) -> None:
    field = page.locator(f'.widget:is([data-type="textentry"], [data-type="combo"])[data-pv="CCD1:{pv}"]')
    field.get_by_role("textbox").fill(text)
    field.get_by_role("textbox").press("Enter")


def test_an_observer_takes_an_image_and_sees_its_stars(show: Show, camera: CcdClient, facility: Facility) -> None:
    page = show()
    give(page, "ExposureTime", "8")
    give(page, "ImageType", "object")
    give(page, "ImageTitle", "M 67")
    expect(shows(page, "ExposureTime_RBV")).to_have_text("8.000 s")
    page.get_by_role("button", name="Expose", exact=True).click()
    try:
        expect(shows(page, "ExposureState")).to_have_text("Exposing")
    except AssertionError:
        print(camera.get("exposure_state"), camera.get("last_filename"), camera.get("last_error"))
        print(*lines(facility.state_dir, {"count": "40", "pv": "CCD1:*"}, follow=False, as_json=False), sep="\n")
        print(page.locator("body").inner_text()[-3000:])
        raise
    expect(shows(page, "ExposureTimeRemaining")).to_have_text(re.compile(r"^[1-7]\.\d s$"))
    expect(shows(page, "ExposureState")).to_have_text("Idle", timeout=20_000)
    file = shows(page, "LastFilename").inner_text()
    with fits.open(file) as found:
        assert (found[0].header["OBJECT"], found[0].header["EXPREQ"]) == ("M 67", 8.0)
    name = file.rpartition("/")[2]
    expect(shows(page, "StarsOf")).to_have_text(name, timeout=10_000)
    # The simulated stars are 3 px wide.
    width = float(shows(page, "Fwhm").inner_text().split()[0])
    assert width == pytest.approx(3.0, abs=0.4)
    expect(page.locator('[data-pv="CCD1:DISP:Image"] .readout')).to_contain_text("512 × 384")


def test_the_statistics_of_a_region_are_those_of_the_file_s_pixels(
    show: Show, camera: CcdClient, facility: Facility
) -> None:
    page = show()
    image = camera.expose(0.5, "flat")
    give(page, "DISP:Region", "[11, 40, 21, 30]")
    try:
        # The first amplifier has its corner below at the left, behind 16 columns of underscan.
        with fits.open(image.file) as file:
            part = file[1].data[20:30, 16 + 10 : 16 + 40]
        expect(shows(page, "DISP:Mean")).to_have_text(f"{part.mean():.2f}")
        expect(shows(page, "DISP:Maximum")).to_have_text(str(part.max()))
    finally:
        proxy(facility, "ccd/1/display").region = [0, 0, 0, 0]


def test_an_integration_is_paused_resumed_and_ended_early(show: Show, camera: CcdClient) -> None:
    page = show()
    identity = camera.start("expose", seconds=60.0, image_type="dark")
    expect(shows(page, "ExposureState")).to_have_text("Exposing", timeout=10_000)
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(shows(page, "ExposureState")).to_have_text("Paused")
    page.get_by_role("button", name="Resume", exact=True).click()
    expect(shows(page, "ExposureState")).to_have_text("Exposing")
    page.get_by_role("button", name="Read out now", exact=True).click()
    result: dict[str, Any] = camera.wait(identity, 20.0)
    assert 0.0 < result["exposure_time"] < 30.0
    # Without an integration there is nothing to pause; the button says so.
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_role("alert").first).to_contain_text("not possible while the camera is: Idle")


def test_a_sequence_is_taken_and_another_one_stopped(show: Show, camera: CcdClient) -> None:
    page = show()
    camera.put("image_type", "zero")
    give(page, "SequenceTotal", "3")
    before = camera.get("images_taken")
    sequence = page.get_by_role("button", name="Sequence", exact=True)
    sequence.click()
    wait_until(lambda: camera.get("images_taken") == before + 3, 30.0)
    wait_until(lambda: not camera.get("is_sequence"), 10.0)
    give(page, "SequenceTotal", "1000")
    expect(shows(page, "ExposureState")).to_have_text("Idle")
    sequence.click()
    wait_until(lambda: camera.get("images_taken") > before + 3, 20.0)
    page.get_by_role("button", name="STOP", exact=True).click()
    wait_until(lambda: not camera.get("is_sequence"), 10.0)
    expect(shows(page, "ExposureState")).to_have_text("Idle")


def test_keywords_are_given_changed_and_taken_away_and_images_have_them(
    show: Show, camera: CcdClient, facility: Facility
) -> None:
    page = show("ccd/CCD1:")
    editor = page.locator('details[aria-label="Header: Instrument"]')
    for label, text in (("Keyword", "observer"), ("Value", "M. L."), ("Comment", "at the telescope")):
        editor.get_by_label(label, exact=True).fill(text)
    editor.get_by_role("button", name="Set").click()
    value = editor.get_by_label("Value of OBSERVER")
    expect(value).to_have_value("M. L.")
    value.fill("0042")  # stays a text
    value.press("Enter")
    instrument = proxy(facility, "ccd/1/instrument")
    wait_until(lambda: json.loads(instrument.get_keyword("OBSERVER"))["value"] == "0042", 5.0)
    with fits.open(camera.expose(0.0, "zero").file) as found:
        assert found[0].header["OBSERVER"] == "0042"
        assert found[0].header.comments["OBSERVER"] == "at the telescope"
    # Another client's change is seen.
    instrument.set_keyword(json.dumps({"keyword": "OBSERVER", "value": "A. B.", "comment": ""}))
    expect(value).to_have_value("A. B.")
    editor.get_by_role("button", name="Delete OBSERVER").click()
    expect(value).to_have_count(0)
    editor.get_by_label("Keyword", exact=True).fill("NAXIS1")
    editor.get_by_label("Value", exact=True).fill("5")
    editor.get_by_role("button", name="Set").click()
    expect(editor.get_by_role("alert")).to_contain_text("NAXIS1 belongs to the data")


def test_telemetry_and_the_numbers_of_each_amplifier_are_in_tables(show: Show, camera: CcdClient) -> None:
    camera.expose(0.5, "flat")
    page = show("ccd/CCD1:?tab=telemetry")
    rail = page.locator('[data-rows="telemetry"] tr', has_text="P5V_V")
    expect(rail.locator("td").last).to_have_text(re.compile(r"^[45]\.\d{3}$"))
    expect(page.locator('[data-rows="sensor"] tbody tr')).to_have_count(3)
    page.get_by_role("tab", name="Quick look").click()
    amplifiers = page.locator('[data-rows="amplifier"] tbody tr')
    expect(amplifiers).to_have_count(4)
    bias = [float(amplifiers.nth(amp).locator("td").first.inner_text()) for amp in range(4)]
    assert all(900.0 < each < 1100.0 for each in bias)
    assert len(set(bias)) > 1
    page.reload()
    expect(page.get_by_role("tab", name="Quick look")).to_have_attribute("aria-selected", "true")
