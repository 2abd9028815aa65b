"""Images and plots: true pixel values, frames only as they are painted, curves where the numbers are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.page.fake_server import FakeServer, Picture, array_update
from tests.page.panel_text import panel, widget
from tests.page.test_renderer_writes import until

Serve = Callable[..., FakeServer]
Visit = Callable[..., Page]

#: The browser simulates a graphics card here, which the page does not use, unless it is told that it is a real one.
GRAPHICS_CARD = """
const original = WebGL2RenderingContext.prototype.getParameter;
WebGL2RenderingContext.prototype.getParameter = function (name) {
  const found = original.call(this, name);
  return String(found).includes("SwiftShader") ? "A graphics card" : found;
};
"""
#: The colour of the canvas at a place given as parts of its width and height.
COLOR_AT = """(canvas, [x, y]) => {
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
  copy.drawImage(canvas, 0, 0);
  return [...copy.getImageData(Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1).data];
}"""


def image(**properties: object) -> str:
    """An image widget of 412 x 330: its canvas is 400 x 300 without a colour bar."""
    properties = {"pv_name": "CAM", "color_map": "<name>GRAY</name>", "color_bar": {"visible": False}, **properties}
    return panel(widget("image", 20, 20, 400, 318, **properties), width=1000, height=680)


def color(page: Page, x: float, y: float) -> list[int]:
    return page.locator(".image-area canvas").evaluate(COLOR_AT, [x, y])


def show_frame(page: Page, seq: int) -> None:
    expect(page.locator(f".image[data-seq='{seq}']")).to_have_count(1)


def hover(page: Page, x: float, y: float, image_width: int, image_height: int) -> Locator:
    """Points at the middle of an image pixel of an image that fills the canvas; the read-out."""
    box = page.locator(".image-area").bounding_box()
    assert box is not None
    page.mouse.move(
        box["x"] + (x + 0.5) / image_width * box["width"], box["y"] + (y + 0.5) / image_height * box["height"]
    )
    return page.locator(".image > .readout")


@pytest.mark.parametrize("script", [GRAPHICS_CARD, ""], ids=["webgl2", "2d"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_every_type_of_pixel_has_its_grey(serve: Serve, visit: Visit, script: str, dtype: type) -> None:
    # 4 columns, 3 rows: a square or a symmetric pattern would hide a transposition.
    pixels = np.array([[0, 50, 100, 150], [200, 250, 0, 50], [100, 150, 200, 250]], dtype=dtype)
    server = serve(main=image(autoscale=False, minimum=0.0, maximum=250.0))
    server.show("CAM", pixels)
    page = visit(server, script=script)
    show_frame(page, 1)
    expect(page.locator(".image")).to_have_attribute("data-painter", "webgl2" if script else "2d")
    for row in range(3):
        for column in range(4):
            red, green, blue, alpha = color(page, (column + 0.5) / 4, (row + 0.5) / 3)
            assert (red, green, blue, alpha) == pytest.approx(
                [float(pixels[row, column]) / 250 * 255] * 3 + [255], abs=1
            )


@pytest.mark.parametrize("script", [GRAPHICS_CARD, ""], ids=["webgl2", "2d"])
def test_bad_pixels_show_the_ground(serve: Serve, visit: Visit, script: str) -> None:
    server = serve(main=image(autoscale=False, minimum=0.0, maximum=100.0))
    server.pictures["CAM"] = Picture(np.array([[10, 65535], [50, 90]], dtype=np.uint16).repeat(2, axis=1), mask=65535)
    page = visit(server, script=script)
    show_frame(page, 1)
    assert color(page, 0.9, 0.25)[3] == 0
    assert color(page, 0.1, 0.75) == pytest.approx([127.5] * 3 + [255], abs=1)
    expect(hover(page, 3, 0, 4, 2)).to_contain_text("bad")


def test_the_value_under_the_cursor_is_the_true_one(serve: Serve, visit: Visit) -> None:
    pixels = np.arange(40 * 30, dtype=np.uint16).reshape(30, 40)
    server = serve(main=image())
    server.show("CAM", pixels)
    page = visit(server)
    show_frame(page, 1)
    expect(hover(page, 7, 3, 40, 30)).to_have_text("x 7  y 3  127 adu")
    server.show("CAM", pixels + 1000)
    expect(page.locator(".image > .readout")).to_have_text("x 7  y 3  1127 adu")
    assert server.said("probe") == []


def test_a_reduced_image_asks_for_the_true_value(serve: Serve, visit: Visit) -> None:
    pixels = np.zeros((900, 1200), dtype=np.uint16)
    pixels[451, 601] = 40000  # a hot pixel, not the one under the cursor
    pixels[450, 600] = 123
    server = serve(main=image())
    server.show("CAM", pixels)
    page = visit(server)
    show_frame(page, 1)
    expect(page.locator(".image > .readout")).to_have_text("1200 × 900, 1:3 max")
    expect(hover(page, 600, 450, 1200, 900)).to_have_text("x 600  y 450  123 adu")
    assert (server.said("probe")[-1]["x"], server.said("probe")[-1]["y"]) == (600, 450)
    pixels = pixels.copy()
    pixels[450, 600] = 77
    server.show("CAM", pixels)
    expect(page.locator(".image > .readout")).to_have_text("x 600  y 450  77 adu")


def test_pixels_that_were_converted_are_asked_for(serve: Serve, visit: Visit) -> None:
    server = serve(main=image())
    server.pictures["CAM"] = Picture(np.full((3, 4), 16777216, dtype=np.float32), exact=False)
    page = visit(server)
    show_frame(page, 1)
    expect(hover(page, 1, 1, 4, 3)).to_have_text("x 1  y 1  16777216 adu")
    assert len(server.said("probe")) == 1


def test_zooming_asks_for_the_part_that_is_seen_and_keeps_the_pixel_under_the_cursor(
    serve: Serve, visit: Visit
) -> None:
    y, x = np.mgrid[0:900, 0:1200]
    server = serve(main=image())
    server.show("CAM", (x + 100 * (y % 100)).astype(np.int32))
    page = visit(server)
    show_frame(page, 1)
    hover(page, 900, 300, 1200, 900)
    for _ in range(6):
        page.mouse.wheel(0, -400)
    # Once the part that is seen comes unreduced, the value needs no question.
    expect(page.locator(".image > .readout")).to_contain_text("x 900  y 300  900 adu")
    until(lambda: server.said("view")[-1].get("width", 1200) < 120, page, "a small part is asked for")
    wanted = server.said("view")[-1]
    assert wanted["x"] <= 900 < wanted["x"] + wanted["width"] and wanted["y"] <= 300 < wanted["y"] + wanted["height"]
    assert (wanted["canvas_width"], wanted["canvas_height"]) == (400, 300)
    page.mouse.dblclick(220, 150)
    until(lambda: "width" not in server.said("view")[-1], page, "all of it is asked for again")


def test_frames_are_sent_as_they_are_painted_and_one_in_advance(serve: Serve, visit: Visit) -> None:
    server = serve(main=image())
    server.show("CAM", np.zeros((3, 4), dtype=np.uint8))
    page = visit(server)
    show_frame(page, 1)
    until(lambda: len(server.said("credit")) >= 2, page, "the first is painted")
    for value in range(2, 40):
        server.show("CAM", np.full((3, 4), value, dtype=np.uint8))
    show_frame(page, 39)
    # 38 more frames were made; the page had no more of them than it gave credits for.
    assert len(server.said("credit")) <= 40
    assert color(page, 0.5, 0.5)[3] == 255


def test_dragging_changes_the_contrast_and_a_double_click_brings_it_back(serve: Serve, visit: Visit) -> None:
    server = serve(main=image())
    server.show("CAM", np.linspace(0, 1000, 1200, dtype=np.float32).reshape(30, 40))
    page = visit(server)
    show_frame(page, 1)
    before = color(page, 0.5, 0.5)
    auto = page.get_by_role("button", name="Auto", exact=True).and_(page.locator(".image .tools button"))
    expect(auto).to_have_attribute("aria-pressed", "true")
    page.mouse.move(200, 150)
    page.mouse.down(button="right")
    page.mouse.move(260, 150, steps=4)
    page.mouse.up(button="right")
    expect(auto).to_have_attribute("aria-pressed", "false")
    page.wait_for_function("() => document.querySelector('.image').dataset.seq")
    assert color(page, 0.5, 0.5)[0] > before[0] + 20
    page.mouse.dblclick(200, 150)
    expect(auto).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(100)
    assert color(page, 0.5, 0.5) == pytest.approx(before, abs=1)


def test_a_region_has_statistics_and_a_line_a_profile(serve: Serve, visit: Visit) -> None:
    pixels = np.random.default_rng(3).integers(0, 60000, (30, 40)).astype(np.uint16)
    server = serve(main=image(show_toolbar=True))
    server.show("CAM", pixels)
    page = visit(server)
    show_frame(page, 1)

    def drag(tool: str, start: tuple[int, int], end: tuple[int, int]) -> Locator:
        page.get_by_role("button", name=tool, exact=True).click()
        hover(page, *start, 40, 30)
        page.mouse.down()
        hover(page, *end, 40, 30)
        page.mouse.up()
        return page.locator(".measured")

    box = drag("Region", (10, 8), (19, 12))
    region = pixels[8:13, 10:20].astype(float)
    expect(box).to_have_attribute("data-count", "50")
    found = [float(str(box.get_attribute(f"data-{key}"))) for key in ("min", "max", "mean", "std")]
    assert found == pytest.approx([region.min(), region.max(), region.mean(), region.std()])
    box = drag("Line", (5, 20), (15, 20))
    expect(box).to_have_attribute("data-values", ",".join(str(value) for value in pixels[20, 5:16]))
    page.get_by_role("button", name="End measuring").click()
    expect(box).to_be_hidden()


def test_an_image_comes_back_after_its_server(serve: Serve, visit: Visit) -> None:
    server = serve(main=image())
    server.show("CAM", np.zeros((3, 4), dtype=np.uint16))
    page = visit(server)
    show_frame(page, 1)
    here = page.locator("[data-type=image]")
    expect(here).to_have_attribute("data-sev", "NONE")
    server.open = False
    server.drop()
    expect(here).to_have_attribute("data-sev", "DISCONNECTED")
    server.open = True
    server.show("CAM", np.ones((3, 4), dtype=np.uint16))
    show_frame(page, 2)
    expect(here).to_have_attribute("data-sev", "NONE")


def test_an_image_goes_on_when_the_graphics_card_takes_its_memory_back(serve: Serve, visit: Visit) -> None:
    server = serve(main=image(autoscale=False, minimum=0.0, maximum=250.0))
    server.show("CAM", np.array([[0, 50], [100, 250]], dtype=np.uint8).repeat(2, axis=1))
    page = visit(server, script=GRAPHICS_CARD)
    show_frame(page, 1)
    lose = "e => e.getContext('webgl2').getExtension('WEBGL_lose_context').loseContext()"
    page.locator(".image-area canvas").evaluate(lose)
    expect(page.locator(".image")).to_have_attribute("data-painter", "2d")
    server.show("CAM", np.array([[250, 50], [100, 0]], dtype=np.uint8).repeat(2, axis=1))
    show_frame(page, 2)
    assert [color(page, 0.1, 0.3)[0], color(page, 0.9, 0.7)[0]] == [255, 0]


# Plots ----------------------------------------------------------------------------------------------------------------


def plot(*traces: dict[str, object], **y_axis: object) -> str:
    axis = {"title": "I", "autoscale": True, **y_axis}
    return panel(
        widget(
            "xyplot",
            20,
            20,
            500,
            300,
            x_axis={"title": "q", "autoscale": True},
            y_axes=[("y_axis", axis)],
            traces=[("trace", {"line_width": 3, **trace}) for trace in traces],
        ),
        width=1000,
        height=680,
    )


def spans(page: Page) -> list[list[float]]:
    text = page.locator(".plot").get_attribute("data-spans") or ""
    return [[float(number) for number in part.split()] for part in text.split(",")]


def test_a_plot_shows_all_points_of_all_traces(serve: Serve, visit: Visit) -> None:
    server = serve(main=plot({"name": "a", "x_pv": "Q", "y_pv": "I"}, {"name": "b", "y_pv": "J", "trace_type": 5}))
    q = np.linspace(0.5, 2.0, 500)
    server.put("Q", **array_update(q))
    server.put("I", **array_update((100 * q).astype(np.float32)))
    server.put("J", **array_update(np.array([7, -3, 250], dtype=np.int32)))
    page = visit(server)
    expect(page.locator(".plot")).to_have_attribute("data-points", "500 3")
    x, y = spans(page)
    assert x == pytest.approx([0, 2])  # the second trace counts 0, 1, 2
    assert y[0] < -3 and y[1] > 250
    server.put("I", **array_update(np.array([1000.0, np.nan, 1200.0])))
    expect(page.locator(".plot")).to_have_attribute("data-points", "3 3")
    assert spans(page)[1][1] > 1200
    expect(page.locator(".legend")).to_have_text("ab")


def test_a_logarithmic_axis_leaves_out_what_it_cannot_show(serve: Serve, visit: Visit) -> None:
    server = serve(main=plot({"y_pv": "I"}, log_scale=True))
    server.put("I", **array_update(np.array([0.0, -5.0, 0.01, 1.0, 1000.0])))
    page = visit(server)
    expect(page.locator(".plot")).to_have_attribute("data-points", "5")
    low, high = spans(page)[1]
    assert 0.001 < low < 0.01 and 1000 < high < 10000


def test_a_drag_zooms_and_the_cursor_reads_the_nearest_point(serve: Serve, visit: Visit) -> None:
    server = serve(main=plot({"name": "I(q)", "x_pv": "Q", "y_pv": "I"}))
    server.put("Q", **array_update(np.arange(101.0)))
    server.put("I", **array_update(np.arange(101.0) ** 2))
    page = visit(server)
    expect(page.locator(".plot")).to_have_attribute("data-points", "101")
    box = page.locator(".u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.3)
    expect(page.locator(".plot > .readout")).to_have_text("q = 50   I(q) = 2500")
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.8, steps=5)
    page.mouse.up()
    expect(page.locator(".plot")).to_have_attribute("data-zoomed", "")
    page.wait_for_function("() => document.querySelector('.plot').dataset.spans.split(' ')[0] > 40")
    assert spans(page)[0] == pytest.approx([50, 75], abs=1)
    server.put("I", **array_update(np.arange(101.0)))
    page.wait_for_timeout(100)
    assert spans(page)[0] == pytest.approx([50, 75], abs=1)  # new values do not undo the zoom
    page.mouse.dblclick(box["x"] + 50, box["y"] + 50)
    expect(page.locator(".plot[data-zoomed]")).to_have_count(0)


def test_a_strip_chart_follows_the_time_and_stops_at_a_lost_pv(serve: Serve, visit: Visit) -> None:
    chart = widget(
        "stripchart",
        20,
        20,
        500,
        300,
        start="20 seconds",
        y_axes=[("y_axis", {"autoscale": True})],
        traces=[("trace", {"y_pv": "T"})],
    )
    server = serve(main=panel(chart))
    server.put("T", vtype="VDouble", value=4.0)
    page = visit(server)
    page.wait_for_function("() => Number(document.querySelector('.plot')?.dataset.points) === 2")
    for value in (5.0, 6.0):
        server.put("T", value=value)
        page.wait_for_timeout(50)
    page.wait_for_function("() => Number(document.querySelector('.plot').dataset.points) === 4")
    low, high = spans(page)[1]
    assert low < 4 and high > 6
    before, after = spans(page)[0]
    assert after - before == pytest.approx(20, abs=0.1)
    server.put("T", connected=False, reason="gone")
    # Three values and the gap; the last value is not drawn on to the present.
    page.wait_for_function("() => Number(document.querySelector('.plot').dataset.points) === 4")
    expect(page.locator("[data-sev=DISCONNECTED]")).to_have_count(1)
