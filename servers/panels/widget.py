"""A widget or a display as plain data: its type and the properties that differ from Phoebus' defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from devices.core.errors import BadValueError, UnknownNameError
from servers.facility.spelling import did_you_mean
from servers.panels.subset import Property, WidgetType, subset

DISPLAY = "display"


@dataclass(frozen=True)
class Widget:
    """One widget, or the display that holds the others.

    Attributes:
        type: the Phoebus name, ``display`` for the whole file.
        properties: name -> value; enumerations as labels, colours as a name or ``(red, green, blue[, alpha])``, fonts
            as a name, lists of structures as tuples of mappings, widgets as tuples.

    Raises:
        UnknownNameError: the subset has no such widget or property.
        BadValueError: a value is not of the property's type.
    """

    type: str
    properties: Mapping[str, Any]

    def __post_init__(self) -> None:
        known = self.definition.properties
        kept = {}
        for name, value in self.properties.items():
            if name not in known:
                raise UnknownNameError(f"a {self.type} has no property {name}{did_you_mean(name, known)}")
            kept[name] = checked(known[name], value, f"{name} of a {self.type}")
        object.__setattr__(self, "properties", kept)

    @property
    def definition(self) -> WidgetType:
        if self.type == DISPLAY:
            return subset().display
        if self.type not in subset().widgets:
            raise UnknownNameError(f"panels have no widget {self.type}{did_you_mean(self.type, subset().widgets)}")
        return subset().widgets[self.type]

    def get(self, name: str) -> Any:
        """A property's value, or Phoebus' default."""
        if name in self.properties:
            return self.properties[name]
        definition = self.definition.properties[name]
        return checked(definition, definition.default, name)

    def children(self) -> Iterator[Widget]:
        """The widgets directly inside: of a display or a group, and on every tab."""
        yield from self.properties.get("widgets", ())
        if self.type == "tabs":
            for tab in self.properties.get("tabs", ()):
                yield from tab.get("children", ())

    def all(self) -> Iterator[Widget]:
        """This widget and all inside it."""
        yield self
        for child in self.children():
            yield from child.all()


def widget(type_name: str, /, **properties: Any) -> Widget:
    """A widget by keywords: ``widget("label", text="Temperature", x=10, y=10)``."""
    return Widget(type_name, properties)


def display(name: str, width: int, height: int, widgets: list[Widget], **properties: Any) -> Widget:
    """A whole panel."""
    return Widget(
        DISPLAY,
        {"name": name, "width": width, "height": height, "grid_visible": False} | properties | {"widgets": widgets},
    )


def checked(definition: Property, value: Any, what: str) -> Any:
    """A value in its one form.

    Raises:
        BadValueError: it is not of the property's type.
    """
    kind, _, argument = definition.type.partition(" ")
    if kind in ("boolean", "integer", "double"):
        return _number(kind, value, what)
    if kind == "enum":
        return _label(argument, value, what)
    if kind == "color":
        return _color(value, what)
    if kind == "font":
        return _one_of(subset().fonts, value, what)
    if kind == "widgets":
        return tuple(value)
    if kind == "structure":
        return _structure(argument, value, what)
    if kind == "list":
        return tuple(_structure(argument, item, what) for item in value)
    if kind == "actions":
        return tuple(_action(action, what) for action in value)
    if kind == "macros":
        return {str(name): str(text) for name, text in value.items()}
    if kind == "points":
        return tuple((float(x), float(y)) for x, y in value)
    if not isinstance(value, str):
        raise BadValueError(f"{what} = {value!r} is not a text")
    return value


def _number(kind: str, value: Any, what: str) -> bool | int | float:
    if kind == "double" and isinstance(value, int | float | str) and not isinstance(value, bool):
        return float(value)
    wanted = bool if kind == "boolean" else int
    if type(value) is not wanted:
        raise BadValueError(f"{what} = {value!r} is not of the type {kind}")
    number: bool | int = value
    return number


def _label(enumeration: str, value: Any, what: str) -> str:
    labels = subset().enums[enumeration]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(labels):
        return labels[value]
    return _one_of(labels, value, what)


def _one_of(known: Any, value: Any, what: str) -> str:
    if value not in known:
        raise BadValueError(f"{what} = {value!r} is not one of {', '.join(known)}")
    return str(value)


def _color(value: Any, what: str) -> Any:
    if isinstance(value, str):
        return _one_of(subset().colors, value, what)
    numbers = tuple(value)
    if len(numbers) not in (3, 4) or not all(isinstance(part, int) and 0 <= part <= 255 for part in numbers):
        raise BadValueError(f"{what} = {value!r} is not (red, green, blue[, alpha]) of 0 to 255")
    return numbers


def _structure(name: str, value: Any, what: str) -> Any:
    structure = subset().structures[name]
    if structure.is_text:
        return str(value)
    known = structure.properties
    unknown = sorted(set(value) - set(known))
    if unknown:
        raise UnknownNameError(f"{what} has no {', '.join(unknown)}")
    kept = {key: checked(known[key], item, f"{key} of {what}") for key, item in value.items()}
    return {key: item for key, item in kept.items() if item != checked(known[key], known[key].default, key)}


def _action(action: Mapping[str, Any], what: str) -> dict[str, Any]:
    kind = _one_of(subset().actions, action.get("type"), f"the action of {what}")
    known = subset().actions[kind]
    return {"type": kind} | {
        name: checked(known[name], value, f"{name} of {what}") for name, value in action.items() if name != "type"
    }
