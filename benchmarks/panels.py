"""Panels in a browser: what many live values cost, how late they are on the screen, and images per second.

A facility with its mirror and web server, and a headless Chromium without a graphics card, all on this machine: the
browser takes a core and more for itself, so frames per second are those of software rendering.
Run with ``python -m benchmarks panels``.
"""

from __future__ import annotations

import gzip
import json
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import tango
from playwright.sync_api import Page, sync_playwright

from benchmarks.figure import Figure
from benchmarks.panel_device import RATE, SHAPES, VALUES
from servers.panels.bob import to_xml
from servers.panels.widget import display, widget
from tests.page.conftest import ARGUMENTS, CHROMIUM
from tests.support.demo_facility import Facility, free_offset, started, stopped
from tests.support.serving import ROOT

SECONDS = 8.0  # of one measurement
COLUMNS = 20
CLASSES = {
    "Levels": "benchmarks.panel_device:Levels",
    "Camera": "benchmarks.panel_device:Camera",
    "EpicsMirror": "servers.epics.device:EpicsMirror",
}
MIRROR = {
    "pv_prefix": ["MIRROR1:"],
    "channel_access": ["@ca"],
    "ca_repeater": ["@ca_repeater"],
    "pv_access": ["@pva"],
    "pva_broadcast": ["@pva_broadcast"],
    "ca_images": ["@ca_images"],
    "pva_images": ["@pva_images"],
}
#: In the page: how old each text is when it is painted, ms; the clock is that of the device, on the same machine.
AGES = """seconds => new Promise(resolve => {
  const node = document.querySelector('[data-pv="LEV:Level0"] .body'), ages = [];
  new MutationObserver(() => requestAnimationFrame(() => {
    const age = Date.now() % 86400000 - 1000 * parseFloat(node.textContent);
    if (age > -5 && age < 60000) ages.push(age);
  })).observe(node, {childList: true, characterData: true, subtree: true});
  setTimeout(() => resolve(ages), 1000 * seconds);
})"""
#: In the page: frames painted in a time.
FRAMES = """seconds => new Promise(resolve => {
  const image = document.querySelector('.image'), seen = new Set();
  new MutationObserver(() => seen.add(image.dataset.seq)).observe(image, {attributes: true});
  setTimeout(() => resolve(seen.size), 1000 * seconds);
})"""


def run() -> list[Figure]:
    """The figures of pages, values and images."""
    with tempfile.TemporaryDirectory() as folder, _facility(Path(folder)) as facility, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        figures = [_page_size(), _first_paint(page, facility), *_values(page, facility)]
        figures += [
            _images(page, facility, name, rate, below)
            for name, rate, below in (("small", 30.0, 1000 / 15), ("large", 12.0, 1000 / 10))
        ]
        browser.close()
    return figures


def _values(page: Page, facility: Facility) -> list[Figure]:
    device = proxy(facility, "bench/levels/1")
    web = psutil.Process(facility.child("web").pid)
    device.publish_levels(5 * SECONDS)
    _show(page, facility, "values", f'[data-pv="LEV:Level{VALUES - 1}"][data-sev="NONE"]')
    page.wait_for_timeout(2000)
    before, began = web.cpu_times(), page.evaluate("performance.now()")
    ages = sorted(page.evaluate(AGES, SECONDS))
    after, ended = web.cpu_times(), page.evaluate("performance.now()")
    device.abort("")
    busy = 1000 * (after.user + after.system - before.user - before.system) / (ended - began)
    name = f"panels: {VALUES} values at {RATE:g} Hz"
    return [
        Figure(f"{name}, web server", 100 * busy, "% core", below=40.0),
        Figure(f"{name}, device to screen, p50", statistics.median(ages), "ms"),
        Figure(f"{name}, device to screen, p95", ages[int(0.95 * len(ages))], "ms", below=100.0),
    ]


def _images(page: Page, facility: Facility, name: str, rate: float, below: float) -> Figure:
    device = proxy(facility, "bench/camera/1")
    device.publish_frames(json.dumps({"name": name, "rate": rate, "seconds": 5 * SECONDS}))
    _show(page, facility, name, ".image[data-seq]")
    page.wait_for_timeout(3000)
    frames = page.evaluate(FRAMES, SECONDS)
    device.abort("")
    rows, columns = SHAPES[name]
    return Figure(
        f"panels: image {columns} x {rows} at {rate:g} Hz, time of a frame",
        1000 * SECONDS / max(frames, 1),
        "ms",
        below=below,
    )


def _first_paint(page: Page, facility: Facility) -> Figure:
    paints = []
    for _ in range(5):
        page.goto("about:blank")
        _show(page, facility, "values", ".widget")
        found = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        paints.append(float(found))
    return Figure("panels: first paint", statistics.median(paints), "ms", below=1000.0)


def _page_size() -> Figure:
    folder = ROOT / "servers" / "web" / "page"
    names = ("index.html", "page.js", "style.css")
    size = sum(len(gzip.compress((folder / name).read_bytes())) for name in names)
    return Figure("panels: page, gzip, without fonts", size / 1000, "kB", below=200.0)


def _show(page: Page, facility: Facility, panel: str, shown: str) -> None:
    page.goto(f"http://127.0.0.1:{8080 + facility.offset}/?{panel}#/{panel}")
    page.locator(shown).first.wait_for(state="attached", timeout=30_000)


def proxy(facility: Facility, device: str) -> tango.DeviceProxy:
    return tango.DeviceProxy(f"tango://127.0.0.1:{10000 + facility.offset}/{device}")


@contextmanager
def _facility(folder: Path) -> Iterator[Facility]:
    servers: dict[str, Any] = {
        "levels": {"Levels": {"bench/levels/1": {"properties": {"pv_prefix": ["LEV:"]}}}},
        "camera": {"Camera": {"bench/camera/1": {"properties": {"pv_prefix": ["CAM:"]}}}},
        "mirror": {"EpicsMirror": {"mirror/epics/1": {"properties": MIRROR}}},
    }
    path = folder / "panels.json"
    path.write_text(json.dumps({"servers": {"Diptych": servers}}))
    path.with_suffix(".facility.yaml").write_text(
        json.dumps({"classes": CLASSES, "mirrors": ["mirror"], "panels": "opi"})
    )
    (folder / "opi").mkdir()
    for name, panel in _panels().items():
        (folder / "opi" / f"{name}.bob").write_text(to_xml(panel))
    facility = started(folder / "state", free_offset(), file=path)
    try:
        yield facility
    finally:
        stopped(facility)


def _panels() -> dict[str, Any]:
    values = [
        widget(
            "textupdate", pv_name=f"LEV:Level{number}", x=76 * (number % COLUMNS), y=24 * (number // COLUMNS), width=72
        )
        for number in range(VALUES)
    ]
    found = {"values": display("Values", 1530, 620, values)}
    for name, (rows, columns) in SHAPES.items():
        image = widget(
            "image", pv_name=f"CAM:{name.capitalize()}", width=800, height=800, data_width=columns, data_height=rows
        )
        found[name] = display(name, 820, 820, [image])
    return found
