"""Where a place of the sky stands above a site: altitude, azimuth, hour angle, airmass, and the way back.

Source:
    IAU SOFA, *Tools for Earth Attitude* and *Astrometry Tools*, in their free form ERFA. Nothing is loaded from a
    network: UT1 is taken for UTC, which turns the sky by up to 0.9 s, 14 arcsec. There is no refraction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import erfa

#: Julian date of the Unix epoch.
UNIX_JD: Final = 2440587.5
_HOUR: Final = math.pi / 12.0
_ARCSEC: Final = math.radians(1.0 / 3600.0)


@dataclass(frozen=True)
class Site:
    """Where a telescope stands: degrees east and north, m above the ellipsoid."""

    longitude_deg: float
    latitude_deg: float
    height_m: float = 0.0


@dataclass(frozen=True)
class SkyPlace:
    """A place of the sky as seen from a site at an instant.

    Attributes:
        azimuth_deg: from north through east, 0 .. 360.
        altitude_deg: without refraction.
        hour_angle_h: -12 .. 12, positive in the west.
        declination_deg: of date.
        sidereal_h: local apparent sidereal time.
        parallactic_deg: from north through east, of the direction to the zenith; -180 .. 180, negative in the east.
    """

    azimuth_deg: float
    altitude_deg: float
    hour_angle_h: float
    declination_deg: float
    sidereal_h: float
    parallactic_deg: float

    @property
    def airmass(self) -> float | None:
        """The secant of the zenith distance; None below 5 degrees of altitude, where it means nothing."""
        return 1.0 / math.sin(math.radians(self.altitude_deg)) if self.altitude_deg >= 5.0 else None


def seen_from(site: Site, hours: float, degrees: float, unix_seconds: float) -> SkyPlace:
    """Where a place stands.

    Args:
        hours, degrees: right ascension and declination, ICRS (J2000).
        unix_seconds: the instant, UTC.
    """
    azimuth, zenith_distance, angle, declination, cio_ascension, origins = erfa.atco13(
        hours * _HOUR, math.radians(degrees), 0.0, 0.0, 0.0, 0.0, *_instant(site, unix_seconds)
    )
    latitude = math.radians(site.latitude_deg)
    parallactic = math.atan2(
        math.sin(angle),
        math.tan(latitude) * math.cos(declination) - math.sin(declination) * math.cos(angle),
    )
    return SkyPlace(
        azimuth_deg=math.degrees(azimuth) % 360.0,
        altitude_deg=90.0 - math.degrees(zenith_distance),
        hour_angle_h=(float(angle) / _HOUR + 12.0) % 24.0 - 12.0,
        declination_deg=math.degrees(declination),
        sidereal_h=float(angle + cio_ascension - origins) / _HOUR % 24.0,
        parallactic_deg=math.degrees(parallactic),
    )


def place_at(site: Site, azimuth_deg: float, altitude_deg: float, unix_seconds: float) -> tuple[float, float]:
    """What stands there at an instant: right ascension, h, and declination, deg, ICRS."""
    ascension, declination = erfa.atoc13(
        "A", math.radians(azimuth_deg), math.radians(90.0 - altitude_deg), *_instant(site, unix_seconds)
    )
    return float(ascension) / _HOUR % 24.0, math.degrees(declination)


def of_date(hours: float, degrees: float, unix_seconds: float) -> tuple[float, float]:
    """A place of ICRS in the coordinates of the date, h and deg: precession, nutation, aberration."""
    ascension, declination, origins = erfa.atci13(
        hours * _HOUR, math.radians(degrees), 0.0, 0.0, 0.0, 0.0, UNIX_JD, unix_seconds / 86400.0
    )
    return float(ascension - origins) / _HOUR % 24.0, math.degrees(declination)


def from_date(hours: float, degrees: float, unix_seconds: float) -> tuple[float, float]:
    """The inverse of `of_date`."""
    date = UNIX_JD, unix_seconds / 86400.0
    origins = erfa.eo06a(*date)
    ascension, declination, _ = erfa.atic13(hours * _HOUR + origins, math.radians(degrees), *date)
    return float(ascension) / _HOUR % 24.0, math.degrees(declination)


def offset_from(hours: float, degrees: float, east_arcsec: float, north_arcsec: float) -> tuple[float, float]:
    """The place that lies so far east and north on the tangent plane, h and deg; right at a pole, too."""
    ascension, declination = erfa.tpsts(
        east_arcsec * _ARCSEC, north_arcsec * _ARCSEC, hours * _HOUR, math.radians(degrees)
    )
    return float(ascension) / _HOUR % 24.0, math.degrees(declination)


def separation_deg(first: tuple[float, float], second: tuple[float, float]) -> float:
    """The angle between two places, each h and deg."""
    (a, b), (c, d) = first, second
    return math.degrees(erfa.seps(a * _HOUR, math.radians(b), c * _HOUR, math.radians(d)))


def _instant(site: Site, unix_seconds: float) -> tuple[float, ...]:
    """The arguments of ERFA behind the place: UTC, UT1 - UTC, site, pole, weather (no pressure: no refraction)."""
    return (
        UNIX_JD, unix_seconds / 86400.0, 0.0,
        math.radians(site.longitude_deg), math.radians(site.latitude_deg), site.height_m,
        0.0, 0.0, 0.0, 0.0, 0.0, 0.55,
    )  # fmt: skip
