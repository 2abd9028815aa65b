"""Frames for tests: pixels that tell which frame, row and column they are of, and what a source has published."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np

from devices.daq.frame import Frame
from devices.daq.sources.source import Source
from devices.drivers.pff import Product, RawFrame, Stamp, encode_header, product

START_S = 1721882086  # 2024-07-25T04:34:46Z
LEAP = 37


def stamp(index: int, nsec: int | None = None) -> Stamp:
    """Of frame ``index`` at 1 kHz."""
    second = START_S + index // 1000
    ns = index % 1000 * 1_000_000 + 17 if nsec is None else nsec
    return Stamp(index % 65536, (second + LEAP) % 1024, ns, second, index % 1000 * 1000 + 250)


def raw_frame(index: int, name: str = "img16", quabo: int = 2, nsec: int | None = None) -> RawFrame:
    """A frame whose pixels are all different where they can be, and differ by frame."""
    of = product(name)
    header = encode_header([stamp(index, nsec)] * 4) if of.has_quabos else encode_header([stamp(index, nsec)], quabo)
    return RawFrame(of, header, pixels(index, of))


def pixels(index: int, of: Product) -> bytes:
    rows, columns = of.shape
    values = np.arange(rows * columns, dtype=np.int64) * 7 + index * 31
    return (values % (200 if of.bytes_per_pixel == 1 else 30000)).astype(of.dtype).tobytes()


class Published:
    """What a source has published."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.at: list[float] = []

    def __call__(self, frame: Frame) -> None:
        self.frames.append(frame)
        self.at.append(time.monotonic())

    async def count(self, wanted: int, seconds: float = 10.0) -> list[Frame]:
        """Wait until so many frames have come."""
        await until(lambda: len(self.frames) >= wanted, seconds, lambda: f"{len(self.frames)} of {wanted} frames")
        return self.frames

    def places(self) -> list[tuple[str, int]]:
        return [(frame.file, frame.number) for frame in self.frames]


async def until(condition: Callable[[], Any], seconds: float = 10.0, told: Callable[[], str] = lambda: "") -> None:
    """Wait until a condition holds; fails after so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"after {seconds} s: {told()}"
        await asyncio.sleep(0.002)


@asynccontextmanager
async def running(source: Source) -> AsyncIterator[Source]:
    """A source that runs, from when it misses nothing on."""
    task = asyncio.create_task(source.run())
    try:
        await until(lambda: source.ready.is_set() or task.done())
        if task.done():
            task.result()
        yield source
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
