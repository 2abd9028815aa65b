"""Frames of simulated modules: pixels with the times and headers that a recorder would have given them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from devices.drivers.pff import QUABOS, Product, RawFrame, Stamp, encode_header
from devices.drivers.white_rabbit import NANOSECONDS, WRAP_S, leap_seconds
from devices.simulators.daq.pixels import Pixels
from devices.simulators.daq.recording import Recording
from devices.simulators.daq.settings import DaqSettings
from devices.simulators.daq.sky_pixels import SkyPixels

#: From the making of a packet to the recorder's clock.
ON_THE_WAY_NS: Final = 130_000
#: The clocks of quabos of one module agree to so much, ns.
QUABO_NS: Final = (0, 3, 8, 5)
#: So far may frames fall behind; then some are left out, as they are at a recorder that cannot keep up.
BEHIND_NS: Final = NANOSECONDS


class ModuleFrame(NamedTuple):
    """A frame and the module that it is of."""

    module: int
    frame: RawFrame


@dataclass
class _Clock:
    """When the next one of a kind is due, ns since 1970."""

    rate_hz: float
    due_ns: int = 0


def pixels_of(settings: DaqSettings) -> Pixels:
    """The synthetic sky, or what stands in files.

    Raises:
        BadValueError: a file cannot be read. ProtocolError: it holds no frames.
    """
    return Recording(settings) if settings.paths else SkyPixels(settings)


class FrameStream:
    """The frames of all modules, as time goes on.

    Args:
        start_ns: when it begins, ns since 1970.
    Attributes:
        left_out: movie frames for which there was no time.
    """

    def __init__(self, settings: DaqSettings, pixels: Pixels, start_ns: int) -> None:
        self.settings = settings
        self.left_out = 0
        self._pixels = pixels
        self._start_ns = start_ns
        self._count = 0
        self._numbers: dict[tuple[int, int], int] = {}
        self._events = [_Clock(settings.event_rate_hz), _Clock(settings.single_rate_hz * len(settings.modules))]
        for clock in self._events:
            clock.due_ns = start_ns
            self._set_next(clock)

    def due(self, now_ns: int) -> list[ModuleFrame]:
        """The frames that were made since the last call, by time and kind."""
        self._skip(now_ns)
        frames: list[ModuleFrame] = []
        while not self.is_over and self._pixels.movie and (made_ns := self._movie_ns(self._count)) <= now_ns:
            frames += self._movie(self._pixels.movie, made_ns)
            self._count += 1
        for is_shower, clock in zip((True, False), self._events, strict=True):
            while self._pixels.pulse_heights is not None and clock.rate_hz and clock.due_ns <= now_ns:
                frames += self._event(self._pixels.pulse_heights, clock.due_ns, is_shower)
                self._set_next(clock)
        return frames

    @property
    def is_over(self) -> bool:
        """Whether there are as many movie frames as are wanted."""
        return 0 <= self.settings.frame_limit <= self._count - self.left_out // len(self.settings.modules)

    def next_ns(self) -> int:
        """When the next frame is made."""
        due = [clock.due_ns for clock in self._events if clock.rate_hz and self._pixels.pulse_heights is not None]
        if self._pixels.movie is not None:
            due.append(self._movie_ns(self._count))
        return min(due, default=time.time_ns() + NANOSECONDS)

    async def batches(self, at_least_s: float = 0.0) -> AsyncIterator[list[ModuleFrame]]:
        """Frames at their times, without end unless their number is limited.

        Args:
            at_least_s: from one batch to the next.
        """
        renewed = 0.0
        while not self.is_over:
            wait = max((self.next_ns() - time.time_ns()) / NANOSECONDS, at_least_s, 0.0)
            await asyncio.sleep(wait)
            now_ns = time.time_ns()
            if frames := self.due(now_ns):
                yield frames
            if time.monotonic() - renewed > 0.05:
                renewed = time.monotonic()
                self._pixels.renew((now_ns - self._start_ns) / NANOSECONDS)

    def _movie_ns(self, number: int) -> int:
        return self._start_ns + round(number * NANOSECONDS / self.settings.rate_hz)

    def _skip(self, now_ns: int) -> None:
        behind = now_ns - self._movie_ns(self._count)
        if behind > max(BEHIND_NS, 2 * NANOSECONDS / self.settings.rate_hz) and self._pixels.movie is not None:
            skipped = int(behind * self.settings.rate_hz / NANOSECONDS)
            self._count += skipped
            self.left_out += skipped * len(self.settings.modules)
        for clock in self._events:
            if now_ns - clock.due_ns > BEHIND_NS:
                clock.due_ns = now_ns

    def _set_next(self, clock: _Clock) -> None:
        if clock.rate_hz:
            clock.due_ns += max(1, round(self._pixels.next_event_s(clock.rate_hz) * NANOSECONDS))

    def _movie(self, of: Product, made_ns: int) -> list[ModuleFrame]:
        stamps = [stamp(self._count, made_ns + QUABO_NS[quabo]) for quabo in range(QUABOS)]
        header = encode_header(stamps)  # the modules are triggered by the same clock
        return [
            ModuleFrame(module, RawFrame(of, header, self._pixels.image(place, self._count)))
            for place, module in enumerate(self.settings.modules)
        ]

    def _event(self, of: Product, made_ns: int, is_shower: bool) -> list[ModuleFrame]:
        frames = []
        for found in self._pixels.event(is_shower):
            at_ns = made_ns + found.after_ns
            if of.has_quabos:
                header = encode_header(
                    [stamp(self._number(found.module, quabo), at_ns + QUABO_NS[quabo]) for quabo in range(QUABOS)]
                )
            else:
                header = encode_header([stamp(self._number(found.module, found.quabo), at_ns)], found.quabo)
            frames.append(ModuleFrame(self.settings.modules[found.module], RawFrame(of, header, found.pixels)))
        return frames

    def _number(self, module: int, quabo: int) -> int:
        number = self._numbers.get((module, quabo), 0)
        self._numbers[module, quabo] = number + 1
        return number


def stamp(number: int, made_ns: int) -> Stamp:
    """What a recorder notes of a packet that was made at a time, ns since 1970."""
    second, nsec = divmod(made_ns, NANOSECONDS)
    came_s, came_ns = divmod(made_ns + ON_THE_WAY_NS, NANOSECONDS)
    return Stamp(number & 0xFFFF, (second + leap_seconds(second)) % WRAP_S, nsec, came_s, came_ns // 1000)
