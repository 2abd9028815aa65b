"""How the pixels of an image lie in its rows and columns: one value each, or three colours.

A Tango image has rows and columns only. A colour image is three times as wide (RGB1, RGB2) or as high (RGB3), and its
Reading names the layout. The names are those of areaDetector, whose dimension 0 is the fastest one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from devices.core.errors import BadValueError
from servers.epics.records import Reading

#: areaDetector's ColorMode.
COLOR_MODES = {"": 0, "RGB1": 2, "RGB2": 3, "RGB3": 4}


def check(image: np.ndarray[Any, Any], layout: str) -> None:
    """Do nothing when an image (rows, columns) can have this layout.

    Raises:
        BadValueError: its columns (RGB3: its rows) are no multiple of 3.
    """
    axis = 0 if layout == "RGB3" else 1
    if layout and image.shape[axis] % 3:
        raise BadValueError(f"{image.shape[axis]} {('rows', 'columns')[axis]} are no multiple of 3, {layout} has them")


def size(reading: Reading) -> tuple[int, int]:
    """Rows and columns of pixels."""
    rows, columns = reading.value.shape
    if reading.format == "RGB3":
        return rows // 3, columns
    return rows, columns // (3 if reading.format else 1)


def dimensions(reading: Reading) -> tuple[int, ...]:
    """The sizes as an NTNDArray lists them, the fastest first; the colours are a dimension of 3."""
    rows, columns = size(reading)
    return {
        "": (columns, rows), "RGB1": (3, columns, rows), "RGB2": (columns, 3, rows), "RGB3": (columns, rows, 3)
    }[reading.format]  # fmt: skip
