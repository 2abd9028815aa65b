"""One page for each device class: its properties, attributes and commands, with the PV of each."""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from devices.core import Device
from devices.core.property import Properties
from servers.epics.names import segment
from servers.facility.facility_file import Facility

_PREFIX = "PREFIX:"  # instead of the pv_prefix of one device


def device_pages(facilities: Iterable[Facility]) -> dict[str, str]:
    """Class name -> text, of every device class that the facilities have."""
    pages: dict[str, str] = {}
    for facility in facilities:
        for server in facility.start_order:
            for class_name, devices in facility.server(server).items():
                if class_name in facility.classes and class_name not in pages:
                    name, properties = next(iter(devices.items()))
                    pages[class_name] = _page(class_name, facility.classes[class_name], name, properties)
    return pages


def _page(class_name: str, import_path: str, device: str, properties: Mapping[str, list[str]]) -> str:
    module, _, name = import_path.partition(":")
    kind: type[Device] = getattr(importlib.import_module(module), name)
    description = json.loads(kind(device, properties).interface.to_json())
    lines = [
        f"# {class_name}",
        "",
        _text(description["doc"]),
        "",
        f"Class `{import_path}`, here with the properties of `{device}`: attributes and commands may depend on them.",
        "Made by `make docs`. The words are those of [the model](../model.md), the PVs those of [EPICS](../epics.md).",
        "",
        "## Properties",
        "",
        *_table(("property", "type", "default", "what it is"), _properties(kind.properties_class)),
        "## Attributes",
        "",
        *_table(
            ("attribute", "PV", "type", "access", "unit", "limits", "what it is"),
            (_attribute(each) for each in description["attributes"]),
        ),
        "## Commands",
        "",
    ]
    for command in description["commands"]:
        lines += _command(command)
    return "\n".join(lines)


def _properties(kind: type[Properties]) -> Iterator[tuple[str, ...]]:
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        needed = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        default = "needed" if needed else _default(field.default)
        yield f"`{field.name}`", _name_of(hints[field.name]), default, _text(field.metadata.get("doc", ""))


def _default(value: object) -> str:
    if value in ("", None, (), dataclasses.MISSING):
        return ""
    return f"`{getattr(value, 'name', value)}`"


def _name_of(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return ", ".join(map(str, typing.get_args(hint)))
    if not typing.get_args(hint):
        return str(getattr(hint, "__name__", hint))
    return re.sub(r"\b(?:\w+\.)+(?=\w)", "", str(hint))


def _attribute(each: Mapping[str, Any]) -> tuple[str, ...]:
    access = {"read": "read", "read_write": "read and write"}.get(each["access"], each["access"])
    pv = f"`{_PREFIX}{each['pv_name'] or segment(each['name'])}`" if each["mirror"] else ""
    level = "" if each["level"] == "operator" else f" ({each['level']})"
    return f"`{each['name']}`", pv, _type(each), access + level, each["unit"], _limits(each), _text(each["doc"])


def _command(each: Mapping[str, Any]) -> Iterator[str]:
    yield f"### `{each['name']}`"
    yield ""
    kind = "Operation" if each["kind"] == "operation" else "Command"
    pv = f", PV `{_PREFIX}{each['pv_name'] or segment(each['name'])}`" if each["mirror"] else ""
    level = "" if each["level"] == "operator" else f", for {each['level']}s"
    result = f"; gives {_type(each['result'])}" if each["result"] else ""
    yield f"{kind}{pv}{level}{result}."
    yield ""
    yield _text(each["doc"], paragraphs=True)
    yield ""
    if each["arguments"]:
        yield from _table(
            ("argument", "type", "unit", "limits", "default", "what it is"), map(_argument, each["arguments"])
        )


def _argument(each: Mapping[str, Any]) -> tuple[str, ...]:
    default = "needed" if each["required"] else "" if each["default"] in ("", None) else f"`{each['default']}`"
    return f"`{each['name']}`", _type(each), each["unit"], _limits(each), default, _text(each["doc"])


def _type(item: Mapping[str, Any]) -> str:
    shape = "".join(f"[{length}]" for length in item["shape"])
    return f"{item['type']}{shape}" + (f": {', '.join(item['labels'])}" if item["labels"] else "")


def _limits(item: Mapping[str, Any]) -> str:
    if not item["limits"]:
        return ""
    low, high = ("" if value is None else f"{value:g}" for value in item["limits"])
    return f"{low} to {high}" if low and high else f"from {low}" if low else f"up to {high}"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(_cell(cell) for cell in row)} |"
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _text(doc: str, *, paragraphs: bool = False) -> str:
    """A docstring as Markdown: double back-quotes are single ones; one line unless paragraphs are wanted."""
    text = doc.replace("``", "`").strip()
    return text if paragraphs else " ".join(text.split())
