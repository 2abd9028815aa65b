"""The telescope that the camera is at: where it points, its focus."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from devices.ccd.header import Entry, Value
from devices.ccd.tool import CcdTool, ToolProperties, settle
from devices.core import Argument, attribute, command, setting
from devices.core.errors import NotAllowedError


class CcdTelescope(CcdTool):
    """What an exposure asks of a telescope; a site's own overrides ``move_...``."""

    header_group = "telescope"

    right_ascension = attribute(float, unit="h", precision=6, limits=(0.0, 24.0), doc="Right ascension, J2000")
    declination = attribute(float, unit="deg", precision=5, limits=(-90.0, 90.0), doc="Declination, J2000")
    focus = attribute(float, precision=2, doc="Position of the secondary's focus")

    @right_ascension.write
    async def write_right_ascension(self, hours: float) -> None:
        await self.move(hours, self.declination.value)
        self.right_ascension.publish(hours % 24.0)

    @declination.write
    async def write_declination(self, degrees: float) -> None:
        await self.move(self.right_ascension.value, degrees)
        self.declination.publish(degrees)

    @focus.write
    async def write_focus(self, position: float) -> None:
        await self.move_focus(position)
        self.focus.publish(position)

    async def move(self, hours: float, degrees: float) -> None:
        """Point to a place; returns when it is there."""
        raise NotAllowedError(f"{self.name} cannot be moved from here")

    async def move_focus(self, position: float) -> None:
        """Move the focus; returns when it is there."""
        raise NotAllowedError(f"{self.name} has no focus")

    @command()
    async def step_focus(self, step: float) -> None:
        """Move the focus by a step."""
        await self.put("focus", self.focus.value + step)

    @command()
    async def point(
        self,
        right_ascension: Annotated[float, Argument(unit="h", limits=(0.0, 24.0))],
        declination: Annotated[float, Argument(unit="deg", limits=(-90.0, 90.0))],
    ) -> None:
        """Point to a place, J2000."""
        await self.move(right_ascension, declination)
        settle(self.right_ascension, right_ascension % 24.0)
        settle(self.declination, declination)


@dataclass(frozen=True)
class SimulatedTelescopeProperties(ToolProperties):
    """Where the simulated telescope stands."""

    longitude: float = setting(-110.7889, doc="Of the site, degrees east", limits=(-180.0, 360.0))
    latitude: float = setting(32.4417, doc="Of the site, degrees north", limits=(-90.0, 90.0))


class SimulatedTelescope(CcdTelescope):
    """A telescope without hardware: it points at once, and tracks."""

    properties_class = SimulatedTelescopeProperties
    properties: SimulatedTelescopeProperties

    def build(self) -> None:
        super().build()
        self.focus.configure(limits=(-100_000.0, 100_000.0))

    async def connect(self) -> None:
        if self.focus.reading.value is None:
            settle(self.right_ascension, 5.5883)
            settle(self.declination, -5.391)
            settle(self.focus, 0.0)

    async def move(self, hours: float, degrees: float) -> None:
        """At once."""

    async def move_focus(self, position: float) -> None:
        """At once."""

    async def entries(self) -> Mapping[str, Entry | tuple[Value, str]]:
        hours, degrees = self.right_ascension.value, self.declination.value
        lst = sidereal_hours(time.time(), self.properties.longitude)
        hour_angle = (lst - hours + 12.0) % 24.0 - 12.0
        found: dict[str, Entry | tuple[Value, str]] = {
            "RA": (sexagesimal(hours, 3), "[h] right ascension"),
            "DEC": (sexagesimal(degrees, 2, signed=True), "[deg] declination"),
            "EQUINOX": (2000.0, "[yr] equinox of RA and DEC"),
            "RADESYS": ("FK5", "frame of RA and DEC"),
            "HA": (sexagesimal(hour_angle, 2, signed=True), "[h] hour angle"),
            "LST-OBS": (sexagesimal(lst, 2), "[h] local mean sidereal time"),
            "TELFOCUS": (self.focus.value, "focus of the telescope"),
        }
        if (airmass := airmass_of(hour_angle, degrees, self.properties.latitude)) is not None:
            found["AIRMASS"] = (round(airmass, 4), "secant of the zenith distance")
        return found


def sexagesimal(value: float, digits: int, *, signed: bool = False) -> str:
    """``05:35:17.880`` of hours or degrees; rounded once, so that no 60 appears."""
    units = round(abs(value) * 3600 * 10**digits)
    seconds, fraction = divmod(units, 10**digits)
    sign = "-" if value < 0 else "+" if signed else ""
    return f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{fraction:0{digits}d}"


def sidereal_hours(unix_seconds: float, longitude: float) -> float:
    """Local mean sidereal time to a second.

    Source:
        *Explanatory Supplement to the Astronomical Almanac*: Greenwich mean sidereal time is 280.46061837 deg at
        J2000.0 and gains 360.98564736629 deg a day.
    """
    days = unix_seconds / 86400.0 + 2440587.5 - 2451545.0
    return (280.46061837 + 360.98564736629 * days + longitude) % 360.0 / 15.0


def airmass_of(hour_angle: float, declination: float, latitude: float) -> float | None:
    """The secant of the zenith distance; None below 5 degrees of altitude, where it means nothing."""
    h, d, p = math.radians(15.0 * hour_angle), math.radians(declination), math.radians(latitude)
    sine = math.sin(p) * math.sin(d) + math.cos(p) * math.cos(d) * math.cos(h)
    return 1.0 / sine if sine > math.sin(math.radians(5.0)) else None
