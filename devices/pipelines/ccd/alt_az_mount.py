"""A telescope on an alt-azimuth mount: slews that take their time, tracking, stops."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from devices.pipelines.ccd.sky_place import Site, offset_from, place_at, seen_from


class AltAzMount:
    """Two axes that speed up, run and slow down together; the azimuth goes the short way round.

    Args:
        rate: the greatest speed of an axis, deg/s.
        acceleration: of both axes, deg/s2.
        clock: what the time is, Unix s.
    Attributes:
        ends: when the newest slew is over, Unix s.
    """

    def __init__(
        self,
        site: Site,
        rate: float = 4.0,
        acceleration: float = 2.0,
        *,
        azimuth: float = 180.0,
        altitude: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.site, self.rate, self.acceleration, self._clock = site, rate, acceleration, clock
        self._begin = (azimuth, altitude)
        self._began = self.ends = clock()
        #: Where it ends: a place of the sky while it tracks, otherwise one above the ground.
        self._rest = (azimuth, altitude)
        self._target: tuple[float, float] | None = place_at(site, azimuth, altitude, self._began)

    @property
    def is_tracking(self) -> bool:
        """Whether it follows the sky, or will when the slew is over."""
        return self._target is not None

    @property
    def is_slewing(self) -> bool:
        return self._clock() < self.ends

    @property
    def horizontal(self) -> tuple[float, float]:
        """Azimuth and altitude now, deg."""
        return self._horizontal(self._clock())

    @property
    def equatorial(self) -> tuple[float, float]:
        """Right ascension, h, and declination, deg, J2000, now."""
        now = self._clock()
        if self._target is not None and now >= self.ends:
            return self._target
        return place_at(self.site, *self._horizontal(now), now)

    def slew(self, hours: float, degrees: float) -> None:
        """Go to a place of the sky, J2000, and follow it."""
        self._go(target=(hours % 24.0, degrees))

    def go(self, azimuth: float, altitude: float) -> None:
        """Go to a place above the ground, and stay there."""
        self._go(rest=(azimuth % 360.0, altitude))

    def stop(self) -> None:
        """Stop here; what tracked, tracks on from here."""
        self.track(self.is_tracking)

    def track(self, on: bool) -> None:
        """Follow the sky from here, or stand still."""
        now = self._clock()
        self._target, self._rest = self.equatorial if on else None, self._horizontal(now)
        self.ends = now

    def nudge(self, hours: float, degrees: float) -> None:
        """Move what is tracked by a little, at once."""
        if self._target is not None:
            ascension, declination = self._target
            self._target = (ascension + hours) % 24.0, min(90.0, max(-90.0, declination + degrees))

    def offset(self, east_arcsec: float, north_arcsec: float) -> None:
        """Go by so much on the sky from what is tracked."""
        self.slew(*offset_from(*self.equatorial, east_arcsec, north_arcsec))

    def _go(self, target: tuple[float, float] | None = None, rest: tuple[float, float] = (0.0, 0.0)) -> None:
        now = self._clock()
        self._begin, self._began = self._horizontal(now), now
        self._target, self._rest = target, rest
        # The sky turns while it slews: where it ends depends on when.
        seconds = 0.0
        for _ in range(6):
            seconds = self._seconds_of(_longest(self._begin, self._aim(now + seconds)))
        self.ends = now + seconds

    def _aim(self, unix_seconds: float) -> tuple[float, float]:
        if self._target is None:
            return self._rest
        place = seen_from(self.site, *self._target, unix_seconds)
        return place.azimuth_deg, place.altitude_deg

    def _horizontal(self, now: float) -> tuple[float, float]:
        if now >= self.ends:
            return self._aim(now)
        end = self._aim(self.ends)
        path = _longest(self._begin, end)
        part = self._travelled(path, now - self._began, self.ends - self._began) / path if path else 1.0
        azimuth = self._begin[0] + part * _short_way(self._begin[0], end[0])
        return azimuth % 360.0, self._begin[1] + part * (end[1] - self._begin[1])

    def _seconds_of(self, degrees: float) -> float:
        if degrees <= self.rate**2 / self.acceleration:
            return 2.0 * math.sqrt(degrees / self.acceleration)
        return degrees / self.rate + self.rate / self.acceleration

    def _travelled(self, path: float, seconds: float, total: float) -> float:
        """How much of a path is done after some time; the second half mirrors the first one."""
        if seconds > total / 2.0:
            return path - self._travelled(path, total - seconds, total)
        ramp = min(seconds, self.rate / self.acceleration)
        return 0.5 * self.acceleration * ramp**2 + self.rate * (seconds - ramp)


def _short_way(begin: float, end: float) -> float:
    return (end - begin + 180.0) % 360.0 - 180.0


def _longest(begin: tuple[float, float], end: tuple[float, float]) -> float:
    return max(abs(_short_way(begin[0], end[0])), abs(end[1] - begin[1]))
