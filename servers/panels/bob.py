"""Panels as XML, in the form in which Phoebus itself saves them, so that opening and saving one there changes nothing.

Form (Phoebus Display Builder): two blanks of indentation; a property stands only where it differs from its default;
properties in the order of the widget's model; enumerations as index; a named colour or font with its numbers beside it,
an element without content ended on a line of its own.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from devices.core.errors import DiptychError, ProtocolError
from servers.panels.subset import Property, subset
from servers.panels.widget import DISPLAY, Widget, checked

Element = ElementTree.Element
MAX_BYTES = 4_000_000  # of one file


def to_xml(panel: Widget) -> str:
    """The text of a .bob file."""
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', *_lines(_widget_element(panel), 0), ""])


def read_bob(path: Path) -> Widget:
    """The panel in a file.

    Raises:
        ProtocolError: not a .bob file, or more than the subset; the text says what.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ProtocolError(f"{path}: more than {MAX_BYTES} bytes")
    return from_xml(path.read_text(encoding="utf-8"), str(path))


def from_xml(text: str, source: str = "panel") -> Widget:
    """The panel in a text; see :func:`read_bob`."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ProtocolError(f"{source}: a panel has no document type")
    try:
        element = ElementTree.fromstring(text)  # noqa: S314 (no entities: refused above)  # nosec B314
    except ElementTree.ParseError as error:
        raise ProtocolError(f"{source}: {error}") from error
    if element.tag != DISPLAY:
        raise ProtocolError(f"{source}: begins with <{element.tag}>, not <{DISPLAY}>")
    try:
        return _widget(element)
    except (DiptychError, ValueError, KeyError, TypeError) as error:
        raise ProtocolError(f"{source}: {error}") from error


def _lines(element: Element, depth: int) -> Iterator[str]:
    margin = "  " * depth
    start = f"{margin}<{element.tag}{''.join(f' {name}={quoteattr(text)}' for name, text in element.items())}>"
    if len(element) or element.text is None:
        yield start
        for child in element:
            yield from _lines(child, depth + 1)
        yield f"{margin}</{element.tag}>"
    else:
        yield f"{start}{escape(element.text)}</{element.tag}>"


def _widget_element(widget: Widget) -> Element:
    definition = widget.definition
    element = Element("display" if widget.type == DISPLAY else "widget")
    if widget.type != DISPLAY:
        element.set("type", widget.type)
    element.set("version", definition.version)
    _add_properties(element, definition.properties, widget.properties)
    return element


def _add_properties(element: Element, known: Mapping[str, Property], values: Mapping[str, Any]) -> None:
    for name, definition in known.items():
        if name in values and values[name] != checked(definition, definition.default, name):
            kind, _, argument = definition.type.partition(" ")
            if kind == "widgets":
                holder = element if name == "widgets" else ElementTree.SubElement(element, name)
                holder.extend(_widget_element(child) for child in values[name])
            else:
                _fill(ElementTree.SubElement(element, name), kind, argument, values[name])


def _fill(element: Element, kind: str, argument: str, value: Any) -> None:
    if kind == "boolean":
        element.text = str(value).lower()
    elif kind == "enum":
        element.text = str(subset().enums[argument].index(value))
    elif kind == "color":
        _fill_color(ElementTree.SubElement(element, "color"), value)
    elif kind == "font":
        font = subset().fonts[value]
        ElementTree.SubElement(element, "font", {"name": value} | {key: str(item) for key, item in font.items()})
    elif kind == "macros":
        for name, text in value.items():
            ElementTree.SubElement(element, name).text = text
    elif kind == "points":
        for x, y in value:
            ElementTree.SubElement(element, "point", {"x": str(x), "y": str(y)})
    elif kind == "color_map":
        ElementTree.SubElement(element, "name").text = value
    elif kind == "actions":
        for action in value:
            inner = ElementTree.SubElement(element, "action", {"type": action["type"]})
            _add_properties(inner, subset().actions[action["type"]], action)
    elif kind == "structure":
        _add_properties(element, subset().structures[argument].properties, value)
    elif kind == "list":
        structure = subset().structures[argument]
        for item in value:
            inner = ElementTree.SubElement(element, structure.element)
            if structure.is_text:
                inner.text = item
            else:
                _add_properties(inner, structure.properties, item)
    else:
        element.text = str(value)


def _fill_color(element: Element, value: Any) -> None:
    numbers = subset().colors[value] if isinstance(value, str) else value
    if isinstance(value, str):
        element.set("name", value)
    for name, number in zip(("red", "green", "blue", "alpha"), numbers, strict=False):
        element.set(name, str(number))


def _widget(element: Element) -> Widget:
    type_name = DISPLAY if element.tag == DISPLAY else element.get("type", "")
    definition = Widget(type_name, {}).definition
    return Widget(type_name, _properties(element, definition.properties))


def _properties(element: Element, known: Mapping[str, Property]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for child in element:
        if child.tag == "widget":
            values.setdefault("widgets", []).append(_widget(child))
            continue
        if child.tag not in known:
            values[child.tag] = child.text or ""  # refused by name when the widget is made
            continue
        kind, _, argument = known[child.tag].type.partition(" ")
        values[child.tag] = _value(child, kind, argument)
    return values


def _value(element: Element, kind: str, argument: str) -> Any:
    text = element.text or ""
    if kind == "boolean":
        return {"true": True, "false": False}[text.strip()]
    if kind in ("integer", "enum"):
        return int(text)
    if kind == "double":
        return float(text)
    if kind == "color":
        return _read_color(element[0])
    if kind == "font":
        return element[0].get("name", "")
    if kind == "macros":
        return {child.tag: child.text or "" for child in element}
    if kind == "points":
        return [(float(child.attrib["x"]), float(child.attrib["y"])) for child in element]
    if kind == "color_map":
        return element[0].text or ""
    if kind == "actions":
        return [{"type": child.get("type")} | _properties(child, _action(child)) for child in element]
    if kind == "structure":
        return _properties(element, subset().structures[argument].properties)
    if kind == "list":
        structure = subset().structures[argument]
        return [
            child.text or "" if structure.is_text else _properties(child, structure.properties) for child in element
        ]
    if kind == "widgets":
        return [_widget(child) for child in element]
    return text


def _action(element: Element) -> Mapping[str, Property]:
    return subset().actions.get(element.get("type", ""), {})


def _read_color(element: Element) -> Any:
    name = element.get("name")
    if name in subset().colors:
        return name
    return tuple(int(element.attrib[part]) for part in ("red", "green", "blue", "alpha") if part in element.attrib)
