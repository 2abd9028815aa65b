"""What is read of a CCD: its format, its amplifiers, the window and the binning."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """Pixels of the whole focal plane along the serial (columns) and the parallel (rows) registers, unbinned.

    Totals are over all detectors; what precedes and follows is of each amplifier. The words of azcam's set_format.
    """

    columns: int
    serial_predark: int
    serial_underscan: int
    serial_overscan: int
    rows: int
    parallel_predark: int = 0
    parallel_underscan: int = 0
    parallel_overscan: int = 0
    frame_transfer: int = 0


@dataclass(frozen=True)
class FocalPlane:
    """Detectors and amplifiers.

    Attributes:
        detectors_x, detectors_y: of the mosaic.
        amps_x, amps_y: of the whole mosaic.
        flips: of each amplifier, row by row (azcam's amp_cfg): 0 none, 1 in x, 2 in y, 3 both.
    """

    detectors_x: int = 1
    detectors_y: int = 1
    amps_x: int = 1
    amps_y: int = 1
    flips: tuple[int, ...] = (0,)

    @property
    def amps(self) -> int:
        return self.amps_x * self.amps_y


@dataclass(frozen=True)
class Roi:
    """A window, columns and rows from 1, last ones included, unbinned, counted from each amplifier's own corner."""

    first_col: int
    last_col: int
    first_row: int
    last_row: int
    col_bin: int = 1
    row_bin: int = 1


@dataclass(frozen=True)
class AmpWindow:
    """What one amplifier reads, the same for all; columns (or rows) in the order of reading.

    Attributes:
        skip: unbinned pixels skipped before. underscan: binned. data: binned. post_skip: unbinned. overscan: binned.
        binning: pixels that make one.
    """

    skip: int
    underscan: int
    data: int
    post_skip: int
    overscan: int
    binning: int

    @property
    def read(self) -> int:
        """Pixels of the image along this axis."""
        return self.underscan + self.data + self.overscan


@dataclass(frozen=True)
class Geometry:
    """All that a controller needs to read an image, and all that a file says of it.

    Attributes:
        columns, rows: of each amplifier. Its image has the axes (y: rows.read, x: columns.read).
    """

    format: Format
    focal_plane: FocalPlane
    roi: Roi
    columns: AmpWindow
    rows: AmpWindow

    @property
    def amps(self) -> int:
        return self.focal_plane.amps

    @property
    def pixels(self) -> int:
        """Of all amplifiers."""
        return self.amps * self.columns.read * self.rows.read
