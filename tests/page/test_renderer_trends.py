"""What was before the page was opened: strip charts that are full at once, and the page of trends."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from tests.page.fake_server import FakeServer, trend
from tests.page.panel_text import panel, widget
from tests.page.test_renderer_writes import until

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


def test_the_menu_of_a_widget_leads_to_its_trend_which_is_full_after_a_reload(serve: Serve, visit: Visit) -> None:
    server = serve(main=panel(widget("textupdate", 20, 20, 200, 30, pv_name="T")))
    cooling(server)
    page = visit(server)
    page.locator("[data-type=textupdate]").click(button="right")
    page.get_by_role("option", name="Trend of T").click()
    expect(page.locator(".trend-entry")).to_contain_text("T")
    # 300 of the past, the present one, and its continuation until now.
    wait_points(page, "=== 302")
    page.reload()
    wait_points(page, "=== 302")
    low, high = (float(each) for each in page.locator(".plot").get_attribute("data-spans").split(", ")[1].split(" "))
    assert low < 150 and high > 300, "the axis has all that the history gave"
    server.put("T", value=400.0)
    wait_points(page, "=== 303")
    link = page.get_by_role("link", name="CSV").get_attribute("href")
    assert link.startswith("hist/export.csv?pv=T&from=")


def test_trends_go_into_the_past_and_ask_for_what_is_there(serve: Serve, visit: Visit) -> None:
    server = serve()
    cooling(server)
    cooling(server, "P", low=[1.0] * 300, high=[2.0] * 300)
    page = visit(server, "trend?pv=T&span=600")
    wait_points(page, "=== 302")
    page.get_by_role("button", name="8 h").click()
    page.wait_for_function("() => location.hash.includes('span=28800')")
    area = page.locator(".trend-host")
    box = area.bounding_box()
    assert box
    page.mouse.move(box["x"] + 300, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, box["y"] + 100, steps=4)
    page.mouse.up()
    page.wait_for_function("() => location.hash.includes('to=')")
    until(lambda: float(server.asked[-1].get("to", "inf")) < time.time() - 3600, page, "the past is asked for")
    asked = server.asked[-1]
    assert float(asked["to"]) - float(asked["from"]) == 28_800
    page.mouse.wheel(0, -400)
    page.wait_for_function("() => !location.hash.includes('span=28800')")
    until(lambda: float(server.asked[-1]["to"]) - float(server.asked[-1]["from"]) < 20_000, page, "less is asked for")
    page.get_by_role("button", name="Now").click()
    page.wait_for_function("() => !location.hash.includes('to=')")
    page.get_by_label("Name of a PV to add").fill("P")
    page.get_by_role("button", name="Add").click()
    expect(page.locator(".trend-entry")).to_have_count(2)
    page.get_by_role("button", name="Remove T").click()
    expect(page.locator(".trend-entry")).to_have_text("P✕")


def test_a_pv_that_is_not_recorded_is_drawn_from_now_on(serve: Serve, visit: Visit) -> None:
    server = serve()
    server.put("T", vtype="VDouble", value=4.0, units="K")
    page = visit(server, "trend?pv=T")
    expect(page.locator(".trend-remark")).to_have_text("nothing is recorded of T")
    wait_points(page, "=== 2")
