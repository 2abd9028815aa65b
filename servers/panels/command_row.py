"""The rows of a command or an operation: its arguments, one button, how it goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from servers.epics import names
from servers.panels.pieces import GAP, HEIGHT, PITCH, entry, label, progress, run_button, text
from servers.panels.row import LABEL, NOTE, NOTE_X, SETPOINT, SETPOINT_X, WIDTH, Row, limits_text, name_label, pv_of
from servers.panels.widget import Widget

LINE_HEIGHT = PITCH + 2  # px, a button is higher than a text


def command_row(command: Mapping[str, Any], title: str, confirm: str = "") -> Row:
    """One row for each argument, then the button and beside it status, progress and error; the result below.

    Args:
        command: from a device description.
        confirm: what is asked before it runs; "" asks nothing.
    """
    pv, arguments = pv_of(command), command["arguments"]
    widgets: list[Widget] = []
    y = 0
    for argument in arguments:
        row = _argument(pv, argument)
        widgets += row.at(0, y)
        y += row.height
    run = pv + names.RUN if arguments else pv
    widgets += [run_button(title, run, 0, y, LABEL, confirm=confirm, tooltip=command["doc"]), *_outcome(pv, command, y)]
    y += LINE_HEIGHT
    if command["kind"] == "operation" or command["result"]:
        widgets += [
            label("Result", 0, y, LABEL, font="Fine Print", horizontal_alignment="right"),
            text(pv + names.RESULT, SETPOINT_X, y, WIDTH - SETPOINT_X),
        ]
        y += PITCH
    return Row(tuple(widgets), y + (GAP if arguments else 0))


def _argument(pv: str, argument: Mapping[str, Any]) -> Row:
    unit = f" / {argument['unit']}" if argument["unit"] else ""
    title = argument["name"].replace("_", " ") + unit
    note = limits_text(argument["limits"], argument["unit"])
    width = (NOTE_X - GAP if note else WIDTH) - SETPOINT_X
    name = name_label(title, argument["doc"], horizontal_alignment="right")
    field = entry(f"{pv}:{names.segment(argument['name'])}", argument, SETPOINT_X, 0, width)
    notes = (label(note, NOTE_X, 0, NOTE, font="Fine Print"),) if note else ()
    return Row((name, field, *notes), name.get("height") + PITCH - HEIGHT)


def _outcome(pv: str, command: Mapping[str, Any], y: int) -> list[Widget]:
    status = text(pv + names.STATUS, SETPOINT_X, y, SETPOINT, height=HEIGHT)
    x = SETPOINT_X + SETPOINT + GAP
    if command["kind"] != "operation":
        return [status, text(pv + names.ERROR, x, y, WIDTH - x)]
    half = (WIDTH - x - GAP) // 2
    error = text(pv + names.ERROR, x + half + GAP, y, WIDTH - x - half - GAP)
    return [status, progress(pv + names.PROGRESS, x, y, half), error]
