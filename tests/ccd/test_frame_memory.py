"""Memory of frames: used again, and never under the eyes of somebody."""

from __future__ import annotations

import numpy as np

from devices.ccd.frame_memory import FrameMemory


def address(memory: np.ndarray) -> int:
    return int(memory.__array_interface__["data"][0])


def test_memory_is_used_again_when_nobody_has_its_frame() -> None:
    pool = FrameMemory()
    first = pool.take(6000)
    place = address(first)
    image = first[:5000].view(np.uint16).reshape(50, 50)
    part = np.moveaxis(image.reshape(50, 2, 25), 1, 0)[1]
    del first, image
    # A part of the frame is all that is left of it; that is enough.
    second = pool.take(6000)
    assert address(second) != place
    del part
    third = pool.take(6000)
    assert address(third) == place
    # Both are out: a third one is new, and is not kept.
    fourth = pool.take(6000)
    assert address(fourth) not in (address(second), address(third))


def test_frames_of_another_size_get_other_memory() -> None:
    pool = FrameMemory()
    for size in (6000, 4000, 6000):
        assert pool.take(size).nbytes == size
