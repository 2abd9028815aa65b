"""Places of the sky as people write them: 05:35:17.3, -05:23:28, with the equinox they are for."""

from __future__ import annotations

import math
import re
from typing import Final

import erfa
import numpy as np

from devices.pipelines.ccd.sky_place import from_date

HOURS_FORM: Final = "hours from 0 to 24, as 05:35:17.3, 053517.3 or 5.58814"
DEGREES_FORM: Final = "degrees from -90 to 90, as -05:23:28, -052328 or -5.3911"
EQUINOX_FORM: Final = "J2000 (or 2000.0), B1950 (or 1950.0), a year from 1984 to 2100, or date"
_PARTS: Final = re.compile(r"([+-]?)(\d{1,3})[:\s](\d{1,2})(?:[:\s](\d{1,2}(?:\.\d*)?))?")
#: azcam's form, without anything between.
_COMPACT: Final = re.compile(r"([+-]?)(\d{2})(\d{2})(\d{2}(?:\.\d*)?)")
_PLAIN: Final = re.compile(r"[+-]?\d{1,3}(?:\.\d*)?")
_YEAR: Final = re.compile(r"([BJ]?)(\d{4}(?:\.\d*)?)", re.IGNORECASE)


def hours_of(text: str) -> float:
    """Right ascension, h, 0 .. 24 without 24.

    Raises:
        ValueError: it is none.
    """
    hours = _number_of(text)
    if not 0.0 <= hours < 24.0:
        raise ValueError(f"{hours:g} h is outside [0, 24)")
    return hours


def degrees_of(text: str) -> float:
    """Declination, deg, -90 .. 90.

    Raises:
        ValueError: it is none.
    """
    degrees = _number_of(text)
    if not -90.0 <= degrees <= 90.0:
        raise ValueError(f"{degrees:g} deg is outside [-90, 90]")
    return degrees


def to_j2000(hours: float, degrees: float, equinox: str, unix_seconds: float) -> tuple[float, float]:
    """A place of another equinox, in ICRS (J2000), h and deg; proper motions are taken for none.

    Args:
        equinox: `EQUINOX_FORM`; a year is the mean equinox of FK5, ``date`` the apparent place.
        unix_seconds: the date.
    Raises:
        ValueError: there is no such equinox.
    """
    system, year = _equinox(equinox)
    if system == "date":
        return from_date(hours, degrees, unix_seconds)
    ascension, declination = math.radians(hours * 15.0), math.radians(degrees)
    if system == "B":
        found = erfa.fk45z(ascension, declination, 1950.0)
        return _hours_degrees(float(found[0]), float(found[1]))
    if year == 2000.0:
        return hours % 24.0, degrees
    # Of date to J2000, as the bias between J2000 and ICRS, 0.02 arcsec, is left alone for 2000.0, too.
    _, precession, _ = erfa.bp06(erfa.DJM0, erfa.epj2jd(year)[1])
    vector = np.asarray(precession).T @ erfa.s2c(ascension, declination)
    return _hours_degrees(*map(float, erfa.c2s(vector)))


def hours_text(hours: float) -> str:
    """Right ascension, to 0.1 s of time."""
    tenths = round(hours * 36000.0) % 864000
    return f"{tenths // 36000:02d}:{tenths // 600 % 60:02d}:{tenths % 600 / 10:04.1f}"


def degrees_text(degrees: float) -> str:
    """Declination, to 1 arcsec."""
    seconds = round(abs(degrees) * 3600.0)
    return f"{'-' if degrees < 0 else '+'}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _hours_degrees(ascension: float, declination: float) -> tuple[float, float]:
    return math.degrees(ascension) / 15.0 % 24.0, math.degrees(declination)


def _number_of(text: str) -> float:
    text = text.strip()
    match = _PARTS.fullmatch(text) or _COMPACT.fullmatch(text)
    if match is None:
        if not _PLAIN.fullmatch(text):
            raise ValueError("it is no place")
        return float(text)
    sign, first, minutes, seconds = match[1], int(match[2]), int(match[3]), float(match[4] or 0.0)
    if minutes >= 60 or seconds >= 60.0:
        raise ValueError("minutes and seconds are below 60")
    value = first + minutes / 60.0 + seconds / 3600.0
    return -value if sign == "-" else value


def _equinox(text: str) -> tuple[str, float]:
    if text.strip().casefold() == "date":
        return "date", 0.0
    match = _YEAR.fullmatch(text.strip())
    if match is None:
        raise ValueError("there is no such equinox")
    system, year = match[1].upper(), float(match[2])
    # Numbers below 1984 are Besselian, as in FITS.
    system = system or ("B" if year < 1984.0 else "J")
    if (system == "B" and year != 1950.0) or (system == "J" and not 1984.0 <= year <= 2100.0):
        raise ValueError("it is not reckoned with")
    return system, year
