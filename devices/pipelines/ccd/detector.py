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
        flips: of each amplifier (azcam's amp_cfg): 0 none, 1 in x, 2 in y, 3 both.
        positions: column and row of each amplifier in the mosaic, from 1 (azcam's ext_position); empty: row by row.
    """

    detectors_x: int = 1
    detectors_y: int = 1
    amps_x: int = 1
    amps_y: int = 1
    flips: tuple[int, ...] = (0,)
    positions: tuple[tuple[int, int], ...] = ()

    @property
    def amps(self) -> int:
        return self.amps_x * self.amps_y

    def position(self, amp: int) -> tuple[int, int]:
        """Column and row of an amplifier in the mosaic, from 0; `amp` is from 0, too."""
        if self.positions:
            x, y = self.positions[amp]
            return x - 1, y - 1
        return amp % self.amps_x, amp // self.amps_x

    def detector(self, amp: int) -> tuple[int, int]:
        """Column and row of the amplifier's detector in the mosaic, from 0."""
        x, y = self.position(amp)
        return x * self.detectors_x // self.amps_x, y * self.detectors_y // self.amps_y

    def is_flipped(self, amp: int) -> tuple[bool, bool]:
        """Whether an amplifier is read from the high end in x, in y."""
        return bool(self.flips[amp] & 1), bool(self.flips[amp] & 2)


@dataclass(frozen=True)
class Roi:
    """A window, columns and rows from 1, last ones included, unbinned; symmetric about the amplifiers, as azcam has it.

    First ones are counted from each amplifier's own corner, last ones over the whole focal plane: what is left between
    is shared by the amplifiers of a detector.
    """

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
        skip: unbinned pixels skipped before the data, behind the underscan; those of the predark, too, when there is no
            underscan. underscan: binned. data: binned. post_skip: unbinned. overscan: binned.
        binning: pixels that make one.
        pre_skip: unbinned pixels of the predark skipped before the underscan; 0 when there is none.
    """

    skip: int
    underscan: int
    data: int
    post_skip: int
    overscan: int
    binning: int
    pre_skip: int = 0

    @property
    def read(self) -> int:
        """Pixels of the image along this axis."""
        return self.underscan + self.data + self.overscan

    @property
    def clocked(self) -> int:
        """Unbinned pixels that are moved, skipped ones included."""
        return self.pre_skip + self.skip + self.post_skip + self.read * self.binning


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
    def amp_shape(self) -> tuple[int, int, int]:
        """Of the amplifiers' images together: (amp, y, x)."""
        return self.amps, self.rows.read, self.columns.read

    @property
    def visible_columns(self) -> int:
        """Unbinned columns that an amplifier sees light with."""
        return self.format.columns // self.focal_plane.amps_x

    @property
    def visible_rows(self) -> int:
        """Unbinned rows that an amplifier sees light with."""
        return self.format.rows // self.focal_plane.amps_y

    @property
    def pixels(self) -> int:
        """Of all amplifiers."""
        return self.amps * self.columns.read * self.rows.read
