"""The pictures of the sample camera as they arrive, from whatever brings them."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from devices.core.errors import BadValueError

JPEG: Final = b"\xff\xd8\xff"
PNG: Final = b"\x89PNG\r\n\x1a\n"
#: The rate of pictures is that of the last so many.
RATE_OVER: Final = 30


@dataclass(frozen=True, eq=False)
class CameraFrame:
    """A picture as the camera sent it.

    Attributes:
        sequence: counts from 1 in the order of arrival.
        packed: JPEG or PNG.
        time: of its arrival, Unix time, s. arrived: the same on the loop's clock, s.
    """

    sequence: int
    packed: bytes = field(repr=False)
    time: float
    arrived: float


class TakesFrames(ABC):
    """A device that is given the pictures of a camera."""

    @property
    @abstractmethod
    def frames(self) -> FrameInlet:
        """Where they go."""


class FrameInlet:
    """Numbers the pictures that arrive, keeps the newest and hands each to who listens at that moment.

    Nothing is kept for later listeners: a picture of one rotation never comes up in the next.

    Attributes:
        received, refused: pictures, and what was none. last_refusal: why.
    """

    def __init__(self) -> None:
        self.newest: CameraFrame | None = None
        self.received = self.refused = 0
        self.last_refusal = ""
        self._listeners: list[Callable[[CameraFrame], None]] = []
        self._arrivals: deque[float] = deque(maxlen=RATE_OVER)
        self._arrival = asyncio.Event()

    def take(self, packed: bytes) -> CameraFrame:
        """A picture has arrived: the camera sent it by itself.

        Raises:
            BadValueError: it is neither JPEG nor PNG.
        """
        frame = self.fetched(packed)
        self._arrivals.append(frame.arrived)
        for listener in list(self._listeners):
            listener(frame)
        return frame

    def fetched(self, packed: bytes) -> CameraFrame:
        """A picture that the camera was asked for: it is none of those that listeners wait for.

        Raises:
            BadValueError: it is neither JPEG nor PNG.
        """
        if not packed.startswith((JPEG, PNG)):
            raise self.refuse(f"{len(packed)} byte that begin with {packed[:8]!r} are neither JPEG nor PNG")
        self.received += 1
        frame = CameraFrame(self.received, packed, time.time(), time.monotonic())
        self.newest = frame
        self._arrival.set()
        self._arrival = asyncio.Event()
        return frame

    def refuse(self, why: str) -> BadValueError:
        """Something came that is no picture; the error for who sent it."""
        self.refused += 1
        self.last_refusal = why
        return BadValueError(why)

    def listen(self, listener: Callable[[CameraFrame], None]) -> Callable[[], None]:
        """Hand over every picture from now on; returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    async def next(self) -> CameraFrame:
        """The next picture that arrives."""
        await self._arrival.wait()
        assert self.newest is not None
        return self.newest

    def age(self) -> float:
        """How old the newest picture is, s; infinite before the first."""
        return float("inf") if self.newest is None else time.monotonic() - self.newest.arrived

    def rate(self) -> float:
        """Pictures per second of late; 0 when none came for 2 s."""
        if len(self._arrivals) < 2 or self.age() > 2.0:
            return 0.0
        span = self._arrivals[-1] - self._arrivals[0]
        return (len(self._arrivals) - 1) / span if span > 0.0 else 0.0
