"""What was before the page was opened: strip charts that are full at once, and the page of trends."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from tests.page.fake_server import FakeServer, trend
from tests.page.panel_text import panel, widget

Serve = Callable[..., FakeServer]
Visit = Callable[..., Page]


def chart(*pvs: str) -> str:
    traces = [("trace", {"y_pv": pv}) for pv in pvs]
    axes = [("y_axis", {"autoscale": True})]
    return panel(widget("stripchart", 20, 20, 500, 300, start="10 minutes", y_axes=axes, traces=traces))


def cooling(server: FakeServer, pv: str = "T", count: int = 300, **columns: Any) -> None:
    """A PV that cooled from 300 K by 0.5 K/s until now, and the value that it has."""
    now = time.time()
    times = [now - 1 - count + n for n in range(count)]
    server.history[pv] = trend(times, [300 - 0.5 * n for n in range(count)], "K", **columns)
    server.put(pv, vtype="VDouble", value=300 - 0.5 * count, units="K")


def wait_points(page: Page, count: str) -> None:
    """Until the first trace has so many points, such as ``=== 2``."""
    page.wait_for_function(f"() => Number(document.querySelector('.plot')?.dataset.points?.split(' ')[0]) {count}")


def test_a_strip_chart_is_full_when_it_is_opened_and_goes_on(serve: Serve, visit: Visit) -> None:
    server = serve(main=chart("T"))
    cooling(server)
    page = visit(server)
    # 300 of the past, the present one, and its continuation until now.
    wait_points(page, "=== 302")
    assert server.asked == [{"pv": "T", "from": "-600", "points": "500"}]
    server.put("T", value=100.0)
    wait_points(page, "=== 303")
    page.reload()
    wait_points(page, ">= 302")
    expect(page.locator(".remark")).to_be_empty()


def test_a_strip_chart_without_history_starts_empty_and_says_why(serve: Serve, visit: Visit) -> None:
    server = serve(main=chart("T"))
    server.put("T", vtype="VDouble", value=4.0)
    page = visit(server)
    expect(page.locator(".remark")).to_have_text("from now on: nothing is recorded of T")
    wait_points(page, "=== 2")
