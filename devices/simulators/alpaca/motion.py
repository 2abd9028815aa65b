"""Something that moves at one speed from where it is to where it is sent."""

from __future__ import annotations

import time


class Motion:
    """A place that changes with time.

    Args:
        speed: per second, in the unit of the place.
        around: the place is an angle on a circle of so much; 0: a line. It goes the shorter way.
    """

    def __init__(self, place: float, speed: float, around: float = 0.0) -> None:
        self.speed, self.around = speed, around
        self._from = self._to = place
        self._began = time.monotonic()

    @property
    def is_moving(self) -> bool:
        return abs(self._to - self._from) > self.speed * (time.monotonic() - self._began)

    @property
    def place(self) -> float:
        way = self._to - self._from
        done = self.speed * (time.monotonic() - self._began)
        place = self._to if abs(way) <= done else self._from + (done if way > 0 else -done)
        return place % self.around if self.around else place

    def go(self, place: float) -> None:
        begin = self.place
        way = place - begin
        if self.around:
            way = (way + self.around / 2) % self.around - self.around / 2
        self._from, self._to, self._began = begin, begin + way, time.monotonic()

    def halt(self) -> None:
        self._from = self._to = self.place

    def set(self, place: float) -> None:
        """Be there at once."""
        self._from = self._to = place
