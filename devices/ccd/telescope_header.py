"""What a telescope has to say in a header."""

from __future__ import annotations

from typing import Any

from devices.ccd.header import Entry, Value
from devices.ccd.mount import Pointing
from devices.ccd.telescope_properties import TelescopeProperties
from devices.pipelines.ccd.sky_place import SkyPlace


def telescope_entries(
    given: TelescopeProperties, pointing: Pointing, place: SkyPlace
) -> dict[str, Entry | tuple[Value, str]]:
    """The keywords of where it points, from where."""
    found: dict[str, Any] = {
        "RA": (sexagesimal(pointing.right_ascension_h, 3), "[h] right ascension"),
        "DEC": (sexagesimal(pointing.declination_deg, 2, signed=True), "[deg] declination"),
        "EQUINOX": (2000.0, "[yr] equinox of RA and DEC"),
        "RADESYS": ("ICRS", "frame of RA and DEC"),
        "HA": (sexagesimal(place.hour_angle_h, 2, signed=True), "[h] hour angle"),
        "ST": (sexagesimal(place.sidereal_h, 2), "[h] local apparent sidereal time"),
        "LST-OBS": (sexagesimal(place.sidereal_h, 2), "[h] local apparent sidereal time"),
        "AZIMUTH": (round(place.azimuth_deg, 5), "[deg] from north through east"),
        "ELEVAT": (round(place.altitude_deg, 5), "[deg] altitude, without refraction"),
        "ZD": (round(90.0 - place.altitude_deg, 5), "[deg] zenith distance, without refraction"),
        "PARANGLE": (round(place.parallactic_deg, 4), "[deg] parallactic angle"),
        "TRACKING": (pointing.is_tracking, "the telescope follows the sky"),
        "OBSGEO-B": (given.latitude, "[deg] latitude of the site, north"),
        "OBSGEO-L": (given.longitude, "[deg] longitude of the site, east"),
        "OBSGEO-H": (given.height, "[m] height of the site"),
    }
    if place.airmass is not None:
        found["AIRMASS"] = (round(place.airmass, 4), "secant of the zenith distance")
    if given.telescope_name:
        found["TELESCOP"] = (given.telescope_name, "telescope")
    return found


def sexagesimal(value: float, digits: int, *, signed: bool = False) -> str:
    """``05:35:17.880`` of hours or degrees; rounded once, so that no 60 appears."""
    units = round(abs(value) * 3600 * 10**digits)
    seconds, fraction = divmod(units, 10**digits)
    sign = "-" if value < 0 else "+" if signed else ""
    return f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{fraction:0{digits}d}"
