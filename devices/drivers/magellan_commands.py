"""The words of a Magellan (OCIW gcam) controller beyond those of every controller server."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import ProtocolError
from devices.pipelines.ccd.detector import Format, Roi

#: A program goes to this board; the server does not look at the number.
BOARD: Final = 2
INTERFACE: Final = "mag1"
#: Counts of the temperature are signed numbers of so many bits.
TEMPERATURE_BITS: Final = 14
#: Counts at 0 C, and Celsius of one count.
ZERO_COUNTS: Final = 902
CELSIUS_OF_COUNT: Final = -26.0 / 1164.0
#: A sensor that is not there reads warmer than this, Celsius.
HIGHEST_CELSIUS: Final = 100.0


class Pattern(IntEnum):
    """What the FPGA can fill the image buffer with, for a look at the way of the data."""

    CONSTANT = 0
    RAMP = 1
    COLUMN_RAMP = 2
    RANDOM = 3


def set_format(format: Format) -> str:
    """Pixels of the whole detector, its prescan and its overscan."""
    numbers = (
        format.columns,
        format.serial_predark,
        format.serial_underscan,
        format.serial_overscan,
        format.rows,
        format.parallel_predark,
        format.parallel_underscan,
        format.parallel_overscan,
        format.frame_transfer,
    )
    return f"SetFormat {' '.join(map(str, numbers))}"


def set_roi(roi: Roi) -> str:
    """The window and the binning."""
    return f"SetRoi {roi.first_col} {roi.last_col} {roi.first_row} {roi.last_row} {roi.col_bin} {roi.row_bin}"


def magio(what: str, *parameters: int) -> str:
    """A command for the DSP or the FPGA; those without a parameter take 0."""
    return f"MagIO {what} {' '.join(map(str, parameters or (0,)))}"


def celsius(counts: int) -> float:
    """The temperature that counts of gcam_get_temp mean; NaN: there is no sensor.

    Raises:
        ProtocolError: they are no number of 14 bits.
    """
    if not 0 <= counts < 1 << TEMPERATURE_BITS:
        raise ProtocolError(f"gcam_get_temp = {counts} is outside [0, {(1 << TEMPERATURE_BITS) - 1}]")
    signed = counts - (1 << TEMPERATURE_BITS if counts >> (TEMPERATURE_BITS - 1) else 0)
    value = (signed - ZERO_COUNTS) * CELSIUS_OF_COUNT
    return value if value <= HIGHEST_CELSIUS else math.nan


def pattern_of(pattern: Pattern, value: int, pixels: int, columns: int) -> NDArray[np.uint16] | None:
    """What the image buffer holds after `fillbuffer`, uint16, (pixels,); None: nobody knows.

    Args:
        columns: pixels of a row of the buffer, of all amplifiers.
    """
    numbers = np.arange(pixels, dtype=np.int64)
    match pattern:
        case Pattern.CONSTANT:
            return np.full(pixels, value, np.uint16)
        case Pattern.RAMP:
            return numbers.astype(np.uint16)
        case Pattern.COLUMN_RAMP:
            return (numbers % columns).astype(np.uint16)
        case Pattern.RANDOM:
            return None
