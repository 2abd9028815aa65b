"""The widgets that faceplates are made of, in the sizes and looks that all of them share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from servers.panels.widget import Widget, widget

PREFIX = "$(P)"
PITCH, HEIGHT = 28, 22  # px from row to row; of a widget
GAP = 6  # px between neighbours
STOP_COLOR, STOP_TEXT = (140, 20, 20), (255, 255, 255)


def moved(item: Widget, x: int, y: int) -> Widget:
    """The widget further to the right by ``x`` px and further down by ``y`` px."""
    return replace(item, properties={**item.properties, "x": item.get("x") + x, "y": item.get("y") + y})


def label(text: str, x: int, y: int, width: int, *, tooltip: str = "", **looks: Any) -> Widget:
    """A fixed text."""
    looks = {"height": HEIGHT, "vertical_alignment": "middle", "tooltip": tooltip} | looks
    return widget("label", name=text, text=text, x=x, y=y, width=width, **looks)


def readback(pv: str, x: int, y: int, width: int, **looks: Any) -> Widget:
    """A value as it is."""
    looks = {"height": HEIGHT, "vertical_alignment": "middle"} | looks
    return widget("textupdate", name=pv, pv_name=pv, x=x, y=y, width=width, **looks)


def text(pv: str, x: int, y: int, width: int, **looks: Any) -> Widget:
    """A text as it is."""
    return readback(pv, x, y, width, format="string", **looks)


def entry(pv: str, datatype: Mapping[str, Any], x: int, y: int, width: int, **looks: Any) -> Widget:
    """What a person gives a value with: a list for labels, a text entry for everything else."""
    place = {"name": pv, "pv_name": pv, "x": x, "y": y, "width": width, "height": HEIGHT}
    if datatype["type"] in ("enum", "bool", "state"):
        return widget("combo", **place)
    if datatype["type"] == "string":
        looks = {"format": "string"} | looks
    return widget("textentry", **place, **looks)


def progress(pv: str, x: int, y: int, width: int) -> Widget:
    """A bar from 0 to 100 %."""
    return widget(
        "progressbar",
        name=pv,
        pv_name=pv,
        x=x,
        y=y,
        width=width,
        height=HEIGHT,
        format="decimal",
        precision=0,
        limits_from_pv=False,
        maximum=100.0,
        fill_color="On",
    )


def run_button(title: str, pv: str, x: int, y: int, width: int, *, confirm: str = "", **looks: Any) -> Widget:
    """A button that puts 1 to a PV; with ``confirm`` it asks that first."""
    looks = {"height": HEIGHT + 2} | looks
    if confirm:
        looks |= {"show_confirm_dialog": True, "confirm_message": confirm}
    action = {"type": "write_pv", "pv_name": pv, "value": "1", "description": title}
    return widget("action_button", name=title, text=title, actions=[action], pv_name=pv, x=x, y=y, width=width, **looks)


def open_button(title: str, file: str, x: int, y: int, width: int, **looks: Any) -> Widget:
    """A button that shows another panel of the same device instead."""
    action = {"type": "open_display", "file": file, "macros": {"P": PREFIX}, "description": title}
    return widget("action_button", name=title, text=title, actions=[action], x=x, y=y, width=width, **looks)
