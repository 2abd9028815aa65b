"""What clients may call of the display: azcam's words for ds9, and what they are on the device."""

from __future__ import annotations

from typing import Any, Final

from devices.core.errors import BadValueError, RangeError
from servers.azcam.argument import Argument, flag, items, number, text, text_or_nothing, whole
from servers.azcam.header_methods import HEADER, TOOL
from servers.azcam.method import NOTHING, Table, do, done, run
from servers.azcam.tool import Tool


async def set_display(tool: Tool, which: str = "") -> None:
    """Choose a ds9 by its number among those that are found, or by its name; none: any."""
    if which in ("", "-1"):
        await tool.put("ds9", "*")
    elif which.isdecimal():
        found = await displays(tool)
        if int(which) >= len(found):
            raise RangeError(f"display_number = {which} is outside [0, {len(found) - 1}]")
        # Of XPA it is CLASS:NAME HOST:PORT.
        await tool.put("ds9", found[int(which)].partition(" ")[0].removeprefix("DS9:"))
    else:
        await tool.put("ds9", which)


async def displays(tool: Tool) -> list[str]:
    """The ds9 that are found."""
    return list((await tool.run("find_displays"))["displays"])


async def rois(tool: Tool, roi_number: int = -1, coordinates: str = "image") -> list[Any]:
    """First and last column, first and last row of a box; of all for -1."""
    found: list[Any] = (await tool.run("get_rois", coordinates=coordinates))["rois"]
    if roi_number == -1:
        return found
    if not 0 <= roi_number < len(found):
        raise RangeError(f"roi_number = {roi_number} is outside [0, {len(found) - 1}]")
    return list(found[roi_number])


async def box(tool: Tool) -> list[Any]:
    """The first box."""
    return await rois(tool, 0)


async def number_of_rois(tool: Tool) -> int:
    """How many boxes there are."""
    return len(await rois(tool))


async def regions(tool: Tool, coordinates: str = "image") -> list[Any]:
    """All regions: shape and numbers of each."""
    return list((await tool.run("get_regions", coordinates=coordinates))["regions"])


async def stats(tool: Tool, roi_number: int = -1) -> list[float]:
    """Mean, median, standard deviation, least and greatest pixel of a box; of the region for -1."""
    found = await tool.run("get_stats", roi_number=roi_number)
    return [found[name] for name in ("mean", "median", "standard_deviation", "minimum", "maximum")]


async def data(tool: Tool, roi_number: int = 0) -> list[Any]:
    """The pixels of a box, row by row."""
    return list((await tool.run("get_data", roi_number=roi_number))["pixels"])


async def draw_box(tool: Tool, xy: list[float], size: list[float], angle: float = 0.0) -> None:
    """Draw a box around a pixel of the image."""
    if len(xy) != 2 or len(size) != 2:
        raise BadValueError(f"xy = {xy}, size = {size}: two numbers are expected of each")
    await tool.run("draw_box", x=xy[0], y=xy[1], columns=size[0], rows=size[1], angle=angle)


async def exam(tool: Tool, box_size: int = 20, loop: bool = False) -> list[Any]:
    """Wait for one key or click in ds9, whatever `loop` says: key, column, row."""
    found = await tool.done("exam", box_size=box_size)
    return [found["key"], found["x"], found["y"]]


async def set_cursor_mode(tool: Tool, mode: str = "region", clears: bool = False) -> None:
    """What the mouse does in ds9."""
    if clears:
        await tool.run("delete_all_rois")
    # azcam's word for drawing regions.
    await tool.run("set_cursor_mode", mode="region" if mode.casefold() == "point" else mode)


ROI: Final = Argument("roi_number", whole)
COORDINATES: Final = Argument("coordinate_type", text, target="coordinates")

DISPLAY: Final[Table] = {
    **TOOL,
    **HEADER,
    "find_displays": do(displays, reads_only=True),
    "set_display": do(set_display, Argument("display_number", text_or_nothing, target="which"), silent=True),
    "display": done(
        "display",
        Argument("image", text_or_nothing, target="path"),
        Argument("extension_number", whole, target="extension"),
    ),
    "get_rois": do(rois, ROI, COORDINATES, reads_only=True),
    "get_regions": do(regions, COORDINATES, reads_only=True),
    "get_number_rois": do(number_of_rois, reads_only=True),
    "get_box": do(box, reads_only=True),
    "read_rois": NOTHING,
    "get_stats": do(stats, ROI, reads_only=True),
    "get_data": do(data, ROI, reads_only=True),
    "set_region": run(
        "set_region", *(Argument(name, whole, 0) for name in ("first_col", "last_col", "first_row", "last_row"))
    ),
    "draw_box": do(
        draw_box,
        Argument("xy", items(number), required=True),
        Argument("size", items(number), [51.0, 51.0]),
        Argument("angle", number, 0.0),
        silent=True,
    ),
    "delete_all_rois": run("delete_all_rois"),
    "zoom": run("zoom", Argument("scale", number, 0.0, target="factor")),
    "set_cursor_mode": do(
        set_cursor_mode, Argument("mode", text), Argument("clear_rois", flag, target="clears"), silent=True
    ),
    "exam": do(exam, Argument("box_size", whole), Argument("loop", flag)),
    "save_image": done("save_image", Argument("filename", text, target="path")),
    "save_fits": done("save_fits", Argument("filename", text, target="path")),
}
