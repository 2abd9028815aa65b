"""The panel of the SAXS detector as operators use it: a browser, the demo, and now and then another client."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tango
from playwright.sync_api import Browser, Locator, Page, expect

from tests.page.conftest import browser, playwright  # noqa: F401 (fixtures)
from tests.support.demo_facility import Facility
from tests.support.serving import wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]
Show = Callable[..., Page]


@pytest.fixture
def show(browser: Browser, facility: Facility) -> Iterator[Show]:  # noqa: F811 (the fixture)
    """Opens the panel in a browser of its own, with a tab; a page with any error fails the test."""
    errors: list[str] = []
    pages: list[Page] = []

    def go(tab: str = "calibration", query: str = "", width: int = 1280) -> Page:
        page = browser.new_context(viewport={"width": width, "height": 900}).new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        pages.append(page)
        page.goto(f"http://127.0.0.1:{8080 + facility.offset}/#/saxs/SAXS1:?tab={tab}{query}")
        return page

    yield go
    for page in pages:
        errors += [str(each) for each in page.evaluate("window.__errors")]
        page.context.close()
    assert errors == []


@pytest.fixture
def device(facility: Facility) -> Iterator[tango.DeviceProxy]:
    """The detector; at the end it has the queue of the facility again, as other tests want it."""
    proxy = tango.DeviceProxy(f"tango://127.0.0.1:{10000 + facility.offset}/saxs/detector/1")
    yield proxy
    proxy.calibration_file = ""


def calibration(device: tango.DeviceProxy) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(device.queue_calibration()).get("calibration", {})
    return found


def field(page: Page, key: str) -> Locator:
    return page.get_by_role("textbox", name=key, exact=True)


def problem(page: Page, key: str) -> Locator:
    return page.locator(f'[data-key="{key}"] > .saxs-problem')


def answer(page: Page, text: str) -> None:
    page.get_by_role("dialog").get_by_role("button", name=text, exact=True).click()


def stands(page: Page, text: str) -> None:
    """How the calibration of the page stands beside the queue."""
    expect(page.locator(".saxs-state")).to_contain_text(text)


def test_the_queue_s_calibration_is_edited_with_what_is_wrong_at_its_very_key(show: Show) -> None:
    page = show()
    stands(page, "Queue started. Local calibration synced")
    caption = page.locator(".saxs-masks figcaption")
    expect(caption).to_have_text(re.compile(r"^mask\.msk: 256 × 320 px, [\d.]+ % masked$"))
    size = page.locator(".saxs-masks canvas").evaluate("canvas => [canvas.width, canvas.height]")
    assert size == [160, 128]
    field(page, "Wavelength").fill("-1")
    expect(problem(page, "Wavelength")).to_have_text("must be more than 0")
    stands(page, "modified: 1 difference")
    field(page, "Wavelength").fill("1.54")
    stands(page, "synced")
    field(page, "Masks[0].MaskFile").fill("nowhere.msk")
    expect(problem(page, "Masks[0].MaskFile")).to_contain_text("nowhere.msk cannot be read: No such file")
    field(page, "Masks[0].MaskFile").fill("mask.msk")
    field(page, "Geometry.Imagesize[1]").fill("321")
    expect(problem(page, "Masks[0].MaskFile")).to_contain_text("Geometry.Imagesize says 256 x 321 px")
    page.get_by_role("button", name="Start queue").click()
    expect(page.locator(".saxs-queue > .saxs-problem")).to_contain_text("not sent: the calibration has errors")
    assert page.get_by_role("dialog").count() == 0


def test_a_queue_is_started_after_a_question_and_its_curves_appear_live(show: Show, device: tango.DeviceProxy) -> None:
    page = show()
    stands(page, "synced")
    started = device.queue_started
    page.get_by_role("button", name="Add to Masks").click()
    field(page, "Masks[1].Name").fill("wide bins")
    field(page, "Masks[1].PixelPerRadialElement").fill("4")
    field(page, "Masks[1].qStart").fill("0.9")
    page.get_by_role("button", name="Start queue").click()
    expect(page.get_by_role("dialog")).to_contain_text("Masks[1]: none → ")
    answer(page, "Cancel")
    assert device.queue_started == started
    page.get_by_role("button", name="Start queue").click()
    answer(page, "Start queue")
    expect(page.get_by_role("dialog")).to_contain_text("Integrate all images again?")
    answer(page, "Integrate all")
    stands(page, "synced")
    assert calibration(device)["Masks"][1]["Name"] == "wide bins"
    page.get_by_role("tab", name="Plots").click()
    plots = page.locator(".saxs-plots .saxs-plot")
    expect(plots).to_have_count(2)
    expect(plots.nth(1).locator("figcaption")).to_contain_text("Radial1: wide bins")
    fine, wide = (int(plots.nth(n).locator(".plot").get_attribute("data-points") or 0) for n in range(2))
    assert fine / 5 < wide < fine / 3
    title = page.locator(".saxs-title")
    expect(title).to_have_text(re.compile(r"^agbeh_\d+\.tif"))
    first = title.inner_text()
    expect(title).not_to_have_text(first)
    page.get_by_role("button", name="Pause").click()
    held, done = title.inner_text(), device.images_processed
    wait_until(lambda: device.images_processed > done + 1, 10.0, "two more images")
    assert title.inner_text() == held
    page.get_by_label("y axis").select_option("log")
    expect(plots.first.locator(".plot")).to_have_attribute("data-spans", re.compile(r", [\d.]+ [\d.]+$"))
    page.get_by_role("tab", name="History").click()
    expect(page.get_by_label("Curve").locator("option")).to_have_text(["R0", "R1"])
    expect(page.locator(".saxs-history .saxs-counts")).to_have_text(re.compile(r"^(\d+) of \1 images$"))
    expect(page.locator(".saxs-history figcaption").first).to_contain_text(re.compile(r"[\d.]+ images/s$"))
    page.get_by_label("First image").fill("2")
    page.get_by_label("Last image").fill("3")
    expect(page.locator(".saxs-history .plot").nth(1)).to_have_attribute("data-points", "2")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Export CSV").click()
    lines = Path(saved.value.path()).read_text().splitlines()
    assert lines[0].startswith("time,time_s,file,I0,I1,I2") and len(lines) == 3


def test_another_client_s_queue_is_offered_and_nothing_here_is_lost(show: Show, device: tango.DeviceProxy) -> None:
    page = show()
    stands(page, "synced")
    field(page, "Masks[0].qStop").fill("2.5")
    device.new_queue(json.dumps({**calibration(device), "Title": "of another client"}))
    offer = page.get_by_role("alertdialog")
    expect(offer).to_contain_text("Another client has begun a queue")
    stands(page, "modified: 2 differences")
    offer.get_by_role("button", name="Keep mine").click()
    expect(offer).to_be_hidden()
    assert field(page, "Masks[0].qStop").input_value() == "2.5"
    device.new_queue(json.dumps({**calibration(device), "Title": "and again"}))
    with page.expect_download() as saved:
        offer.get_by_role("button", name="Save mine, then take its").click()
    assert json.loads(Path(saved.value.path()).read_text())["Masks"][0]["qStop"] == 2.5
    stands(page, "synced")
    assert field(page, "Title").input_value() == "and again"
    # One that is the same here is no news.
    device.new_queue(json.dumps(calibration(device)))
    page.get_by_role("button", name="Abort").click()
    answer(page, "Abort the queue")
    stands(page, "No queue")
    expect(offer).to_be_hidden()


def test_files_are_opened_saved_imported_and_exported(show: Show, device: tango.DeviceProxy, tmp_path: Path) -> None:
    page = show()
    stands(page, "synced")
    mine = tmp_path / "agbeh.saxsconf"
    mine.write_text(json.dumps({**calibration(device), "Title": "from a file", "Wavelength": 1.2}))

    def choose(item: str, file: Path | None = None) -> None:
        page.get_by_role("button", name="File").click()
        if file is None:
            page.get_by_role("option", name=item).click()
            return
        with page.expect_file_chooser() as chooser:
            page.get_by_role("option", name=item).click()
        chooser.value.set_files(file)

    choose("Open...", mine)
    expect(field(page, "Title")).to_have_value("from a file")
    expect(page.locator(".saxs-file")).to_have_text("agbeh.saxsconf")
    field(page, "Title").fill("changed")
    expect(page.locator(".saxs-file")).to_have_text("agbeh.saxsconf (not saved)")
    with page.expect_download() as saved:
        page.keyboard.press("Control+s")
    assert saved.value.suggested_filename == "agbeh.saxsconf"
    assert json.loads(Path(saved.value.path()).read_text())["Title"] == "changed"
    expect(page.locator(".saxs-file")).to_have_text("agbeh.saxsconf")
    distance = float(field(page, "Geometry.DedectorDistanceMM").input_value())
    with page.expect_download() as saved:
        choose("Export PONI")
    poni = tmp_path / "away.poni"
    poni.write_text(re.sub(r"(?m)^Distance: .*", "Distance: 2.5", Path(saved.value.path()).read_text()))
    assert distance != 2500.0
    choose("Import", poni)
    expect(field(page, "Geometry.DedectorDistanceMM")).to_have_value(re.compile(r"^2(500|499\.9+\d*)"))
    assert field(page, "Title").input_value() == "changed", "what the file does not say stays"
    page.get_by_role("button", name="Recent").click()
    page.get_by_role("option", name="agbeh.saxsconf").click()
    answer(page, "Leave it")
    expect(field(page, "Geometry.DedectorDistanceMM")).to_have_value(str(distance))


def test_a_mask_of_this_computer_is_kept_and_looked_at(show: Show, facility: Facility, tmp_path: Path) -> None:
    page = show()
    stands(page, "synced")
    mask = tmp_path / "sent.msk"
    mask.write_bytes((facility.state_dir / "saxs" / "mask.msk").read_bytes())
    page.locator('[data-key="Masks[0].MaskFile"]').get_by_role("button", name="Browse...").click()
    box = page.get_by_role("dialog")
    with page.expect_file_chooser() as chooser:
        box.get_by_role("button", name="From this computer...").click()
    chooser.value.set_files(mask)
    expect(box.locator("figcaption")).to_contain_text("masks/sent.msk: 256 × 320 px")
    answer(page, "Take it")
    expect(field(page, "Masks[0].MaskFile")).to_have_value("masks/sent.msk")
    expect(problem(page, "Masks[0].MaskFile")).to_be_hidden()
    assert (facility.state_dir / "saxs" / "masks" / "sent.msk").read_bytes() == mask.read_bytes()


def test_images_are_consolidated(show: Show, facility: Facility, device: tango.DeviceProxy) -> None:
    page = show("consolidate")
    page.get_by_label("TimeOffset", exact=True).fill("a while")
    page.get_by_role("button", name="Collect all data").click()
    expect(problem(page, "TimeOffset")).to_contain_text("'a while' is not of type 'number'")
    page.get_by_label("TimeOffset", exact=True).fill("0")
    page.get_by_label("OutputFormats.csv").check()
    page.get_by_role("button", name="Collect all data").click()
    expect(page.locator(".saxs-consolidate .saxs-plot figcaption")).to_contain_text("calculated shift 0.000 s")
    expect(page.locator(".saxs-news")).to_contain_text(re.compile(r"\d+ images are merged in \d+ files"))
    table = facility.state_dir / "saxs" / "results" / "logs" / "saxs.csv"
    expect(page.locator(".saxs-files")).to_contain_text(str(table))
    assert len(table.read_text().splitlines()) > 2


def test_a_calibration_of_the_command_line_is_loaded_once(show: Show) -> None:
    text = base64.urlsafe_b64encode(json.dumps({"Title": "hand made"}).encode()).decode().rstrip("=")
    page = show("calibration", f"&file=mine.saxsconf&calibration={text}")
    expect(field(page, "Title")).to_have_value("hand made")
    expect(problem(page, "Geometry")).to_contain_text("missing")
    assert page.url.endswith("#/saxs/SAXS1:")


def test_a_narrow_window_shows_everything_without_scrolling_sideways(show: Show) -> None:
    for tab in ("calibration", "plots", "history", "consolidate"):
        page = show(tab, width=480)
        expect(page.get_by_role("tab", selected=True)).to_have_text(re.compile(tab, re.IGNORECASE))
        expect(page.locator(".tab-bar-body:visible").first).not_to_be_empty()
        assert page.evaluate("document.documentElement.scrollWidth") <= 480


def test_tabs_are_chosen_with_the_keyboard(show: Show) -> None:
    page = show()
    stands(page, "synced")
    page.get_by_role("tab", name="Calibration").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tab", name="Consolidate")).to_be_focused()
    expect(page.get_by_role("button", name="Collect all data")).to_be_visible()
    assert page.url.endswith("?tab=consolidate")
