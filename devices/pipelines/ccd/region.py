"""Boxes on the picture of a focal plane, and which pixels of the detector and of an amplifier they are."""

from __future__ import annotations

import math
from typing import NamedTuple

from devices.pipelines.ccd.deinterlace import assembled_shape
from devices.pipelines.ccd.detector import Geometry
from devices.pipelines.ccd.sections import AmpAxis, amp_axes, shown, trimmed


class Box(NamedTuple):
    """Columns and rows from 1, last ones included."""

    first_col: int
    last_col: int
    first_row: int
    last_row: int

    @classmethod
    def around(cls, x: float, y: float, columns: float, rows: float, degrees: float = 0.0) -> Box:
        """The pixels of a box around a point; of one that is turned the smallest upright one that holds it."""
        cosine, sine = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
        width, height = abs(columns) * cosine + abs(rows) * sine, abs(columns) * sine + abs(rows) * cosine
        # A millionth of a pixel is the rounding of what was asked.
        first_col, first_row = math.floor(x - width / 2 + 1e-6) + 1, math.floor(y - height / 2 + 1e-6) + 1
        last_col, last_row = math.floor(x + width / 2 + 1e-6), math.floor(y + height / 2 + 1e-6)
        return cls(first_col, max(first_col, last_col), first_row, max(first_row, last_row))

    @property
    def centre(self) -> tuple[float, float]:
        return (self.first_col + self.last_col) / 2, (self.first_row + self.last_row) / 2

    @property
    def size(self) -> tuple[int, int]:
        """Columns, rows."""
        return self.last_col - self.first_col + 1, self.last_row - self.first_row + 1

    def within(self, geometry: Geometry) -> tuple[range, range]:
        """Its columns and rows that the trimmed picture has, from 0."""
        rows, columns = assembled_shape(geometry)
        return (
            range(columns)[max(self.first_col - 1, 0) : max(self.last_col, 0)],
            range(rows)[max(self.first_row - 1, 0) : max(self.last_row, 0)],
        )


def on_detector(box: Box, geometry: Geometry) -> Box:
    """The unbinned pixels of the focal plane under a box of the trimmed picture."""
    left, bottom = _axes(box.first_col, box.first_row, geometry)
    right, top = _axes(box.last_col, box.last_row, geometry)
    return Box(_pixels(left)[0], _pixels(right)[1], _pixels(bottom)[0], _pixels(top)[1])


def on_amplifier(box: Box, geometry: Geometry) -> Box:
    """The same counted from the corner of the amplifier in which the box has its centre, where it is read from.

    A box that reaches beyond that amplifier gets numbers that do.
    """
    x, y = (math.floor(centre) for centre in box.centre)
    (across, *_), (along, *_) = _axes(x, y, geometry)
    first_col, last_col, first_row, last_row = on_detector(box, geometry)
    columns = sorted(across.atm * pixel + across.atv for pixel in (first_col, last_col))
    rows = sorted(along.atm * pixel + along.atv for pixel in (first_row, last_row))
    return Box(columns[0], columns[1], rows[0], rows[1])


def _axes(column: int, row: int, geometry: Geometry) -> tuple[tuple[AmpAxis, int], tuple[AmpAxis, int]]:
    """The axes x and y of the amplifier that a pixel of the picture belongs to, and where on it, from 1.

    A pixel outside the picture belongs to the nearest amplifier.
    """
    plane = geometry.focal_plane
    x = min(max((column - 1) // geometry.columns.data, 0), plane.amps_x - 1)
    y = min(max((row - 1) // geometry.rows.data, 0), plane.amps_y - 1)
    amp = next(amp for amp in range(plane.amps) if plane.position(amp) == (x, y))
    across, along = (trimmed(shown(axis)) for axis in amp_axes(geometry, amp))
    return (across, column - x * geometry.columns.data), (along, row - y * geometry.rows.data)


def _pixels(place: tuple[AmpAxis, int]) -> tuple[int, int]:
    """First and last unbinned pixel of the mosaic under a binned one."""
    axis, pixel = place
    first = axis.start + (pixel - 1) * axis.window.binning
    return first, first + axis.window.binning - 1
