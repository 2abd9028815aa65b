"""Pictures of the demo's panels for the documentation: ``make screenshots`` writes ``docs/img/panel-*.png``."""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from tests.page.conftest import ARGUMENTS, CHROMIUM
from tests.support.demo_facility import Facility, free_offset, started, stopped
from tests.support.serving import ROOT

PANELS = {
    "overview": (1340, 500),
    "cryocon": (1280, 720),
    "saxs": (1280, 780),
    "gen/cryo_cryocon_1": (1100, 900),
    "health": (1480, 700),
}
SETTLE = 20_000.0  # ms, so that curves have a past
COLORS = 128  # of a picture: small files, and panels have few colours


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        facility = started(Path(folder) / "state", free_offset())
        try:
            _take_all(facility)
        finally:
            stopped(facility)


def _take_all(facility: Facility) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for panel, (width, height) in PANELS.items():
            page = browser.new_context(viewport={"width": width, "height": height}, color_scheme="light").new_page()
            page.goto(f"http://127.0.0.1:{8080 + facility.offset}/#/{panel}")
            _take(page, ROOT / "docs" / "img" / f"panel-{panel.replace('/', '-')}.png")
        browser.close()


def _take(page: Page, path: Path) -> None:
    expect(page.locator(".widget[data-pv]").first).to_be_visible()
    expect(page.locator('.widget[data-sev="DISCONNECTED"]')).to_have_count(0, timeout=SETTLE)
    page.wait_for_timeout(SETTLE)
    page.screenshot(path=path)
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(COLORS)
    small.save(path, optimize=True)
    print(path.relative_to(ROOT), f"{path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
