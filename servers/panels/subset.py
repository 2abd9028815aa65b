"""The widgets, properties, colours and fonts that panels may use, from ``widgets.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Property:
    """One property of a widget, action or structure; what equals the default is not written."""

    name: str
    type: str
    default: Any


@dataclass(frozen=True)
class WidgetType:
    """A widget as Phoebus defines it.

    Attributes:
        version: the version of its model, an attribute of the XML element.
        is_pv: it shows PVs; ``writes``, it may write one.
        properties: by name, in the order in which Phoebus writes them.
    """

    name: str
    version: str
    is_pv: bool
    writes: bool
    properties: Mapping[str, Property]


@dataclass(frozen=True)
class Structure:
    """A group of properties inside a property: an axis, a trace, a tab; or a plain text such as a list item."""

    element: str
    properties: Mapping[str, Property]
    is_text: bool


@dataclass(frozen=True)
class Subset:
    """Everything that a .bob file of a panel may contain."""

    widgets: Mapping[str, WidgetType]
    display: WidgetType
    structures: Mapping[str, Structure]
    actions: Mapping[str, Mapping[str, Property]]
    enums: Mapping[str, tuple[str, ...]]
    colors: Mapping[str, tuple[int, ...]]
    fonts: Mapping[str, Mapping[str, Any]]


@cache
def subset() -> Subset:
    """The one table, read once."""
    data = json.loads((files(__package__) / "widgets.json").read_text())
    widgets = {name: _widget_type(name, entry) for name, entry in data["widgets"].items()}
    structures = {
        name: Structure(entry.get("element", name), _properties(entry), entry.get("type") == "string")
        for name, entry in data["structures"].items()
    }
    return Subset(
        widgets,
        _widget_type("display", data["display"]),
        structures,
        {name: _properties({"properties": entry}) for name, entry in data["actions"].items()},
        {name: tuple(labels) for name, labels in data["enums"].items()},
        {name: tuple(entry["phoebus"]) for name, entry in data["colors"].items()},
        data["fonts"],
    )


def _widget_type(name: str, entry: Mapping[str, Any]) -> WidgetType:
    return WidgetType(name, entry["version"], entry.get("pv", False), entry.get("writes", False), _properties(entry))


def _properties(entry: Mapping[str, Any]) -> dict[str, Property]:
    return {name: Property(name, kind, default) for name, kind, default in entry.get("properties", [])}
