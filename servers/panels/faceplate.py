"""The faceplate of a device, generated from its description: everything an operator may see and do.

Groups stand below one another in columns. Groups of one kind ("Input A", "Input B") share a tab, side by side. What
only experts change is on a panel of its own, which a button opens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from servers.panels.command_row import command_row
from servers.panels.header import MARGIN, header
from servers.panels.override import Override
from servers.panels.pieces import PITCH, moved
from servers.panels.row import WIDTH, Row, attribute_row, heading, plot_row, pv_of
from servers.panels.widget import Widget, display, widget

COLUMN_HEIGHT = 800  # px at most, where it can be helped
COLUMNS = 2  # beside one another
TAB_BAR = 34  # px
MIN_WIDTH = 2 * WIDTH + 3 * MARGIN
MAIN = "Main"
#: What the head shows.
HIDDEN_ATTRIBUTES = {
    *("state", "status", "operation", "operation_id", "operation_message", "operation_result", "operation_error"),
    *("progress", "alarm_summary"),
}
#: What programs use.
HIDDEN_COMMANDS = {"abort", "describe", "operation_status", "operations", "memorized", "apply_memorized"}


@dataclass
class Group:
    """Rows under one heading."""

    title: str
    rows: list[Row] = field(default_factory=list)

    @property
    def height(self) -> int:
        return PITCH + sum(row.height for row in self.rows) + MARGIN

    def split(self, height: int) -> list[Group]:
        """Groups of the same rows that each fit a column of this height in px, as far as single rows do."""
        parts = [Group(self.title)]
        for row in self.rows:
            if parts[-1].rows and parts[-1].height + row.height > height:
                parts.append(Group(f"{self.title} (continued)"))
            parts[-1].rows.append(row)
        return parts

    def at(self, x: int, y: int) -> list[Widget]:
        placed = heading(self.title).at(x, y)
        y += PITCH
        for row in self.rows:
            placed += row.at(x, y)
            y += row.height
        return placed


def file_name(device: str, *, expert: bool = False) -> str:
    """``cryo_cryocon_1.bob`` of ``cryo/cryocon/1``."""
    return device.replace("/", "_") + ("_expert" if expert else "") + ".bob"


def faceplates(device: str, description: Mapping[str, Any], override: Override) -> dict[str, Widget]:
    """The panels of a device by file name: the operator's, and the expert's where there is something for experts."""
    title = override.title or device
    for_operators = _groups(description, override, expert=False) or [Group(description["device_class"])]
    for_experts = _groups(description, override, expert=True)
    usual, expert = file_name(device), file_name(device, expert=True)
    panels = {usual: _panel(description, title, for_operators, ("Expert...", expert) if for_experts else None)}
    if for_experts:
        panels[expert] = _panel(description, f"{title} (expert)", for_experts, ("Operator...", usual))
    return panels


def _groups(description: Mapping[str, Any], override: Override, *, expert: bool) -> list[Group]:
    groups: dict[str, Group] = {}
    plotted: set[str] = set()
    by_name = {item["name"]: item for item in description["attributes"]}
    if not expert:
        for plot in override.plots:
            groups.setdefault("Plots", Group("Plots")).rows.append(_plot(plot, by_name))
            plotted.update(plot.get("y", []))
    for kind, items, hidden in (
        ("attributes", description["attributes"], HIDDEN_ATTRIBUTES | plotted),
        ("commands", description["commands"], HIDDEN_COMMANDS),
    ):
        for item in _in_order(items, override.order):
            name = item["name"]
            is_expert = override.of(kind, name, "expert", item["level"] == "expert")
            if name in hidden or override.hides(kind, name) or not item.get("mirror", True) or is_expert != expert:
                continue
            usual = item.get("group") or _usual_group(kind, item, description["device_class"])
            group = override.of(kind, name, "group", usual)
            if kind == "attributes":
                row = _attribute(item, group, override, by_name.get(item.get("highest")))
            else:
                row = _command(item, group, override)
            if row:
                groups.setdefault(group, Group(group)).rows.append(row)
    return list(groups.values())


def _usual_group(kind: str, item: Mapping[str, Any], device_class: str) -> str:
    if kind == "commands":
        return "Commands"
    rank = len(item["shape"])
    return "Images" if rank == 2 else "Curves" if rank == 1 and item["type"] != "string" else device_class


def _in_order(items: Iterable[Mapping[str, Any]], order: tuple[str, ...]) -> list[Mapping[str, Any]]:
    return sorted(items, key=lambda item: order.index(item["name"]) if item["name"] in order else len(order))


def _attribute(
    attribute: Mapping[str, Any], group: str, override: Override, highest: Mapping[str, Any] | None
) -> Row | None:
    if attribute["type"] == "encoded":
        return None
    name = attribute["name"]
    label = override.of("attributes", name, "label", _short(attribute["label"], group))
    style = {
        key: value
        for key in ("format", "precision")
        if (value := override.of("attributes", name, key, None)) is not None
    }
    return attribute_row(attribute, label, style, highest=highest)


def _command(command: Mapping[str, Any], group: str, override: Override) -> Row | None:
    if any(argument["shape"] for argument in command["arguments"]):
        return None  # a list is nothing that a person types: scripts call it
    name = command["name"]
    label = override.of("commands", name, "label", _short(name.replace("_", " ").capitalize(), group))
    asked = f"{label}: really?" if command["dangerous"] else ""
    return command_row(command, label, override.of("commands", name, "confirm", asked))


def _short(label: str, group: str) -> str:
    """A label without the key that its group's heading has already: "Setpoint 1" in "Loop 1" is "Setpoint"."""
    key = group.rpartition(" ")[2]
    return re.sub(rf"\s+{re.escape(key)}$", "", label, flags=re.IGNORECASE) if key and key != group else label


