"""A geometry in the words of an Archon: keys of its configuration, parameters of its timing script, its frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import NotAllowedError, ProtocolError, RangeError
from devices.drivers.archon_config import ArchonConfiguration, FrameMode
from devices.pipelines.ccd.detector import AmpWindow, Geometry


def check_taps(configuration: ArchonConfiguration, geometry: Geometry) -> None:
    """Raises: RangeError: the configuration reads another number of amplifiers."""
    taps = len(configuration.taps)
    if taps != geometry.amps:
        raise RangeError(f"the focal plane has {geometry.amps} amplifiers, the Archon's configuration {taps} taps")


def frame_keys(geometry: Geometry) -> dict[str, str]:
    """Lines and pixels of each tap in the frame."""
    return {"LINECOUNT": str(geometry.rows.read), "PIXELCOUNT": str(geometry.columns.read)}


def timing_parameters(configuration: ArchonConfiguration, geometry: Geometry) -> dict[str, int]:
    """What the timing script clocks, in unbinned lines and pixels.

    It reads UnderscanLines, skips PreSkipLines, reads Lines, skips PostSkipLines, reads OverscanLines; pixels likewise.
    A script without UnderscanLines reads an underscan as the first of its Lines, where nothing is skipped in between.

    Raises:
        NotAllowedError: the script lacks a parameter that this window needs.
    """
    values: dict[str, int] = {}
    for axis, window in (("Lines", geometry.rows), ("Pixels", geometry.columns)):
        values |= _axis(configuration, axis, window)
    values["VerticalBinning"] = geometry.rows.binning
    values["HorizontalBinning"] = geometry.columns.binning
    for name, value in list(values.items()):
        if configuration.has_parameter(name):
            continue
        if value != (1 if name.endswith("Binning") else 0):
            raise NotAllowedError(f"the timing script has no parameter {name}, which this window wants to be {value}")
        del values[name]
    return values


def in_reading_order(frame: NDArray[Any], configuration: ArchonConfiguration, geometry: Geometry) -> NDArray[Any]:
    """The frame as rows with the taps side by side, each in the order in which it was read: (row, amp, column).

    A view where all taps begin at the left and lines at the top, otherwise a copy.

    Raises:
        ProtocolError: the frame has another shape than was asked for.
    """
    rows, columns, taps = geometry.rows.read, geometry.columns.read, configuration.taps
    mode = configuration.frame_mode
    across = len(taps) // 2 if mode is FrameMode.SPLIT else len(taps)
    wanted = (rows * (2 if mode is FrameMode.SPLIT else 1), across * columns)
    if frame.shape != wanted:
        raise ProtocolError(
            f"the frame has {frame.shape[1]} x {frame.shape[0]} px, not {wanted[1]} x {wanted[0]} px as was asked for"
        )
    parts = frame.reshape(wanted[0], across, columns)
    if mode is FrameMode.TOP and not any(tap.reversed for tap in taps):
        return parts
    out = np.empty((rows, len(taps), columns), frame.dtype)
    for number, tap in enumerate(taps):
        upside_down = mode is FrameMode.BOTTOM or (mode is FrameMode.SPLIT and number >= across)
        half = parts[rows:] if mode is FrameMode.SPLIT and number >= across else parts[:rows]
        out[:, number] = half[:: -1 if upside_down else 1, number % across, :: -1 if tap.reversed else 1]
    return out


def _axis(configuration: ArchonConfiguration, axis: str, window: AmpWindow) -> dict[str, int]:
    under, data = window.underscan * window.binning, window.data * window.binning
    values = {
        f"PostSkip{axis}": window.post_skip,
        f"Overscan{axis}": window.overscan * window.binning,
        f"Underscan{axis}": 0,
    }
    if under and window.skip:
        if window.pre_skip:
            raise NotAllowedError(
                f"{window.pre_skip} {axis.lower()} before the underscan and {window.skip} behind it "
                "cannot both be skipped"
            )
        return values | {f"Underscan{axis}": under, f"PreSkip{axis}": window.skip, axis: data}
    return values | {f"PreSkip{axis}": window.pre_skip + window.skip, axis: under + data}
