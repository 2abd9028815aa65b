"""Frames with their number and the time of their publication in the first pixels, and the number in the last."""

from __future__ import annotations

import asyncio
import functools
import struct
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Frame = np.ndarray[Any, Any]

SHAPES: dict[str, tuple[tuple[int, int], type[Any]]] = {
    "small": ((1043, 981), np.uint8),  # of a SAXS detector, 1 MB
    "large": ((4096, 4096), np.uint16),  # of a CCD, 32 MB
}
RINGS = {"small": 64, "large": 6}  # frames in memory, as a frame grabber has them

_HEAD = struct.Struct("<Qd")
_TAIL = struct.Struct("<Q")


@functools.cache
def ring(name: str) -> list[Frame]:
    """Frames of one size with noise, to be stamped one after the other."""
    shape, dtype = SHAPES[name]
    noise = np.random.default_rng(1).integers(90, 110, shape, dtype)
    return [noise.copy() for _ in range(RINGS[name])]


def stamp(frame: Frame, number: int) -> None:
    """Write number and present time into a frame."""
    pixels = memoryview(frame.reshape(-1).view(np.uint8))
    _HEAD.pack_into(pixels, 0, number, time.time())
    _TAIL.pack_into(pixels, len(pixels) - _TAIL.size, number)


def read_stamp(pixels: Frame) -> tuple[int, float]:
    """The number of a frame, and when it was published, s since 1970; fails when it is of two frames."""
    content = memoryview(pixels).cast("B")
    number, published = _HEAD.unpack_from(content, 0)
    (last,) = _TAIL.unpack_from(content, len(content) - _TAIL.size)
    assert last == number, f"a frame begins as number {number} and ends as number {last}"
    return number, published


async def publish_frames(name: str, rate: float, seconds: float, publish: Callable[[Frame], object]) -> int:
    """Publish frames at a steady rate, numbered from 1; returns how many."""
    frames, count = ring(name), int(rate * seconds)
    begun = time.perf_counter()
    for number in range(1, count + 1):
        frame = frames[number % len(frames)]
        stamp(frame, number)
        publish(frame)
        await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
    return count
