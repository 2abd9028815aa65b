"""What a mount answers to the commands of the LX200 protocol."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from devices.core.errors import DiptychError
from devices.drivers.lx200_text import format_degrees, format_hours, parse_degrees, parse_hours
from devices.pipelines.ccd.alt_az_mount import AltAzMount
from devices.pipelines.ccd.sky_place import from_date, of_date, seen_from

#: Speed of guide pulses, arcsec/s: half of the sky's.
GUIDE_RATE: Final = 7.5
#: What the motor of the focus does in a second.
FOCUS_RATE: Final = 100.0
ACK: Final = "\x06"


class Lx200Commands:
    """One mount, in the coordinates of the date; letters behind the colon choose the command.

    Args:
        lowest: altitude below which it goes nowhere, deg.
    Attributes:
        is_long: whether angles are told with seconds; a mount starts without.
    """

    def __init__(
        self, mount: AltAzMount, *, product: str = "LX2001", lowest: float = 0.0, clock: Callable[[], float] = time.time
    ) -> None:
        self.mount = mount
        self.product = product
        self.lowest = lowest
        self.is_long = False
        self.focus = 0.0
        self._clock = clock
        self._target = self._equatorial()
        self._focus_since: tuple[float, float] | None = None
        self._answers: dict[str, Callable[[str], str]] = {
            "GR": lambda _: format_hours(self._equatorial()[0], precise=self.is_long) + "#",
            "GD": lambda _: format_degrees(self._equatorial()[1], precise=self.is_long) + "#",
            "GA": lambda _: format_degrees(mount.horizontal[1], precise=self.is_long) + "#",
            "GZ": lambda _: format_degrees(mount.horizontal[0], precise=self.is_long, digits=3, signed=False) + "#",
            "GS": lambda _: format_hours(self._sidereal()) + "#",
            "Gt": lambda _: format_degrees(mount.site.latitude_deg, precise=False) + "#",
            # Meade counts longitudes to the west.
            "Gg": lambda _: format_degrees(-mount.site.longitude_deg, precise=False, digits=3) + "#",
            # The first mounts of this kind did not know what they are.
            "GVP": lambda _: self.product and self.product + "#",
            "GVN": lambda _: self.product and "4.2g#",
            "D": lambda _: ("\x7f" if mount.is_slewing else "") + "#",
            "U": self._toggle,
            "Sr": self._set_right_ascension,
            "Sd": self._set_declination,
            "MS": self._slew,
            "Mg": self._pulse,
            "CM": self._sync,
            "Q": self._stop,
            "hP": self._park,
            "AA": lambda _: self._track(True),
            "AP": lambda _: self._track(True),
            "AL": lambda _: self._track(False),
            "F+": lambda _: self._run_focus(1.0),
            "F-": lambda _: self._run_focus(-1.0),
            "FQ": lambda _: self._run_focus(0.0),
        }

    def answer(self, command: str) -> str:
        """To a command without its colon and hash, or to ACK; one that is not known is not answered."""
        if command == ACK:
            return "A" if self.mount.is_tracking else "L"
        for length in (3, 2, 1):
            if (found := self._answers.get(command[:length])) is not None:
                return found(command[length:])
        return ""

    def _equatorial(self) -> tuple[float, float]:
        return of_date(*self.mount.equatorial, self._clock())

    def _sidereal(self) -> float:
        return seen_from(self.mount.site, *self.mount.equatorial, self._clock()).sidereal_h

    def _toggle(self, _: str) -> str:
        self.is_long = not self.is_long
        return ""

    def _set_right_ascension(self, text: str) -> str:
        try:
            self._target = parse_hours(text), self._target[1]
        except DiptychError:
            return "0"
        return "1"

    def _set_declination(self, text: str) -> str:
        try:
            degrees = parse_degrees(text)
        except DiptychError:
            return "0"
        if abs(degrees) > 90.0:
            return "0"
        self._target = self._target[0], degrees
        return "1"

    def _slew(self, _: str) -> str:
        target = from_date(*self._target, self._clock())
        if seen_from(self.mount.site, *target, self._clock()).altitude_deg < self.lowest:
            return "1Object Below Horizon   #"
        self.mount.slew(*target)
        return "0"

    def _pulse(self, text: str) -> str:
        way, digits = text[:1], text[1:]
        if way in ("n", "s", "e", "w") and digits.isdecimal():
            step = GUIDE_RATE / 3600.0 * int(digits) / 1000.0
            # A guide rate is one of the axes: less on the sky, the nearer the pole.
            self.mount.nudge(
                {"e": step, "w": -step}.get(way, 0.0) / 15.0, {"n": step, "s": -step}.get(way, 0.0)
            )  # fmt: skip
        return ""

    def _sync(self, _: str) -> str:
        hours, degrees = from_date(*self._target, self._clock())
        actual = self.mount.equatorial
        self.mount.nudge(hours - actual[0], degrees - actual[1])
        return "Coordinates     matched.        #"

    def _stop(self, _: str) -> str:
        self.mount.stop()
        return ""

    def _park(self, _: str) -> str:
        self.mount.go(180.0, 0.0)
        return ""

    def _track(self, on: bool) -> str:
        self.mount.track(on)
        return ""

    def _run_focus(self, direction: float) -> str:
        now = self._clock()
        if self._focus_since is not None:
            way, since = self._focus_since
            self.focus += way * FOCUS_RATE * (now - since)
        self._focus_since = (direction, now) if direction else None
        return ""
