"""Where places of the sky stand, beside astropy and beside what everybody knows."""

from __future__ import annotations

import math
from collections.abc import Iterator

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import CIRS, AltAz, EarthLocation, SkyCoord
from astropy.time import Time
from astropy.utils import iers
from hypothesis import given
from hypothesis import strategies as st

from devices.pipelines.ccd.alt_az_mount import AltAzMount
from devices.pipelines.ccd.sky_place import (
    Site,
    from_date,
    of_date,
    offset_from,
    place_at,
    seen_from,
    separation_deg,
)

SITES = {
    "Mount Lemmon": Site(-110.7889, 32.4417, 2791.0),
    "Las Campanas": Site(-70.6926, -29.0146, 2380.0),
    "La Palma": Site(-17.8792, 28.7606, 2396.0),
    "Siding Spring": Site(149.0661, -31.2733, 1165.0),
}
DATES = ("2015-03-20T09:45:00", "2022-06-21T23:10:30", "2026-11-21T04:00:00")
#: Sirius, the Trapezium, a place near each pole; h and deg.
PLACES = ((6.752477, -16.716116), (5.588131, -5.38975), (2.5303, 89.2641), (14.66, -60.8339), (21.146, -88.95))


@pytest.fixture(autouse=True)
def tables_of_astropy() -> Iterator[None]:
    """The tables that astropy has: it loads nothing."""
    with (
        iers.conf.set_temp("auto_download", False),
        iers.conf.set_temp("auto_max_age", None),
        iers.conf.set_temp("iers_degraded_accuracy", "ignore"),
    ):
        yield


def earth(site: Site) -> EarthLocation:
    return EarthLocation.from_geodetic(site.longitude_deg, site.latitude_deg, site.height_m)


@pytest.mark.parametrize("date", DATES)
@pytest.mark.parametrize("name", SITES)
def test_altitude_azimuth_and_airmass_agree_with_astropy(name: str, date: str) -> None:
    site, instant = SITES[name], Time(date, scale="utc", format="isot")
    frame = AltAz(obstime=instant, location=earth(site))
    for hours, degrees in PLACES:
        ours = seen_from(site, hours, degrees, instant.unix)
        theirs = SkyCoord(hours * u.hourangle, degrees * u.deg).transform_to(frame)
        found = SkyCoord(ours.azimuth_deg * u.deg, ours.altitude_deg * u.deg, frame=frame)
        # UT1 - UTC is below 0.9 s, 15 arcsec of it each.
        assert found.separation(theirs).arcsec < 14.0
        if ours.altitude_deg > 20.0:
            assert ours.airmass == pytest.approx(float(theirs.secz), rel=3e-4)


@pytest.mark.parametrize("date", DATES)
@pytest.mark.parametrize("name", SITES)
def test_sidereal_time_is_the_apparent_one(name: str, date: str) -> None:
    site, instant = SITES[name], Time(date, scale="utc", format="isot")
    instant.delta_ut1_utc = 0.0
    expected = instant.sidereal_time("apparent", longitude=site.longitude_deg * u.deg).hour
    found = seen_from(site, 6.752477, -16.716116, instant.unix).sidereal_h
    # Diurnal aberration: 0.3 arcsec, more in right ascension than in the sky.
    assert (found - expected + 12.0) % 24.0 - 12.0 == pytest.approx(0.0, abs=0.05 / 3600.0)


def test_hour_angle_is_sidereal_time_less_right_ascension_of_date() -> None:
    instant = Time(DATES[2], scale="utc").unix
    for hours, degrees in PLACES[:2]:
        place = seen_from(SITES["La Palma"], hours, degrees, instant)
        expected = place.sidereal_h - of_date(hours, degrees, instant)[0]
        assert (place.hour_angle_h - expected + 12.0) % 24.0 - 12.0 == pytest.approx(0.0, abs=0.05 / 3600.0)


def test_precession_since_2000_is_what_newcomb_saw() -> None:
    # 46.1 arcsec a year of general precession in right ascension at the equator, 20.0 in declination at 0 h.
    hours, degrees = of_date(0.0, 0.0, Time("2026-03-20", scale="utc").unix)
    assert hours * 15.0 * 3600.0 == pytest.approx(26.2 * 46.1, abs=35.0)
    assert degrees * 3600.0 == pytest.approx(26.2 * 20.04, abs=25.0)


@pytest.mark.parametrize("name", SITES)
def test_the_parallactic_angle_points_to_the_zenith(name: str) -> None:
    site, instant = SITES[name], Time(DATES[1], scale="utc")
    for hours, degrees in PLACES[:4]:
        place = seen_from(site, hours, degrees, instant.unix)
        frame = CIRS(obstime=instant, location=earth(site))
        target = SkyCoord(hours * u.hourangle, degrees * u.deg).transform_to(frame)
        zenith = SkyCoord(0 * u.deg, 90 * u.deg, frame=AltAz(obstime=instant, location=earth(site))).transform_to(frame)
        expected = target.position_angle(zenith).deg
        tolerance = 0.05 / max(0.02, math.cos(math.radians(degrees)))
        assert (place.parallactic_deg - expected + 180.0) % 360.0 - 180.0 == pytest.approx(0.0, abs=tolerance)


