"""The rows of a faceplate: one attribute, plot or image each.

A row is as wide as its column and has four parts: label, set point, read-back, limits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from servers.epics import names
from servers.panels.pieces import GAP, HEIGHT, PITCH, PREFIX, entry, label, moved, readback, text
from servers.panels.subset import subset
from servers.panels.text_width import LINE, lines_of
from servers.panels.widget import Widget, widget

LABEL, SETPOINT, READBACK, NOTE = 168, 116, 126, 104  # px, widths of the four parts
SETPOINT_X, READBACK_X = LABEL + GAP, LABEL + SETPOINT + 2 * GAP
WIDTH = LABEL + SETPOINT + READBACK + NOTE + 3 * GAP
NOTE_X = WIDTH - NOTE
MARK = 14  # px, of the sign before a limit
PLOT_HEIGHT, IMAGE_HEIGHT = 240, 360  # px
TEXT_LINES = 4  # of a list of texts

#: Of curves: told apart in all kinds of colour blindness (Okabe and Ito, Color Universal Design, 2008).
CURVE_COLORS = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233))


@dataclass(frozen=True)
class Row:
    """Widgets with places relative to the row's upper left corner, and the row's height in px."""

    widgets: tuple[Widget, ...]
    height: int = PITCH

    def at(self, x: int, y: int) -> list[Widget]:
        """The widgets at their place in the panel."""
        return [moved(item, x, y) for item in self.widgets]


def pv_of(item: Mapping[str, Any]) -> str:
    """The PV of an attribute or a command of a description."""
    return PREFIX + (item.get("pv_name") or names.segment(item["name"]))


def name_label(title: str, doc: str, **looks: Any) -> Widget:
    """What a row is about; a long name takes several lines."""
    size = subset().fonts["Default"]["size"]
    height = max(HEIGHT, math.ceil(lines_of(title, LABEL, size) * LINE * size))
    return label(title, 0, 0, LABEL, tooltip=doc, height=height, **looks)


def heading(title: str) -> Row:
    """The title of a group, on a bar."""
    bar = widget(
        "rectangle", width=WIDTH, height=HEIGHT, line_width=0, background_color="Header_Background", name=f"bar {title}"
    )
    return Row((bar, label(title, GAP, 0, WIDTH - GAP, font="Default Bold", foreground_color="Header_Foreground")))


def attribute_row(
    attribute: Mapping[str, Any], title: str, style: Mapping[str, Any], *, highest: Mapping[str, Any] | None = None
) -> Row:
    """One attribute.

    Args:
        attribute: from a device description.
        highest: the attribute whose value is the highest that may be put; its value is shown as the limit.
        style: ``format`` and ``precision`` where a person chose them.
    """
    pv, rank, kind = pv_of(attribute), len(attribute["shape"]), attribute["type"]
    if rank == 2:
        return _image_row(attribute, pv, title)
    if rank == 1 and kind != "string":
        return plot_row(title, [("", pv, title)], y_title=attribute["unit"])
    shows = text if kind == "string" else readback
    name = name_label(title, attribute["doc"])
    pitch = name.get("height") + PITCH - HEIGHT
    if rank == 1:
        lines = text(pv, SETPOINT_X, 0, WIDTH - SETPOINT_X, height=TEXT_LINES * PITCH - GAP, vertical_alignment="top")
        return Row((name, lines), TEXT_LINES * PITCH)
    access = names.served_access(kind, rank, attribute["access"])
    if access == "read":
        wide = WIDTH if kind == "string" else NOTE_X - GAP
        return Row((name, shows(pv, SETPOINT_X, 0, wide - SETPOINT_X, **style)), pitch)
    notes = _limits(attribute, highest)
    end = NOTE_X - GAP if notes else WIDTH
    own_style = {} if kind in ("enum", "bool") else style
    if access == "write":
        return Row((name, entry(pv, attribute, SETPOINT_X, 0, end - SETPOINT_X, **own_style), *notes), pitch)
    setpoint = entry(pv, attribute, SETPOINT_X, 0, SETPOINT, **own_style)
    return Row((name, setpoint, shows(pv + names.READBACK, READBACK_X, 0, end - READBACK_X, **style), *notes), pitch)


def plot_row(
    title: str, traces: list[tuple[str, str, str]], *, x_title: str = "", y_title: str = "", **scales: bool
) -> Row:
    """Curves in one plot.

    Args:
        traces: (PV of x or "", PV of y, name) of each.
        scales: ``log_x``, ``log_y``.
    """
    colors = CURVE_COLORS * (1 + len(traces) // len(CURVE_COLORS))
    plot = widget(
        "xyplot",
        name=title,
        width=WIDTH,
        height=PLOT_HEIGHT - GAP,
        title=title,
        title_font="Default Bold",
        show_toolbar=True,
        show_legend=len(traces) > 1,
        x_axis={"title": x_title, "autoscale": True, "log_scale": scales.get("log_x", False), "show_grid": True},
        y_axes=[{"title": y_title, "autoscale": True, "log_scale": scales.get("log_y", False), "show_grid": True}],
        traces=[
            {"name": name, "x_pv": x, "y_pv": y, "color": color}
            for (x, y, name), color in zip(traces, colors, strict=False)
        ],
    )
    return Row((plot,), PLOT_HEIGHT)


def limits_text(limits: Any, unit: str) -> str:
    """``0 to 1000 K/min``; nothing without limits."""
    if limits is None:
        return ""
    low, high = (f"{bound:g}" for bound in limits)
    return f"{low} to {high} {unit}".rstrip()


def _limits(attribute: Mapping[str, Any], highest: Mapping[str, Any] | None) -> tuple[Widget, ...]:
    """What may be put, beside the set point: fixed, or the present value of another attribute."""
    if highest is not None:
        pv = pv_of(highest) + (names.READBACK if highest["access"] == "read_write" else "")
        mark = label("≤", NOTE_X, 0, MARK, font="Fine Print", tooltip=f"not above {highest['label']}")
        return mark, readback(pv, NOTE_X + MARK, 0, NOTE - MARK, font="Fine Print")
    note = limits_text(attribute["limits"], attribute["unit"])
    return (label(note, NOTE_X, 0, NOTE, font="Fine Print"),) if note else ()


def _image_row(attribute: Mapping[str, Any], pv: str, title: str) -> Row:
    rows, columns = attribute["shape"][:2]
    image = widget(
        "image",
        name=title,
        pv_name=pv,
        width=WIDTH,
        height=IMAGE_HEIGHT - GAP,
        y=PITCH,
        show_toolbar=True,
        x_axis={"title": "px", "maximum": float(columns)},
        y_axis={"title": "px", "maximum": float(rows)},
        data_width=columns,
        data_height=rows,
        unsigned=attribute["type"].startswith("uint"),
        interpolation="none",
    )
    return Row((label(title, 0, 0, WIDTH, tooltip=attribute["doc"]), image), IMAGE_HEIGHT + PITCH)
