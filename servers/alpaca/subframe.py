"""The window and binning that a client asks for, and how they are had of a detector with several amplifiers.

A window of the detector is the same for all amplifiers, counted from the corner of each. So what is read is the
smallest such window that has all of what the client wants, and the rest is cut off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.ccd.detector_setup import DetectorSetup
from devices.core.errors import RangeError
from devices.pipelines.ccd.ccd_image import CcdImage
from devices.pipelines.ccd.deinterlace import trimmed
from devices.pipelines.ccd.detector import Roi
from devices.pipelines.ccd.geometry import whole


@dataclass(frozen=True)
class Axis:
    """One axis of a picture in binned pixels, from 0.

    Attributes:
        start, size: of what the client wants.
        binning: pixels that make one.
    """

    start: int
    size: int
    binning: int = 1

    def read(self, visible: int, parts: list[tuple[int, bool]]) -> tuple[int, int]:
        """First and behind-last binned pixel, in the order of reading, that one or another amplifier must read.

        Args:
            visible: unbinned pixels of an amplifier.
            parts: of each amplifier, its place along the axis and whether it is read from the far end.
        """
        spans = [self._span(visible // self.binning, place, flipped) for place, flipped in parts]
        wanted = [(first, end) for first, end in spans if first < end]
        return min(first for first, _ in wanted), max(end for _, end in wanted)

    def _span(self, length: int, place: int, flipped: bool) -> tuple[int, int]:
        first = max(0, self.start - place * length)
        end = min(length, self.start + self.size - place * length)
        return (length - end, length - first) if flipped else (first, end)

    def cut(self, length: int, place: int, flipped: bool, skipped: int) -> tuple[slice, slice] | None:
        """Where an amplifier's pixels go, and which of its pixels they are; None: it has none of them.

        Args:
            length: binned pixels of an amplifier that is read as a whole.
            skipped: binned pixels that were not read before its first one.
        """
        first, end = self._span(length, place, flipped)
        if first >= end:
            return None
        begin = place * length + (length - end if flipped else first) - self.start
        source = slice(first - skipped, end - skipped)
        if flipped:
            last = source.start - 1
            source = slice(source.stop - 1, None if last < 0 else last, -1)
        return slice(begin, begin + end - first), source

    def roi(self, total: int, detectors: int, amps: int, span: tuple[int, int]) -> tuple[int, int]:
        """First and last pixel of the detector's window that makes each amplifier read this span."""
        first, end = span
        visible = total // amps
        if first == 0 and end == visible // self.binning:
            return 1, total
        skipped, data = first * self.binning, (end - first) * self.binning
        return skipped + 1, detectors * (skipped + data * (amps // detectors))


@dataclass(frozen=True)
class Subframe:
    """What a client wants of the picture of all amplifiers, without overscan."""

    x: Axis
    y: Axis

    @classmethod
    def whole(cls, setup: DetectorSetup) -> Subframe:
        """All of it, unbinned."""
        return cls(Axis(0, setup.format.columns), Axis(0, setup.format.rows))

    def changed(self, axis: str, **words: int) -> Subframe:
        """The same with something of one axis, x or y, said otherwise."""
        now: Axis = getattr(self, axis)
        return replace(self, **{axis: replace(now, **words)})

    def check(self, setup: DetectorSetup) -> None:
        """Whether the detector has it.

        Raises:
            RangeError: it has not; the text names the value and its bound.
        """
        plane = setup.focal_plane
        for name, axis, total, amps in (
            ("X", self.x, setup.format.columns, plane.amps_x),
            ("Y", self.y, setup.format.rows, plane.amps_y),
        ):
            # Each amplifier has whole binned pixels only.
            most = amps * (total // amps // axis.binning)
            if not 1 <= axis.size <= most:
                raise RangeError(
                    f"Num{name} = {axis.size} px is outside [1, {most}] px, with Bin{name} = {axis.binning}"
                )
            if not 0 <= axis.start <= most - axis.size:
                raise RangeError(
                    f"Start{name} = {axis.start} px is outside [0, {most - axis.size}] px, with Num{name} = {axis.size}"
                    f" and Bin{name} = {axis.binning}"
                )

    def roi(self, setup: DetectorSetup, *, windows: bool = True) -> Roi:
        """The window of the detector that has it.

        Args:
            windows: whether the controller can read less than everything.
        """
        if not windows:
            return whole(setup.format, self.x.binning, self.y.binning)
        plane, places = setup.focal_plane, range(setup.focal_plane.amps)
        columns = setup.format.columns // plane.amps_x
        rows = setup.format.rows // plane.amps_y
        span_x = self.x.read(columns, [(plane.position(amp)[0], plane.is_flipped(amp)[0]) for amp in places])
        span_y = self.y.read(rows, [(plane.position(amp)[1], plane.is_flipped(amp)[1]) for amp in places])
        return Roi(
            *self.x.roi(setup.format.columns, plane.detectors_x, plane.amps_x, span_x),
            *self.y.roi(setup.format.rows, plane.detectors_y, plane.amps_y, span_y),
            self.x.binning,
            self.y.binning,
        )

    def picture(self, image: CcdImage) -> NDArray[Any]:
        """The pixels that were wanted, (y, x), the lowest row first, out of an image with the window of `roi`.

        Raises:
            ValueError: the image was read with another window.
        """
        geometry, plane = image.geometry, image.geometry.focal_plane
        columns, rows = geometry.columns.binning, geometry.rows.binning
        amps = trimmed(image.amps, geometry)
        if (columns, rows) != (self.x.binning, self.y.binning):
            raise ValueError(f"the image is binned {columns} x {rows}, {self.x.binning} x {self.y.binning} was wanted")
        out = np.empty((self.y.size, self.x.size), amps.dtype)
        for amp, pixels in enumerate(amps):
            (place_x, place_y), (flip_x, flip_y) = plane.position(amp), plane.is_flipped(amp)
            skipped_x, skipped_y = (geometry.roi.first_col - 1) // columns, (geometry.roi.first_row - 1) // rows
            x = self.x.cut(geometry.visible_columns // columns, place_x, flip_x, skipped_x)
            y = self.y.cut(geometry.visible_rows // rows, place_y, flip_y, skipped_y)
            if x is not None and y is not None:
                out[y[0], x[0]] = pixels[y[1], x[1]]
        return out
