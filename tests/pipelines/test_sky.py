"""Pixels and places in the sky."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import TETE, AltAz, EarthLocation, SkyCoord
from astropy.time import Time
from astropy.utils import iers
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.pipelines.sky import HEIGHT_M, LATITUDE_DEG, LONGITUDE_DEG, SkyGrid, drift_px, pixel_rad

MJD = 61365.133382
GULP_S = 25 * 0.1342182159423828


@contextmanager
def offline() -> Iterator[None]:
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("auto_max_age", None):
        yield


def site() -> EarthLocation:
    return EarthLocation.from_geodetic(LONGITUDE_DEG * u.deg, LATITUDE_DEG * u.deg, HEIGHT_M * u.m)


def test_a_pixel_is_a_third_of_the_beam() -> None:
    # 0.20 m / 382 m / 3 = 36 arcseconds.
    assert math.degrees(pixel_rad(382.0)) * 3600 == pytest.approx(36.0, abs=0.01)
    assert math.degrees(pixel_rad(2317.0)) * 3600 == pytest.approx(5.93, abs=0.01)


def test_the_middle_of_the_image_is_on_the_meridian_at_its_declination() -> None:
    grid = SkyGrid(MJD, 382.0, 16.3, 175)
    with offline():
        frame = AltAz(obstime=Time(MJD, format="mjd"), location=site())
        seen = SkyCoord(*grid.ra_dec_deg(87, 87), unit="deg").transform_to(frame)
    assert seen.az.deg == pytest.approx(180.0, abs=0.01)
    assert seen.alt.deg == pytest.approx(90.0 - LATITUDE_DEG + 16.3, abs=0.01)


def test_right_ascension_falls_with_x_and_declination_rises_with_y() -> None:
    grid = SkyGrid(MJD, 382.0, 37.1, 300)
    ra, dec = grid.ra_dec_deg(150, 150)
    west, north = grid.ra_dec_deg(150, 190), grid.ra_dec_deg(190, 150)
    assert west[0] < ra and north[1] > dec
    # 40 pixels of 36 arcseconds are 0.4 degrees.
    assert (ra - west[0]) * math.cos(math.radians(dec)) == pytest.approx(0.4, rel=2e-3)
    assert north[1] - dec == pytest.approx(0.4, rel=2e-3)


@pytest.mark.parametrize("dec", [-20.0, 16.3, 71.0, 89.9, 90.0])
def test_north_in_the_image_is_the_apparent_north_of_the_day(dec: float) -> None:
    grid = SkyGrid(MJD, 382.0, dec, 301)
    with offline():
        time = Time(MJD, format="mjd", location=site())
        frame = TETE(obstime=time, location=site())
        lst = time.sidereal_time("apparent")
        south = SkyCoord(lst, (dec - 0.5) * u.deg, frame=frame).icrs
    y, x = grid.pixel(south.ra.deg, south.dec.deg)
    assert (y, x) == pytest.approx((150 - math.sin(math.radians(0.5)) / pixel_rad(382.0), 150), abs=0.02)


@settings(max_examples=15, deadline=None)
@given(st.floats(0, 299), st.floats(0, 299), st.floats(-30, 85), st.floats(200, 2500))
def test_there_and_back_again(y: float, x: float, dec: float, uv_diag: float) -> None:
    grid = SkyGrid(MJD, uv_diag, dec, 300)
    assert grid.pixel(*grid.ra_dec_deg(y, x)) == pytest.approx((y, x), abs=1e-6)


@pytest.mark.parametrize(("dec", "uv_diag"), [(37.1, 382.0), (-20.0, 382.0), (71.0, 2317.0)])
def test_the_sky_drifts_west_from_gulp_to_gulp(dec: float, uv_diag: float) -> None:
    before, after = SkyGrid(MJD, uv_diag, dec, 300), SkyGrid(MJD + GULP_S / 86400.0, uv_diag, dec, 300)
    moved = np.subtract(after.pixel(*before.ra_dec_deg(150, 150)), (150, 150))
    assert moved == pytest.approx(drift_px(uv_diag, dec, GULP_S), abs=2e-3)
    # 15.04 arcseconds a second times the cosine of the declination.
    expected = 15.041 * GULP_S * math.cos(math.radians(dec)) / (math.degrees(pixel_rad(uv_diag)) * 3600)
    assert moved[1] == pytest.approx(expected, rel=2e-3)


def test_times_beyond_the_tables_of_the_earths_turn_need_no_network() -> None:
    assert np.isfinite(SkyGrid(MJD + 20 * 365.25, 382.0, 37.1, 300).ra_dec_deg(10, 20)).all()


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"uv_diag_m": 0.0}, "longest baseline"),
        ({"uv_diag_m": math.nan}, "longest baseline"),
        ({"dec_deg": 91.0}, "outside"),
        ({"dec_deg": math.nan}, "outside"),
        ({"mjd": math.inf}, "mjd"),
    ],
)
def test_what_nodes_did_not_say_makes_no_place(wrong: dict[str, float], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        SkyGrid(**({"mjd": MJD, "uv_diag_m": 382.0, "dec_deg": 37.1, "size": 300} | wrong))
