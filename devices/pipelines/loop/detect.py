"""Loops in single pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from devices.pipelines.loop import classical
from devices.pipelines.loop.edges import edges
from devices.pipelines.loop.result import LoopResult
from devices.pipelines.loop.settings import LoopSettings
from devices.pipelines.loop.sighting import Sighting
from devices.pipelines.loop.view import grey_image

#: Smaller pictures are refused, pixels.
LEAST_SIZE = 64
USUAL = LoopSettings()


def detect(image: NDArray[np.uint8], settings: LoopSettings = USUAL) -> LoopResult:
    """The loop in a picture.

    Args:
        image: grey (row, column) or colours (row, column, 3), at least 64 pixels high and wide.
        settings: how to look.
    Raises:
        ValueError: the picture has another shape, or other numbers than uint8.
    """
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise ValueError(f"a picture of {image.dtype} {image.shape} is neither uint8 (row, column) nor with 3 colours")
    rows, columns = image.shape[:2]
    if min(rows, columns) < LEAST_SIZE:
        raise ValueError(f"a picture of {columns} x {rows} pixels is smaller than {LEAST_SIZE} x {LEAST_SIZE}")
    mirrored = settings.pin_side == "right"
    picture = grey_image(image[:, ::-1] if mirrored else image)
    seen = _finder(settings.finder)(picture)
    if seen.is_loop and seen.tip[0] > columns - 2.0:
        seen = replace(seen, kind="cut")
    result = seen.result(columns, rows, settings.least_score)
    outline, fiber = edges(picture, seen)
    result = replace(result, edges=outline, fiber_width=fiber / rows if result.found else 0.0)
    return result.mirrored() if mirrored else result


def _finder(name: str) -> Callable[[Image.Image], Sighting]:
    if name == "classical" or (name == "auto" and not _has_torch()):
        return classical.find
    # Only here: the import takes seconds.
    from devices.pipelines.loop import look

    return look.find


@cache
def _has_torch() -> bool:
    return find_spec("torch") is not None
