"""What the networks see of a picture: the whole, made small, and the loop's surroundings."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: Rows and columns of the close view.
CLOSE: Final = (48, 72)
#: Pixels of the view of the whole, about.
WHOLE: Final = 120 * 176


class Window(NamedTuple):
    """A part of a picture, pixels; it may reach over the edge."""

    x: float
    y: float
    width: float
    height: float

    @classmethod
    def around(cls, box: tuple[float, float, float, float]) -> Window:
        """What the close view shows of a loop in a box of min x, max x, min y, max y."""
        columns_per_row = CLOSE[1] / CLOSE[0]
        width = 1.6 * max(box[1] - box[0], (box[3] - box[2]) * columns_per_row, 24.0)
        height = width / columns_per_row
        return cls((box[0] + box[1] - width) / 2, (box[2] + box[3] - height) / 2, width, height)


def grey_image(image: NDArray[np.uint8]) -> Image.Image:
    """A picture of one byte per pixel, from grey (row, column) or colours (row, column, 3)."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    return picture if picture.mode == "L" else picture.convert("L")


def whole_view(picture: Image.Image) -> NDArray[np.float32]:
    """All of it, (row, column); rows and columns are multiples of 8, its shape is about kept."""
    scale = (WHOLE / (picture.width * picture.height)) ** 0.5
    columns, rows = (max(8 * round(length * scale / 8), 16) for length in picture.size)
    if picture.size == (4 * columns, 4 * rows):
        return _standard(picture.reduce(4))
    return _standard(picture.resize((columns, rows), Image.Resampling.BOX))


def close_view(picture: Image.Image, window: Window) -> NDArray[np.float32]:
    """A window of it, (row, column); beyond the picture's edge the edge goes on."""
    left, top = int(np.floor(window.x)), int(np.floor(window.y))
    right, bottom = int(np.ceil(window.x + window.width)) + 1, int(np.ceil(window.y + window.height)) + 1
    inside = picture.crop((max(left, 0), max(top, 0), min(right, picture.width), min(bottom, picture.height)))
    if inside.size != (right - left, bottom - top):
        before = max(-top, 0), max(-left, 0)
        after = max(bottom - picture.height, 0), max(right - picture.width, 0)
        padding = tuple(zip(before, after, strict=True))
        inside = Image.fromarray(np.pad(np.asarray(inside), padding, mode="edge"))
    x, y = window.x - left, window.y - top
    box = (x, y, x + window.width, y + window.height)
    return _standard(inside.resize(CLOSE[::-1], Image.Resampling.BILINEAR, box=box))


def _standard(picture: Image.Image) -> NDArray[np.float32]:
    """Grey values about 0, as multiples of their mean."""
    grey = np.asarray(picture, np.float32)
    return grey * np.float32(4.0 / max(float(grey.mean()), 1.0)) - np.float32(4.0)
