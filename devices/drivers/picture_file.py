"""Pictures of pixels as PNG files, for eyes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from devices.drivers.new_file import NewFile

#: Of the pixels, so many per cent are darker than black, and brighter than white.
CUT_PERCENT: Final = 0.5
_MOST_SAMPLED: Final = 1_000_000


def save_png(path: Path, pixels: NDArray[Any]) -> None:
    """Save pixels in grey, the first row at the bottom; replaces a file of this name.

    Args:
        pixels: (y, x), the lowest row first.

    Raises:
        StorageError: the disk is full, the folder is not there, and so on.
    """
    step = max(1, int(np.sqrt(pixels.size / _MOST_SAMPLED)))
    low, high = np.percentile(pixels[::step, ::step], (CUT_PERCENT, 100.0 - CUT_PERCENT))
    grey = (pixels[::-1].astype(np.float32) - low) * (255.0 / max(high - low, 1e-9))
    content = io.BytesIO()
    Image.fromarray(np.clip(grey, 0.0, 255.0).astype(np.uint8)).save(content, "PNG")
    with NewFile(path, overwrite=True) as file:
        file.write(content.getbuffer(), 0)
