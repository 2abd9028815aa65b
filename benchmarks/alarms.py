"""How long it takes until an alarm of the hardware is in the table of a browser.

A facility with its mirror, its alarm device and its web server, and a headless Chromium, all on this machine.
Run with ``python -m benchmarks alarms``.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from benchmarks.figure import Figure
from benchmarks.panels import MIRROR, proxy
from tests.page.conftest import ARGUMENTS, CHROMIUM
from tests.support.demo_facility import Facility, free_offset, started, stopped

ALARMS = 50
CLASSES = {
    "Bell": "benchmarks.panel_device:Bell",
    "AlarmFacility": "servers.alarms.device:AlarmFacility",
    "EpicsMirror": "servers.epics.device:EpicsMirror",
}
#: In the page: when the row of the bell is painted with a severity, s since 1970.
PAINTED = """severity => new Promise(resolve => {
  const look = () => {
    const cell = document.querySelector('.alarm-row[data-alarm="BELL:Level"] .alarm-severity');
    if (cell && cell.textContent === severity) setTimeout(() => resolve(Date.now() / 1000));
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})"""


def run() -> list[Figure]:
    """Median and p95 of the way from the device to the screen."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        facility = _started(Path(folder))
        try:
            page = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS).new_page()
            page.goto(f"http://127.0.0.1:{8080 + facility.offset}/#/alarm-table")
            page.locator(".alarms[data-known=true]").wait_for(timeout=30_000)
            _ring(page, facility)  # the alarm device may just be asking which PVs there are
            took_ms = sorted(_ring(page, facility) for _ in range(ALARMS))
        finally:
            stopped(facility)
    return [
        Figure("alarms: hardware to browser, p50", statistics.median(took_ms), "ms"),
        Figure("alarms: hardware to browser, p95", took_ms[int(0.95 * len(took_ms))], "ms", below=500.0),
    ]


def _ring(page: Page, facility: Facility) -> float:
    """One alarm that comes and goes; ms from its publication to its row."""
    bell = proxy(facility, "bench/bell/1")
    began_s = bell.ring(10.0)
    took_s: float = page.evaluate(PAINTED, "MAJOR") - began_s
    bell.ring(0.0)
    page.locator(".alarm-row[data-over]").wait_for()
    proxy(facility, "alarm/facility/1").acknowledge('{"alarm": "*"}')
    page.locator(".alarm-row").wait_for(state="detached")
    return 1000 * took_s


def _started(folder: Path) -> Facility:
    alarm: dict[str, Any] = {
        "pv_prefix": ["ALARM:"],
        "pv_access": ["@pva", "@pva_images"],
        "journal": ["@state/alarms.sqlite"],
    }
    servers = {
        "bell": {"Bell": {"bench/bell/1": {"properties": {"pv_prefix": ["BELL:"]}}}},
        "mirror": {"EpicsMirror": {"mirror/epics/1": {"properties": MIRROR}}},
        "alarms": {"AlarmFacility": {"alarm/facility/1": {"properties": alarm}}},
    }
    path = folder / "bells.json"
    path.write_text(json.dumps({"servers": {"Diptych": servers}}))
    settings = {"classes": CLASSES, "mirrors": ["mirror"], "panels": "opi", "start_order": ["bell", "mirror", "alarms"]}
    path.with_suffix(".facility.yaml").write_text(json.dumps(settings))
    (folder / "opi").mkdir()
    return started(folder / "state", free_offset(), file=path)
