"""Parts of the picture of all amplifiers, without making the whole picture: that would be another image in memory.

Columns and rows are ranges of pixels of the picture as it is shown, from 0, without underscan and overscan.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.ccd.deinterlace import oriented, trimmed
from devices.pipelines.ccd.detector import Geometry

#: Mean, median and standard deviation are of so many pixels, evenly spread: they are good to a few thousandths of it.
SAMPLE: Final = 100_000


class Statistics(NamedTuple):
    """Of pixels, adu."""

    mean: float
    median: float
    standard_deviation: float
    minimum: float
    maximum: float


def picked(amps: NDArray[Any], geometry: Geometry, columns: range, rows: range) -> NDArray[Any]:
    """These pixels of the picture, (y, x), the lowest row first.

    Args:
        amps: (amp, y, x) in the order of reading.
    """
    out = np.empty((len(rows), len(columns)), amps.dtype)
    for place, view in views(amps, geometry, columns, rows):
        out[place] = view
    return out


def region_statistics(amps: NDArray[Any], geometry: Geometry, columns: range, rows: range) -> Statistics:
    """Statistics of a part of the picture; minimum and maximum are of all its pixels.

    Raises:
        ValueError: there are no pixels.
    """
    parts = [view for _, view in views(amps, geometry, columns, rows)]
    if not parts:
        raise ValueError("there are no pixels")
    step = max(1, int(np.sqrt(len(columns) * len(rows) / SAMPLE)))
    sample = picked(amps, geometry, columns[::step], rows[::step])
    return Statistics(
        float(sample.mean()),
        float(np.median(sample)),
        float(sample.std(dtype=np.float64)),
        float(min(part.min() for part in parts)),
        float(max(part.max() for part in parts)),
    )


def views(
    amps: NDArray[Any], geometry: Geometry, columns: range, rows: range
) -> Iterator[tuple[tuple[slice, slice], NDArray[Any]]]:
    """What each amplifier has of these pixels, as views, and where that is among them."""
    data = trimmed(amps, geometry)
    height, width = data.shape[1:]
    for amp, image in enumerate(oriented(data, geometry)):
        x, y = geometry.focal_plane.position(amp)
        down, across = _share(rows, y * height, height), _share(columns, x * width, width)
        if down is not None and across is not None:
            yield (down[0], across[0]), image[down[1], across[1]]


def _share(wanted: range, begin: int, size: int) -> tuple[slice, slice] | None:
    """Which of the pixels lie within an amplifier, and where on it."""
    low = max(0, -((wanted.start - begin) // wanted.step))
    high = min(len(wanted), -((wanted.start - begin - size) // wanted.step))
    if low >= high:
        return None
    return slice(low, high), slice(wanted[low] - begin, wanted[high - 1] - begin + 1, wanted.step)
