"""What is wrong with panels, found before an operator finds it.

Every panel is read as Phoebus would show it: its macros and those that an embedding panel gives are replaced, embedded
panels are followed. A panel may only use the subset (reading it tells), every PV must exist, everything must have its
own place, and a dangerous command must ask.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from devices.core.errors import ProtocolError
from servers.facility.spelling import did_you_mean
from servers.panels.bob import read_bob, to_xml
from servers.panels.subset import Property, subset
from servers.panels.text_width import LINE, lines_of, text_width
from servers.panels.widget import Widget

MACRO: Final = re.compile(r"\$[({]([A-Za-z_][\w.]*)(?:=([^(){}]*))?[)}]")  # $(NAME), ${NAME}, $(NAME=default)
DEPTH: Final = 5  # of panels in panels
BUILT_IN: Final = {"pv_name", "pv_value", "actions", "traces[0].y_pv", "name", "DID", "NAME"}
FIELD: Final = re.compile(r"\.[A-Z]{3,4}\$?$")
BUTTON_EDGE: Final = 8  # px on both sides of a button's text
TOLERANCE: Final = 2.0  # px, of heights
NO_PV: Final = ("loc://", "sim://")


@dataclass(frozen=True)
class KnownPvs:
    """What a facility serves.

    Attributes:
        names: every PV; empty checks none.
        dangerous: PVs whose put runs a dangerous command.
    """

    names: frozenset[str] = frozenset()
    dangerous: frozenset[str] = frozenset()


@dataclass
class Visit:
    """One panel in one use: with the macros it was given there."""

    path: Path
    macros: Mapping[str, str]
    depth: int = 0
    problems: list[str] = field(default_factory=list)

    def say(self, widget: Widget, text: str) -> None:
        name = widget.properties.get("name", "")
        self.problems.append(f"{self.path}: {widget.type}{f' {name!r}' if name else ''}: {text}")


def lint(paths: list[Path], known: KnownPvs, root: Path) -> list[str]:
    """One line for each fault of these panels, in the order of the files.

    Args:
        root: the folder that no link may leave.
    """
    problems: dict[str, None] = {}
    for path in paths:
        for problem in _lint_file(Visit(path, {}), known, root):
            problems.setdefault(problem)
    return list(problems)


def _lint_file(visit: Visit, known: KnownPvs, root: Path) -> Iterator[str]:
    try:
        panel = read_bob(visit.path)
    except (ProtocolError, OSError) as error:
        yield str(error)
        return
    if visit.depth == 0 and to_xml(panel) != visit.path.read_text(encoding="utf-8"):
        yield f"{visit.path}: is not in Phoebus' own form; `diptych panels --format` writes it so"
    # A panel's own macros win over what an embedding one gives; defaults in its texts do not.
    macros = {**visit.macros, **panel.properties.get("macros", {})}
    _walk(visit, panel, macros, known, root)
    _check_places(visit, panel)
    yield from visit.problems


def _walk(visit: Visit, widget: Widget, macros: Mapping[str, str], known: KnownPvs, root: Path) -> None:
    macros = {**macros, **widget.properties.get("macros", {})} if widget.type != "display" else macros
    own = {**macros, **dict.fromkeys(BUILT_IN, "")}
    for definition, value in _texts(widget):
        text = _expanded(visit, widget, value, own)
        if definition.type == "pv" and text is not None and "$(" not in text:
            _check_pv(visit, widget, text, known)
    _check_question(visit, widget, macros, known)
    _check_text(visit, widget, own)
    _check_links(visit, widget, macros, known, root)
    for child in widget.children():
        _walk(visit, child, macros, known, root)


def _texts(widget: Widget) -> Iterator[tuple[Property, str]]:
    """Every text of a widget in which macros are replaced, with what it is; not those of the widgets inside it."""
    yield from _texts_of(widget.definition.properties, widget.properties)


def _texts_of(known: Mapping[str, Property], values: Mapping[str, Any]) -> Iterator[tuple[Property, str]]:
    for name, value in values.items():
        if name not in known:
            continue
        definition = known[name]
        kind, _, argument = definition.type.partition(" ")
        if kind in ("string", "pv", "file"):
            yield definition, value
        elif kind == "structure":
            yield from _texts_of(subset().structures[argument].properties, value)
        elif kind == "list" and not subset().structures[argument].is_text:
            for item in value:
                yield from _texts_of(subset().structures[argument].properties, item)
        elif kind == "actions":
            for action in value:
                yield from _texts_of(subset().actions[action["type"]], action)


def _expanded(visit: Visit, widget: Widget, text: str, macros: Mapping[str, str]) -> str | None:
    for name, default in MACRO.findall(text):
        if name not in macros and not default:
            visit.say(widget, f"the macro {name} of {text!r} is not set{did_you_mean(name, macros)}")
            return None
    return _replaced(text, macros)


def _replaced(text: str, macros: Mapping[str, str], unknown: str | None = None) -> str:
    """The text with its macros replaced; those without a value stay, or become ``unknown``."""
    return MACRO.sub(lambda found: macros.get(found[1], found[2] or (found[0] if unknown is None else unknown)), text)


def _check_pv(visit: Visit, widget: Widget, pv: str, known: KnownPvs) -> None:
    if not pv or not known.names or pv.startswith(NO_PV):
        return
    name = FIELD.sub("", pv.removeprefix("pva://").removeprefix("ca://"))
    if name not in known.names:
        visit.say(widget, f"there is no PV {name}{did_you_mean(name, known.names)}")


def _check_text(visit: Visit, widget: Widget, macros: Mapping[str, str]) -> None:
    """The text of a label or a button has room; where it is not known before, nobody can tell."""
    if widget.type not in ("label", "action_button") or widget.get("rotation_step") not in ("0", 0):
        return
    text = _replaced(widget.get("text"), macros)
    if "$" in text or widget.properties.get("auto_size"):
        return
    font = widget.get("font")
    style = subset().fonts[font] if isinstance(font, str) else font
    size, is_bold = style["size"], style["style"].startswith("BOLD")
    room = widget.get("width") - (BUTTON_EDGE if widget.type == "action_button" else 0)
    wraps = widget.type == "label" and widget.get("wrap_words")
    lines = lines_of(text, room, size, is_bold=is_bold) if wraps else 1
    if not wraps and (wide := text_width(text, size, is_bold=is_bold)) > room:
        visit.say(widget, f"its text is {wide:.0f} px wide, more than {room} px")
    elif lines > 1 and lines * LINE * size > widget.get("height") + TOLERANCE:
        visit.say(widget, f"its text takes {lines} lines, more than {widget.get('height')} px")


def _check_question(visit: Visit, widget: Widget, macros: Mapping[str, str], known: KnownPvs) -> None:
    """Whatever writes to a dangerous command must ask before."""
    if not widget.definition.writes:
        return
    targets = [widget.properties.get("pv_name", "")] if widget.type != "action_button" else []
    targets += [action["pv_name"] for action in widget.properties.get("actions", ()) if action["type"] == "write_pv"]
    asks = widget.properties.get("show_confirm_dialog", False) not in (False, "none")
    for target in targets:
        pv = _replaced(target, macros, "")
        if pv in known.dangerous and not asks:
            visit.say(widget, f"writes {pv} and does not ask (show_confirm_dialog)")


def _is_web_address(url: str) -> bool:
    """Also one within the page of the panels, such as ``#/saxs/SAXS1:``."""
    return urlsplit(url).scheme in ("http", "https") or url.startswith("#/")


