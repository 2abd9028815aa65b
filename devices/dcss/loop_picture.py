"""One picture of the sample camera, examined in a process of its own: unpacked, searched, drawn for the panel."""

from __future__ import annotations

import io
import multiprocessing
import os
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from devices.core.errors import BadValueError
from devices.pipelines.loop.detect import detect
from devices.pipelines.loop.result import LoopResult
from devices.pipelines.loop.settings import LoopSettings

#: Larger pictures are no camera's of a goniometer, and would cost seconds, pixels.
MOST_PIXELS: Final = 25_000_000
BOX: Final = (255, 220, 0)
TIP: Final = (255, 40, 40)
PIN: Final = (0, 200, 255)

if multiprocessing.parent_process() is not None:
    # There is a process for each picture at a time: threads within would but wait for one another. torch comes later.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# Two threads that unpack their first pictures at the same time would find half of the formats otherwise.
Image.preinit()


@dataclass(frozen=True)
class Examined:
    """What a picture shows.

    Attributes:
        rows, columns: size of the picture, pixels.
        picture: the picture reduced for eyes, (row, column, 3), and ``overlay`` the same with box, tip and end of the
            pin drawn in; None if not asked for.
    """

    result: LoopResult
    rows: int
    columns: int
    picture: NDArray[np.uint8] | None = None
    overlay: NDArray[np.uint8] | None = None


def unpack(packed: bytes) -> NDArray[np.uint8]:
    """The pixels of a JPEG or PNG, (row, column, 3).

    Raises:
        BadValueError: it is damaged, or too large.
    """
    try:
        with Image.open(io.BytesIO(packed), formats=("JPEG", "PNG")) as image:
            if image.width * image.height > MOST_PIXELS:
                raise BadValueError(f"image of {image.width} x {image.height} pixels has more than {MOST_PIXELS}")
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadValueError(f"image of {len(packed)} byte cannot be unpacked: {error}") from None


def examine(
    packed: bytes, settings: LoopSettings, shown: tuple[int, int] | None = None, mask: bytes | None = None
) -> Examined:
    """Look for the loop in a picture.

    Args:
        packed: JPEG or PNG.
        shown: largest rows and columns of what is drawn for eyes; None: nothing is drawn.
        mask: a picture without a sample; what is the same in both is taken out.
    Raises:
        BadValueError: it cannot be unpacked, or the mask has another size.
    """
    image = unpack(packed)
    result = detect(image if mask is None else _without(image, unpack(mask)), settings)
    return drawn(image, result, shown)


def draw(packed: bytes, result: LoopResult, shown: tuple[int, int] | None) -> Examined:
    """The same for a picture that something else has examined."""
    return drawn(unpack(packed), result, shown)


def drawn(image: NDArray[np.uint8], result: LoopResult, shown: tuple[int, int] | None) -> Examined:
    """A result with its picture for eyes."""
    rows, columns = image.shape[:2]
    if shown is None:
        return Examined(result, rows, columns)
    small = Image.fromarray(image)
    small.thumbnail((shown[1], shown[0]), Image.Resampling.BILINEAR)
    picture = np.asarray(small)
    canvas = small.copy()
    _draw(ImageDraw.Draw(canvas), result, *canvas.size)
    return Examined(result, rows, columns, picture, np.asarray(canvas))


def _draw(pen: ImageDraw.ImageDraw, result: LoopResult, width: int, height: int) -> None:
    if result.pin_max_y > result.pin_min_y:
        x = result.pin_base_x * width
        _line(pen, (x, result.pin_min_y * height, x, result.pin_max_y * height), PIN)
    if not result.found:
        return
    left, right = result.box_min_x * width, result.box_max_x * width
    top, bottom = result.box_min_y * height, result.box_max_y * height
    for line in ((left, top, right, top), (right, top, right, bottom), (right, bottom, left, bottom)):
        _line(pen, line, BOX)
    _line(pen, (left, bottom, left, top), BOX)
    x, y, arm = result.tip_x * width, result.tip_y * height, max(6.0, height / 50)
    _line(pen, (x - arm, y, x + arm, y), TIP)
    _line(pen, (x, y - arm, x, y + arm), TIP)


def _line(pen: ImageDraw.ImageDraw, ends: tuple[float, float, float, float], colour: tuple[int, int, int]) -> None:
    """Coloured on black: panels that show brightness only show it on any ground."""
    pen.line(ends, fill=(0, 0, 0), width=4)
    pen.line(ends, fill=colour, width=2)


def _without(image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if mask.shape != image.shape:
        raise BadValueError(f"the mask has the shape {mask.shape[:2]}, the picture {image.shape[:2]}")
    light = np.maximum(mask.astype(np.float32), 1.0)
    found: NDArray[np.uint8] = np.clip(image * (np.median(light) / light), 0, 255).astype(np.uint8)
    return found