def test_north_is_up_in_the_south_and_down_between_pole_and_zenith() -> None:
    site, instant = SITES["Mount Lemmon"], Time(DATES[2], scale="utc").unix
    ascension, declination = place_at(site, 180.0, 40.0, instant)
    place = seen_from(site, ascension, declination, instant)
    assert place.parallactic_deg == pytest.approx(0.0, abs=0.01)
    assert place.hour_angle_h == pytest.approx(0.0, abs=1e-3)
    assert place.altitude_deg == pytest.approx(40.0, abs=1e-6)
    between = seen_from(site, *place_at(site, 0.0, 60.0, instant), instant)
    assert abs(between.parallactic_deg) == pytest.approx(180.0, abs=0.01)
    west = seen_from(site, *place_at(site, 270.0, 40.0, instant), instant)
    assert west.hour_angle_h > 0.0
    assert west.parallactic_deg > 0.0


@given(
    st.floats(0.0, 23.999),
    st.floats(-89.9, 89.9),
    st.floats(1.3e9, 1.8e9),
)
def test_the_way_back_is_the_way(hours: float, degrees: float, instant: float) -> None:
    site = SITES["Siding Spring"]
    place = seen_from(site, hours, degrees, instant)
    back = place_at(site, place.azimuth_deg, place.altitude_deg, instant)
    assert separation_deg(back, (hours, degrees)) < 1e-6
    assert separation_deg(from_date(*of_date(hours, degrees, instant), instant), (hours, degrees)) < 1e-6


@given(st.floats(0.0, 23.999), st.floats(-89.0, 89.0), st.floats(-600.0, 600.0), st.floats(-600.0, 600.0))
def test_an_offset_is_so_many_arcsec_on_the_sky(hours: float, degrees: float, east: float, north: float) -> None:
    there = offset_from(hours, degrees, east, north)
    assert separation_deg((hours, degrees), there) * 3600.0 == pytest.approx(math.hypot(east, north), abs=0.01)


def test_an_offset_to_the_east_is_divided_by_the_cosine_of_the_declination() -> None:
    hours, degrees = offset_from(5.0, 60.0, 30.0, 0.0)
    assert (hours - 5.0) * 15.0 * 3600.0 == pytest.approx(60.0, abs=0.01)
    assert degrees == pytest.approx(60.0, abs=0.01 / 3600.0)
    assert offset_from(0.0, 90.0, 0.0, -3600.0)[1] == pytest.approx(
        90.0 - math.degrees(math.atan(math.radians(1.0))), abs=1e-9
    )


class Clock:
    def __init__(self) -> None:
        self.now = Time(DATES[2], scale="utc").unix

    def __call__(self) -> float:
        return float(self.now)


def test_a_slew_takes_as_long_as_its_axes_need() -> None:
    clock = Clock()
    mount = AltAzMount(SITES["Mount Lemmon"], 4.0, 2.0, azimuth=100.0, altitude=50.0, clock=clock)
    mount.go(140.0, 60.0)
    # 40 deg: 2 s up to 4 deg/s and 2 s down take 8 deg, the other 32 deg take 8 s.
    assert mount.ends - clock.now == pytest.approx(12.0)
    begun = clock.now
    seen = []
    for seconds in (0.0, 1.0, 2.0, 6.0, 10.0, 11.0):
        clock.now = begun + seconds
        seen.append(mount.horizontal[0])
    assert np.allclose(seen, [100.0, 101.0, 104.0, 120.0, 136.0, 139.0])
    clock.now = begun + 12.1
    assert (mount.is_slewing, mount.horizontal) == (False, (140.0, 60.0))
    mount.go(142.0, 60.0)  # too short to reach 4 deg/s: 1 s up, 1 s down
    assert mount.ends - clock.now == pytest.approx(2.0)


def test_the_azimuth_goes_the_short_way_round() -> None:
    clock = Clock()
    mount = AltAzMount(SITES["Mount Lemmon"], 4.0, 2.0, azimuth=350.0, altitude=50.0, clock=clock)
    mount.go(20.0, 50.0)
    assert mount.ends - clock.now == pytest.approx(30.0 / 4.0 + 2.0)
    clock.now += (mount.ends - clock.now) / 2.0
    assert mount.horizontal[0] == pytest.approx(5.0)


def test_a_mount_that_tracks_stays_on_its_place_while_its_axes_turn() -> None:
    clock = Clock()
    mount = AltAzMount(SITES["La Palma"], clock=clock)
    target = place_at(SITES["La Palma"], 120.0, 45.0, clock.now)
    mount.slew(*target)
    clock.now = mount.ends + 0.01
    assert mount.equatorial == pytest.approx(target)
    before = mount.horizontal
    clock.now += 3600.0
    assert mount.equatorial == pytest.approx(target)
    assert mount.horizontal[1] > before[1] + 8.0  # it rises in the south-east, at most 15 deg/h
    mount.track(False)
    still = mount.horizontal
    clock.now += 240.0
    assert mount.horizontal == pytest.approx(still)
    # 240 s are a degree of right ascension.
    assert (mount.equatorial[0] - target[0]) * 15.0 == pytest.approx(240.0 * 1.0027379 / 240.0, abs=1e-3)


def test_a_mount_that_is_stopped_half_way_stays_there() -> None:
    clock = Clock()
    mount = AltAzMount(SITES["La Palma"], clock=clock)
    mount.go(60.0, 30.0)
    clock.now += (mount.ends - clock.now) / 2.0
    mount.stop()
    assert not mount.is_slewing
    assert mount.horizontal == pytest.approx((120.0, 45.0), abs=1e-6)
    clock.now += 60.0
    assert mount.horizontal == pytest.approx((120.0, 45.0), abs=1e-6)