def _check_links(visit: Visit, widget: Widget, macros: Mapping[str, str], known: KnownPvs, root: Path) -> None:
    """Panels that are embedded or opened must be there; they are read with the macros that they would get."""
    links: list[tuple[str, Mapping[str, str]]] = []
    links += [(widget.properties["file"], {})] if widget.properties.get("file") else []
    links += [(tab["file"], tab.get("macros", {})) for tab in widget.properties.get("tabs", ()) if tab.get("file")]
    for action in widget.properties.get("actions", ()):
        if action["type"] == "open_display":
            links.append((action["file"], action.get("macros", {})))
        elif action["type"] == "open_webpage" and not _is_web_address(action.get("url", "")):
            visit.say(widget, f"opens {action.get('url', '')!r}, which is no http address")
    for file, given in links:
        name = _replaced(file, macros)
        target = (visit.path.parent / name).resolve()
        if not target.is_relative_to(root.resolve()):
            visit.say(widget, f"{file} is outside {root}")
        elif not target.is_file():
            visit.say(widget, f"there is no file {name}")
        elif visit.depth < DEPTH and target.suffix == ".bob":
            inner = {**macros, **{key: _replaced(text, macros) for key, text in given.items()}}
            opened = any(action.get("file") == file for action in widget.properties.get("actions", ()))
            if not opened:
                visit.problems += _lint_file(Visit(target, inner, visit.depth + 1), known, root)
            _check_size(visit, widget, target)


def _check_size(visit: Visit, widget: Widget, target: Path) -> None:
    """An embedded panel that is neither scaled nor scrolled must fit its place."""
    if widget.type != "embedded" or widget.get("resize") != "none" or target.suffix != ".bob":
        return
    try:
        panel = read_bob(target)
    except (ProtocolError, OSError):
        return  # told already
    if panel.get("width") > widget.get("width") or panel.get("height") > widget.get("height"):
        size = f"{panel.get('width')} x {panel.get('height')}"
        visit.say(widget, f"{target.name} is {size}, more than its place")


def _check_places(visit: Visit, panel: Widget) -> None:
    """Nothing leaves its panel, group or tab; nothing that is used or read covers another."""
    _check_inside(visit, list(panel.properties.get("widgets", ())), panel.get("width"), panel.get("height"))
    for widget in panel.all():
        if widget.type == "group":
            _check_inside(visit, list(widget.children()), widget.get("width"), widget.get("height"))
        elif widget.type == "tabs":
            for tab in widget.properties.get("tabs", ()):
                height = widget.get("height") - widget.get("tab_height")
                _check_inside(visit, list(tab.get("children", ())), widget.get("width"), height)


def _check_inside(visit: Visit, widgets: list[Widget], width: int, height: int) -> None:
    boxes = [(item, _box(item)) for item in widgets]
    for item, (left, top, right, bottom) in boxes:
        if left < 0 or top < 0 or right > width or bottom > height:
            visit.say(item, f"at ({left}, {top}) to ({right}, {bottom}) leaves its {width} x {height} px")
    solid = [(item, box) for item, box in boxes if item.type not in ("rectangle", "ellipse", "polyline", "picture")]
    for number, (item, box) in enumerate(solid):
        for other, other_box in solid[:number]:
            if _overlap(box, other_box):
                visit.say(item, f"covers {other.type} {other.properties.get('name', '')!r}")


def _box(widget: Widget) -> tuple[int, int, int, int]:
    x, y = widget.get("x"), widget.get("y")
    return x, y, x + widget.get("width"), y + widget.get("height")


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
