"""Panels for tests, as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

SUBSET = json.loads((Path(__file__).resolve().parents[2] / "servers" / "panels" / "widgets.json").read_text())


def element(name: str, value: Any) -> str:
    """A property: text, number, flag; a colour or font by name; lists and structures; XML that begins with "<"."""
    if isinstance(value, bool):
        body = str(value).lower()
    elif isinstance(value, dict):
        body = "".join(element(key, each) for key, each in value.items())
    elif isinstance(value, list):
        body = "".join(element(key, each) for key, each in value)
    elif isinstance(value, tuple):
        red, green, blue = value
        body = f'<color red="{red}" green="{green}" blue="{blue}"/>'
    elif isinstance(value, str) and value.startswith("<"):
        body = value
    elif isinstance(value, str) and name.endswith("color"):
        body = f'<color name={quoteattr(value)} red="1" green="2" blue="3"/>'
    elif isinstance(value, str) and name.endswith("font"):
        body = f"<font name={quoteattr(value)}/>"
    else:
        body = escape(str(value))
    return f"<{name}>{body}</{name}>"


def widget(kind: str, x: float = 0, y: float = 0, width: float = 100, height: float = 20, **properties: Any) -> str:
    """A widget; the property ``children`` holds widgets, ``actions`` and the like are XML."""
    children = "".join(properties.pop("children", []))
    version = SUBSET["widgets"].get(kind, {}).get("version", "2.0.0")
    properties = {"name": kind, "x": x, "y": y, "width": width, "height": height, **properties}
    body = "".join(element(name, value) for name, value in properties.items())
    return f'<widget type="{kind}" version="{version}">{body}{children}</widget>'


def panel(*widgets: str, name: str = "Test", width: int = 800, height: int = 600, **properties: Any) -> str:
    properties = {"name": name, "width": width, "height": height, **properties}
    body = "".join(element(key, value) for key, value in properties.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<display version="2.0.0">{body}{"".join(widgets)}</display>'


def write_action(pv: str, value: Any, description: str = "Write") -> str:
    return (
        f'<action type="write_pv"><pv_name>{pv}</pv_name><value>{value}</value>'
        f"<description>{description}</description></action>"
    )


def open_action(file: str, target: str = "replace", description: str = "Open", macros: str = "") -> str:
    return (
        f'<action type="open_display"><file>{file}</file><macros>{macros}</macros><target>{target}</target>'
        f"<description>{description}</description></action>"
    )
