"""Memory for the frames of a controller, used again when nobody has the frame any more."""

from __future__ import annotations

import sys
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: The frame that comes, and the one that is still looked at.
MOST: Final = 2
#: Who refers to memory that is free: the list of it, the variable of the loop, and the count's own argument.
_FREE: Final = 3


class FrameMemory:
    """Linux clears each page of new memory at its first use, which takes as long as the pixels themselves."""

    def __init__(self) -> None:
        self._held: list[NDArray[np.uint8]] = []

    def take(self, size: int) -> NDArray[np.uint8]:
        """So many bytes. They are given to nobody else as long as any array refers to them."""
        self._held = [each for each in self._held if each.size == size]
        for memory in self._held:
            if sys.getrefcount(memory) == _FREE:
                return memory
        memory = np.empty(size, np.uint8)
        if len(self._held) < MOST:
            self._held.append(memory)
        return memory
