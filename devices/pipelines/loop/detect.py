"""Loops in single pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.loop.result import LoopResult
from devices.pipelines.loop.settings import LoopSettings


def detect(image: NDArray[np.uint8], settings: LoopSettings | None = None) -> LoopResult:
    """The loop in a picture.

    Args:
        image: grey (row, column) or colours (row, column, 3), at least 64 pixels high and wide.
        settings: the usual ones if left out.
    """
    raise NotImplementedError
