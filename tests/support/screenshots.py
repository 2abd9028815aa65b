"""Pictures of the demo's panels and pages for the documentation: ``make screenshots`` writes ``docs/img/panel-*.png``
and ``page-*.png``; all of them, or those that are named."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

from servers.ccd_client import CcdClient
from tests.page.conftest import ARGUMENTS, CHROMIUM
from tests.support.demo_facility import free_offset, started, stopped
from tests.support.serving import ROOT

PANELS = {
    "overview": (1340, 726),
    "cryocon": (1280, 720),
    "saxs": (1280, 780),
    "gen/cryo_cryocon_1": (1100, 900),
    "ccd": (1400, 930),
    "health": (1480, 700),
}
#: The address, and what is there when the page is complete.
PAGES = {
    "saxs-calibration": ("saxs/SAXS1:", ".saxs-masks canvas:visible", (1280, 900)),
    "saxs-plots": ("saxs/SAXS1:?tab=plots", ".saxs-plots .plot", (1280, 560)),
    "saxs-history": ("saxs/SAXS1:?tab=history", ".saxs-history .plot", (1280, 860)),
    "ccd-quick-look": ("ccd/CCD1:?tab=quick-look", '[data-rows="star"] td', (1280, 520)),
    "ccd-header": ("ccd/CCD1:", "[data-keyword=OBJECT]", (1280, 660)),
}
#: What the camera has taken before.
EXPOSURES: tuple[dict[str, Any], ...] = (
    *[{"seconds": 0.0, "image_type": "zero"}] * 2,
    *[{"seconds": 2.0, "image_type": "flat"}] * 2,
    {"seconds": 10.0, "image_type": "object", "title": "M 67"},
)
IMAGES = ROOT / "docs" / "img"
SETTLE = 20_000.0  # ms, so that curves have a past
COLORS = 128  # of a picture: small files, and panels have few colours


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        facility = started(Path(folder) / "state", free_offset())
        try:
            if not sys.argv[1:] or any("ccd" in name for name in sys.argv[1:]):
                with CcdClient(f"tango://127.0.0.1:{10000 + facility.offset}/ccd/1/exposure") as camera:
                    for words in EXPOSURES:
                        camera.expose(**words)
            take(facility.offset, sys.argv[1:])
        finally:
            stopped(facility)


def take(offset: int, names: Sequence[str] = ()) -> None:
    """Take pictures of a facility that runs.

    Args:
        names: of panels and pages; none: all.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)

        def open_page(address: str, size: tuple[int, int]) -> Page:
            viewport: ViewportSize = {"width": size[0], "height": size[1]}
            page = browser.new_context(viewport=viewport, color_scheme="light").new_page()
            page.goto(f"http://127.0.0.1:{8080 + offset}/#/{address}")
            return page

        for panel, size in PANELS.items():
            if not names or panel in names:
                page = open_page(panel, size)
                expect(page.locator(".widget[data-pv]").first).to_be_visible()
                expect(page.locator('.widget[data-sev="DISCONNECTED"]')).to_have_count(0, timeout=SETTLE)
                _take(page, IMAGES / f"panel-{panel.replace('/', '-')}.png")
        for name, (address, complete, size) in PAGES.items():
            if not names or name in names:
                page = open_page(address, size)
                expect(page.locator(complete).first).to_be_visible()
                _take(page, IMAGES / f"page-{name}.png")
        browser.close()


def _take(page: Page, path: Path) -> None:
    page.wait_for_timeout(SETTLE)
    page.screenshot(path=path)
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(COLORS)
    small.save(path, optimize=True)
    print(path.relative_to(ROOT), f"{path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
