"""The same exposure by an azcam console, Tango, EPICS, the shell and a browser: five times the same file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from playwright.sync_api import Browser, Page, expect

from servers.ccd_client import CcdClient
from servers.facility.ports import DEFAULT_PORTS
from tests.azcam.console import Console
from tests.page.conftest import browser, playwright  # noqa: F401 (fixtures)
from tests.support.demo_facility import Facility
from tests.support.serving import wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]
SECONDS, TITLE = 2.0, "a 450 nm flat field image"
#: Keywords of time, of what was measured, and of the place in the row of images; all others are the same five times.
OF_ITS_OWN = {
    *("FILENAME", "CHECKSUM", "DATASUM", "EXPTIME", "DARKTIME"),
    *("DATE", "DATE-OBS", "DATE-END", "TIME-OBS", "UTC-OBS", "UT", "LOCTIME", "MJD-OBS", "ST", "LST-OBS"),
    *("HA", "AZIMUTH", "ELEVAT", "ZD", "PARANGLE", "AIRMASS"),
    *("CAMTEMP", "DEWTEMP", "CCDTEMP1", "CCDTEMP2", "CCDTEMP3", "INSTTMP1", "INSTTMP2"),
}


@pytest.fixture
def panel(browser: Browser, facility: Facility) -> Iterator[Page]:  # noqa: F811 (the fixture)
    page = browser.new_context(viewport={"width": 1400, "height": 950}).new_page()
    page.goto(f"http://127.0.0.1:{8080 + facility.offset}/#/ccd")
    yield page
    page.context.close()


def test_an_exposure_is_the_same_whoever_asks_for_it(facility: Facility, panel: Page) -> None:
    camera = CcdClient(f"tango://127.0.0.1:{10000 + facility.offset}/ccd/1/exposure")

    def by_azcam() -> None:
        with Console(f"127.0.0.1:{DEFAULT_PORTS['azcam'] + facility.offset}") as console:
            assert console.line(f'exposure.expose {SECONDS:g} flat "{TITLE}"') == "OK"

    def by_tango() -> None:
        camera.expose(SECONDS, "flat", TITLE)

    def by_epics() -> None:
        for words in (("Seconds", str(SECONDS)), ("ImageType", "flat"), ("Title", TITLE)):
            done = facility.run("caproto-put", "-S", f"CCD1:Expose:{words[0]}", words[1])
            assert done.returncode == 0, done.stderr
        done = facility.run("caproto-put", "-c", "-w", "60", "CCD1:Expose:Run", "1", seconds=90.0)
        assert done.returncode == 0, done.stderr

    def by_shell() -> None:
        code = f"exposure.expose({SECONDS}, 'flat', {TITLE!r})"
        done = facility.run("diptych", "shell", "--command", code, seconds=90.0)
        assert done.returncode == 0, done.stderr

    def by_browser() -> None:
        for pv, text in (("ExposureTime", str(SECONDS)), ("ImageType", "flat"), ("ImageTitle", TITLE)):
            field = panel.locator(f'.widget:is([data-type="textentry"], [data-type="combo"])[data-pv="CCD1:{pv}"]')
            field.get_by_role("textbox").fill(text)
            field.get_by_role("textbox").press("Enter")
        shown = panel.locator('[data-type="textupdate"][data-pv="CCD1:ExposureTime_RBV"]')
        expect(shown).to_have_text(f"{SECONDS:.3f} s")
        wait_until(lambda: camera.get("image_title") == TITLE and camera.get("image_type") == "flat", 10.0)
        panel.get_by_role("button", name="Expose", exact=True).click()

    ways: tuple[Callable[[], None], ...] = (by_azcam, by_tango, by_epics, by_shell, by_browser)
    files = []
    for way in ways:
        number = camera.get("image_number")
        # What the one before has set is no help.
        for name, value in (("exposure_time", 0.0), ("image_type", "zero"), ("image_title", "")):
            camera.put(name, value)
        way()
        wait_until(lambda number=number: camera.get("last_number") == number, 30.0)  # type: ignore[misc]
        wait_until(lambda: camera.get("exposure_state") == "Idle", 10.0)
        files.append(Path(camera.get("last_filename")))
    check(files)


def check(files: list[Path]) -> None:
    """All files have the same structure, the same cards and the levels of 2 s of the simulated sky."""
    found = []
    for path in files:
        with fits.open(path, checksum=True) as file:
            file.verify("exception")
            assert (file[0].header["OBJECT"], file[0].header["IMAGETYP"]) == (TITLE, "flat")
            assert file[0].header["EXPTIME"] == pytest.approx(SECONDS, abs=0.1)
            found.append([unit.header.copy() for unit in file])
            for unit in file[1:]:
                pixels = unit.data.astype(float)
                assert pixels.shape == (192, 304)
                bias, sky = np.median(pixels[:, 272:]), np.median(pixels[:, 16:272])
                assert bias == pytest.approx(1000.0, rel=0.1)
                # 2 s of a sky of 20 e-/s, at 1.5 e-/adu.
                assert sky - bias == pytest.approx(SECONDS * 20.0 / 1.5, abs=2.0)
    assert len(set(files)) == len(files)
    for units in zip(*found, strict=True):
        cards = [[(card.keyword, card.comment) for card in header.cards] for header in units]
        assert all(each == cards[0] for each in cards)
        values = [[card.value for card in header.cards] for header in units]
        differing = {name for (name, _), *value in zip(cards[0], *values, strict=True) if len(set(value)) > 1}
        assert differing <= OF_ITS_OWN, [each.cards[name] for name in differing - OF_ITS_OWN for each in units]
