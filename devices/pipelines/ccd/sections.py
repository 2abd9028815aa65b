"""Which pixels of the detector the pixels of a file are: sections and the IRAF transformations, for one amplifier.

All follow from one relation along each axis: the centre of file pixel i (from 1) lies at detector pixel

    p(i) = start + sign * ((i - data_first) * binning + (binning - 1) / 2)

so that LTM, LTV, the sections and the sky agree by construction, for every window, binning, flip and underscan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from devices.pipelines.ccd.detector import AmpWindow, Geometry


@dataclass(frozen=True)
class AmpAxis:
    """One axis of an image of an amplifier; pixels from 1, unbinned ones of the detector unless said.

    Attributes:
        window: what is read.
        visible: pixels that an amplifier sees light with.
        first: of the amplifier's pixels, the first one read as data, from 1.
        place, place_on_detector: of the amplifier in the mosaic and on its detector, from 0.
        start: pixel of the mosaic that is first in the file's first data pixel.
        sign: +1: the file's pixels go up with those of the mosaic; -1: down.
        data_first: pixel of the file, the first one of the data.
        is_reversed: the file is not in the order of reading.
    """

    window: AmpWindow
    visible: int
    first: int
    place: int
    place_on_detector: int
    start: int
    sign: int
    data_first: int
    is_reversed: bool = False

    @property
    def data_last(self) -> int:
        return self.data_first + self.window.data - 1

    @property
    def unbinned(self) -> int:
        """Pixels of the detector in the data."""
        return self.window.data * self.window.binning

    @property
    def ltm(self) -> float:
        """File pixels for a pixel of the mosaic."""
        return self.sign / self.window.binning

    @property
    def ltv(self) -> float:
        half = (self.window.binning - 1) / 2
        return self.data_first - (self.start + self.sign * half) * self.ltm

    @property
    def atm(self) -> int:
        """Pixels of the amplifier, counted from its corner, for a pixel of the mosaic."""
        return -1 if (self.sign < 0) != self.is_reversed else 1

    @property
    def atv(self) -> int:
        return -self.visible * self.place if self.atm > 0 else self.visible * (self.place + 1) + 1

    def to_image(self, pixel: float) -> float:
        """Where a pixel of the mosaic is in the file; both from 1.0, the centre of the first one."""
        return self.ltm * pixel + self.ltv

    def mosaic(self) -> tuple[int, int]:
        """First and last pixel of the mosaic, in the order of the file (DETSEC)."""
        return self.start, self.start + self.sign * (self.unbinned - 1)

    def detector(self) -> tuple[int, int]:
        """The same, counted on the amplifier's own detector (CCDSEC)."""
        before = (self.place - self.place_on_detector) * self.visible
        begin, end = self.mosaic()
        return begin - before, end - before

    def detector_binned(self) -> tuple[int, int]:
        """The same in binned pixels (CCDSEC1)."""
        low = (min(self.detector()) - 1) // self.window.binning + 1
        high = low + self.window.data - 1
        return (low, high) if self.sign > 0 else (high, low)

    def amplifier(self) -> tuple[int, int]:
        """First and last pixel counted from the amplifier's corner (AMPSEC)."""
        section = self.first, self.first + self.unbinned - 1
        return section[::-1] if self.is_reversed else section

    def data(self) -> tuple[int, int]:
        """First and last pixel of the file that saw light (DATASEC)."""
        return self.data_first, self.data_last

    def bias(self) -> tuple[int, int] | None:
        """First and last pixel of the file of the overscan, or else of the underscan; None: neither was read."""
        if not (self.window.overscan or self.window.underscan):
            return None
        is_behind = (self.window.overscan > 0) != self.is_reversed
        return (self.data_last + 1, self.window.read) if is_behind else (1, self.data_first - 1)


def amp_axes(geometry: Geometry, amp: int) -> tuple[AmpAxis, AmpAxis]:
    """The axes x and y of an amplifier's image in the order of reading; `amp` from 0."""
    plane, roi = geometry.focal_plane, geometry.roi
    x, y = plane.position(amp)
    flip_x, flip_y = plane.is_flipped(amp)
    amps_x, amps_y = plane.amps_x // plane.detectors_x, plane.amps_y // plane.detectors_y
    return (
        _axis(geometry.columns, geometry.visible_columns, roi.first_col, x, amps_x, flip_x),
        _axis(geometry.rows, geometry.visible_rows, roi.first_row, y, amps_y, flip_y),
    )


def shown(axis: AmpAxis) -> AmpAxis:
    """The axis of an image that is turned to how it is shown: along the mosaic."""
    if axis.sign > 0:
        return axis
    window = axis.window
    return replace(
        axis,
        start=axis.start - axis.unbinned + 1,
        sign=1,
        data_first=window.read - window.underscan - window.data + 1,
        is_reversed=True,
    )


def trimmed(axis: AmpAxis) -> AmpAxis:
    """The axis of an image that has the data only."""
    return replace(axis, window=replace(axis.window, underscan=0, overscan=0), data_first=1)


def section(x: tuple[int, int], y: tuple[int, int]) -> str:
    """As headers have it: ``[x1:x2,y1:y2]``."""
    return f"[{x[0]}:{x[1]},{y[0]}:{y[1]}]"


def _axis(window: AmpWindow, visible: int, first: int, place: int, amps_of_detector: int, flipped: bool) -> AmpAxis:
    return AmpAxis(
        window=window,
        visible=visible,
        first=first,
        place=place,
        place_on_detector=place % amps_of_detector,
        start=(place + 1) * visible - (first - 1) if flipped else place * visible + first,
        sign=-1 if flipped else 1,
        data_first=window.underscan + 1,
    )
