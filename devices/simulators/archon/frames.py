"""The frame buffers of the simulated Archon, kept as they go over the wire."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 1024
HEAD = 4


class FrameBuffer:
    """One buffer.

    Attributes:
        framed: uint8, (blocks, 4 + 1024): each block with room for its head, so that it is sent without another copy.
    """

    def __init__(self, number: int, base: int) -> None:
        self.number = number
        self.base = base
        self.frame = 0
        self.complete = False
        self.sample = 0
        self.width = self.height = 0
        self.pixels = self.lines = 0
        self.timestamp = self.rising = self.falling = 0
        self.mode = 0
        self.framed = np.zeros((0, BLOCK + HEAD), np.uint8)

    def begin(self, frame: int, height: int, width: int, sample: int, mode: int) -> None:
        """A new frame is going to be written here."""
        self.frame, self.height, self.width, self.sample, self.mode = frame, height, width, sample, mode
        self.pixels = self.lines = 0
        self.complete = False

    @property
    def status(self) -> str:
        n = self.number
        values = {
            "SAMPLE": self.sample,
            "COMPLETE": int(self.complete),
            "MODE": self.mode,
            "BASE": self.base,
            "FRAME": self.frame,
            "WIDTH": self.width,
            "HEIGHT": self.height,
            "PIXELS": self.pixels,
            "LINES": self.lines,
            "RAWBLOCKS": 0,
            "RAWLINES": 0,
            "RAWOFFSET": 0,
            "TIMESTAMP": f"{self.timestamp:016X}",
            "RETIMESTAMP": f"{self.rising:016X}",
            "FETIMESTAMP": f"{self.falling:016X}",
        }
        return " ".join(f"BUF{n}{key}={value}" for key, value in values.items())


def frame_of(taps: NDArray[np.uint16], reversed_taps: list[bool], mode: int, wide: bool) -> NDArray[Any]:
    """Lay taps side by side as the controller does.

    Args:
        taps: (tap, line, pixel), in the order of reading.
        reversed_taps: their pixels go from right to left.
        mode: 0 lines from the top; 1 from the bottom; 2 the first half of the taps from the top, the others from the
            bottom.
        wide: samples of 32 bits.
    Returns:
        (height, width), uint16 or uint32.
    """
    count, lines, pixels = taps.shape
    across = count // 2 if mode == 2 else count
    frame = np.empty((lines * (2 if mode == 2 else 1), across, pixels), np.uint32 if wide else np.uint16)
    for tap in range(count):
        from_bottom = mode == 1 or (mode == 2 and tap >= across)
        part = taps[tap, :: -1 if from_bottom else 1, :: -1 if reversed_taps[tap] else 1]
        frame[lines if mode == 2 and tap >= across else 0 :, tap % across][:lines] = part
    return frame.reshape(frame.shape[0], across * pixels)


def framed(pixels: NDArray[np.uint16] | NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Pixels in blocks, with room for the head of each: (blocks, 4 + 1024), the last one filled up with zeros."""
    data = pixels.reshape(-1).view(np.uint8)
    whole, rest = divmod(data.size, BLOCK)
    blocks = np.zeros((whole + (rest > 0), BLOCK + HEAD), np.uint8)
    blocks[:whole, HEAD:] = data[: whole * BLOCK].reshape(whole, BLOCK)
    if rest:
        blocks[whole, HEAD : HEAD + rest] = data[whole * BLOCK :]
    return blocks


class FrameBuffers:
    """Three buffers, or two of twice the size (BIGBUF)."""

    def __init__(self) -> None:
        self.locked = 0
        self.writing = 0
        self.frame = 0
        self.buffers: list[FrameBuffer] = []
        self.divide(False)

    def divide(self, big: bool) -> None:
        """Give up what is in them, if their number changes."""
        count = 2 if big else 3
        if len(self.buffers) != count:
            size = 0x6000_0000 // count
            self.buffers = [FrameBuffer(n + 1, 0xA000_0000 + n * size) for n in range(count)]
            self.locked = self.writing = 0

    def next(self) -> FrameBuffer:
        """Where the next frame goes: after the one before, not into one that is locked."""
        count = len(self.buffers)
        order = [(self.writing + step) % count for step in range(count)]
        found = next(self.buffers[n] for n in order if n + 1 != self.locked)
        self.writing = found.number
        self.frame += 1
        return found

    def blocks(self, address: int, count: int) -> NDArray[np.uint8]:
        """(count, 4 + 1024) at an address; zeros where no frame is."""
        for buffer in self.buffers:
            first = (address - buffer.base) // BLOCK
            if first >= 0 and (address - buffer.base) % BLOCK == 0 and first + count <= buffer.framed.shape[0]:
                return buffer.framed[first : first + count]
        return np.zeros((count, BLOCK + HEAD), np.uint8)

    def status(self, ticks: int) -> str:
        """Answer of FRAME."""
        head = f"TIMER={ticks:016X} RBUF={self.locked} WBUF={self.writing}"
        return " ".join([head, *(buffer.status for buffer in self.buffers)])