def _plot(plot: Mapping[str, Any], attributes: Mapping[str, Mapping[str, Any]]) -> Row:
    def axis(name: str) -> str:
        unit = attributes[name]["unit"]
        return str(attributes[name]["label"]) + (f" / {unit}" if unit else "")

    x = plot.get("x", "")
    traces = [(pv_of(attributes[x]) if x else "", pv_of(attributes[y]), attributes[y]["label"]) for y in plot["y"]]
    scales = {key: plot[key] for key in ("log_x", "log_y") if key in plot}
    return plot_row(plot.get("title", ""), traces, x_title=axis(x) if x else "", y_title=axis(plot["y"][0]), **scales)


def _panel(description: Mapping[str, Any], title: str, groups: list[Group], other: tuple[str, str] | None) -> Widget:
    laid = {name: _columns(page) for name, page in _pages(groups).items()}
    width = max(MIN_WIDTH, *(extent[0] for _, extent in laid.values()))
    height = max(extent[1] for _, extent in laid.values())
    operations = any(command["kind"] == "operation" for command in description["commands"])
    head, top = header(title, width, operations=operations, other=other)
    if len(laid) == 1:
        body = [moved(item, 0, top) for widgets, _ in laid.values() for item in widgets]
    else:
        tabs = [{"name": name, "children": widgets} for name, (widgets, _) in laid.items()]
        height += TAB_BAR
        place = {"y": top, "width": width, "height": height}
        body = [widget("tabs", name="pages", tabs=tabs, tab_height=TAB_BAR, **place)]
    return display(title, width, top + height, [*head, *body], macros={"P": description["pv_prefix"]})


def _pages(groups: list[Group]) -> dict[str, list[Group]]:
    """Groups of one kind on a page of their own; everything else on the main page, which comes first."""
    stems: dict[str, list[Group]] = {}
    for group in groups:
        stem, _, key = group.title.rpartition(" ")
        stems.setdefault(stem if stem and len(key) <= 2 else group.title, []).append(group)
    pages: dict[str, list[Group]] = {MAIN: []}
    for stem, alike in stems.items():
        if len(alike) > 1:
            pages[f"{stem}s"] = alike
        else:
            pages[MAIN] += alike
    return {title: page for title, page in pages.items() if page}


def _columns(groups: list[Group]) -> tuple[list[Widget], tuple[int, int]]:
    """Groups below one another, the next column where one is full; the widgets and (width, height) in px.

    Few columns, and then all over again below them: a panel is shown as wide as the window, and is to be read.
    """
    widgets: list[Widget] = []
    x, y, top, right, lowest = MARGIN, MARGIN, MARGIN, 0, 0
    for group in (part for whole in groups for part in whole.split(COLUMN_HEIGHT)):
        if y > top and y + group.height > top + COLUMN_HEIGHT - MARGIN:
            x, y = x + WIDTH + MARGIN, top
            if x >= COLUMNS * (WIDTH + MARGIN):
                x, y, top = MARGIN, lowest + MARGIN, lowest + MARGIN
        widgets += group.at(x, y)
        y += group.height
        right, lowest = max(right, x + WIDTH), max(lowest, y)
    return widgets, (right + MARGIN, lowest + MARGIN)
