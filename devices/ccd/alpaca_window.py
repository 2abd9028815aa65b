"""The window of an Alpaca camera: binned pixels of one picture."""

from __future__ import annotations

from dataclasses import dataclass

from devices.ccd.alpaca_facts import AlpacaFacts
from devices.core.errors import NotAllowedError, RangeError
from devices.pipelines.ccd.detector import AmpWindow, Geometry


@dataclass(frozen=True)
class AlpacaWindow:
    """What a camera is told, by Alpaca's names; starts are from 0, all but the binning in binned pixels."""

    BinX: int
    BinY: int
    StartX: int
    StartY: int
    NumX: int
    NumY: int


def window_of(geometry: Geometry, facts: AlpacaFacts) -> AlpacaWindow:
    """The window of an image.

    Raises:
        NotAllowedError: a detector with several amplifiers, unequal binning of a camera that has none.
        RangeError: pixels that the camera does not have, or a window that does not begin with a whole binned pixel.
    """
    if geometry.amps != 1:
        raise NotAllowedError(
            f"an Alpaca camera gives one picture: its detector has one amplifier, not {geometry.amps}"
        )
    columns, rows = geometry.columns, geometry.rows
    if columns.binning != rows.binning and not facts.bins_unequally:
        raise NotAllowedError(f"{facts.name} bins columns and rows alike, not {columns.binning} x {rows.binning}")
    flip_x, flip_y = geometry.focal_plane.is_flipped(0)
    return AlpacaWindow(
        columns.binning,
        rows.binning,
        _start("col", columns, facts.columns, facts.most_binning[0], flip_x),
        _start("row", rows, facts.rows, facts.most_binning[1], flip_y),
        columns.read,
        rows.read,
    )


def _start(axis: str, window: AmpWindow, size: int, most: int, is_flipped: bool) -> int:
    """The first binned pixel of an axis, as the picture has it."""
    binning = window.binning
    if binning > most:
        raise RangeError(f"{axis}_bin = {binning} is outside [1, {most}] of this camera")
    if (window.skip and window.underscan) or (window.post_skip and window.overscan):
        raise NotAllowedError(f"a window in {axis}s with underscan or overscan beside it is not one piece of a picture")
    begin = window.pre_skip + window.skip
    end = begin + window.read * binning
    if end > size:
        raise RangeError(f"the window ends at {axis} {end}, outside [1, {size}] of this camera")
    # Shown, an amplifier that is read from the high end has its first pixel last.
    first = size - end if is_flipped else begin
    if first % binning:
        raise RangeError(
            f"first_{axis} = {window.skip + 1}: binned by {binning}, a window of this camera begins at {axis} 1, "
            f"{1 + binning}, {1 + 2 * binning} ..., not at {first + 1}"
        )
    return first // binning
