"""The head of a faceplate: what it is, how it is, what it is doing, and Stop."""

from __future__ import annotations

from typing import Any

from servers.panels.pieces import (
    GAP,
    HEIGHT,
    PREFIX,
    STOP_COLOR,
    STOP_TEXT,
    label,
    open_button,
    progress,
    readback,
    run_button,
    text,
)
from servers.panels.widget import Widget

MARGIN = 12  # px
LINE, HEIGHT_WITHOUT_OPERATIONS, HEIGHT_WITH_OPERATIONS = 36, 58, 90  # px
TITLE, STATE, BUTTON, NAME, BAR = 320, 120, 96, 150, 150  # px wide


def header(title: str, width: int, *, operations: bool, other: tuple[str, str] | None) -> tuple[list[Widget], int]:
    """The widgets and their height in px.

    Args:
        operations: the device has operations: they are shown, with one button that aborts all, never asks, and never
            waits behind another one.
        other: (text, file) of a button that opens the other panel of the device.
    """
    y = 10
    right = width - MARGIN
    buttons = []
    if operations:
        looks: dict[str, Any] = {
            "font": "Default Bold",
            "background_color": STOP_COLOR,
            "foreground_color": STOP_TEXT,
            "height": LINE,
        }
        right -= BUTTON
        doc = "Aborts everything this device does"
        buttons.append(run_button("STOP", f"{PREFIX}Abort", right, y, BUTTON, tooltip=doc, **looks))
        right -= GAP
    if other is not None:
        right -= BUTTON
        buttons.append(open_button(*other, right, y, BUTTON, height=LINE))
        right -= GAP
    state_x = MARGIN + TITLE + GAP
    status_x = state_x + STATE + GAP
    widgets = [
        label(title, MARGIN, y, TITLE, font="Header 1", height=LINE),
        readback(f"{PREFIX}State", state_x, y, STATE, height=LINE, font="Default Bold", horizontal_alignment="center"),
        text(f"{PREFIX}Status", status_x, y, right - status_x, height=LINE),
        *buttons,
    ]
    if not operations:
        return widgets, HEIGHT_WITHOUT_OPERATIONS
    return [*widgets, *_operation(width, y + LINE + 2 * GAP)], HEIGHT_WITH_OPERATIONS


def _operation(width: int, y: int) -> list[Widget]:
    name_x = MARGIN + 86
    bar_x = name_x + NAME + GAP
    message_x = bar_x + BAR + GAP
    return [
        label("Operation", MARGIN, y, 80, height=HEIGHT),
        text(f"{PREFIX}Operation", name_x, y, NAME),
        progress(f"{PREFIX}Progress", bar_x, y, BAR),
        text(f"{PREFIX}OperationMessage", message_x, y, width - MARGIN - message_x),
    ]
