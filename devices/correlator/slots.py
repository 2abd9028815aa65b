"""Where cubes lie while they are received and searched: a fixed number of slots in shared memory."""

from __future__ import annotations

import contextlib
from multiprocessing.shared_memory import SharedMemory

import numpy as np
from numpy.typing import NDArray

from devices.correlator.gulp import GulpShape


class CubeBlock(SharedMemory):
    """Shared memory whose views may live longer: they keep it until they end, and nobody complains."""

    def __del__(self) -> None:
        with contextlib.suppress(OSError, BufferError):
            self.close()


class CubeSlots:
    """``count`` cubes in one block of shared memory, which a search process attaches by name; the memory bound.

    All methods belong to one thread.

    Args:
        shape: of each cube.
        count: how many, receiving and searched together.
    """

    def __init__(self, shape: GulpShape, count: int) -> None:
        self.shape, self.count = shape, count
        self._block = CubeBlock(create=True, size=shape.nbytes * count)
        self._free = list(range(count))

    @property
    def name(self) -> str:
        """Of the block, for `attach`."""
        return self._block.name

    @property
    def free(self) -> int:
        return len(self._free)

    def take(self) -> int | None:
        """A free slot, or None."""
        return self._free.pop(0) if self._free else None

    def release(self, slot: int) -> None:
        """Its cube is needed no more."""
        assert slot not in self._free
        self._free.append(slot)

    def cube(self, slot: int) -> NDArray[np.float32]:
        """The cube of a slot; axes (channel, sample, y, x). It must not outlive `close`."""
        return slot_view(self._block, self.shape, slot)

    def close(self) -> None:
        """Give the memory back; workers that still look into it keep it until they end."""
        with contextlib.suppress(FileNotFoundError):
            self._block.unlink()
        with contextlib.suppress(BufferError):
            self._block.close()


def slot_view(block: SharedMemory, shape: GulpShape, slot: int) -> NDArray[np.float32]:
    """The cube of a slot in an attached block; axes (channel, sample, y, x)."""
    assert block.buf is not None
    count = shape.nbytes // 4
    return np.frombuffer(block.buf, np.float32, count, slot * shape.nbytes).reshape(shape.cube)
