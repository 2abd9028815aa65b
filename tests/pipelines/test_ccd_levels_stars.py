"""Quick looks at CCD images: bias levels, statistics, stars, gain and noise, of frames with known physics."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from devices.pipelines.ccd.detector import FocalPlane, Format, Geometry
from devices.pipelines.ccd.geometry import make_geometry, whole
from devices.pipelines.ccd.overscan import METHODS, Method, bias_levels, subtract_overscan
from devices.pipelines.ccd.photon_transfer import photon_transfer
from devices.pipelines.ccd.stars import FWHM, background, find_stars
from devices.pipelines.ccd.statistics import amp_statistics, statistics

BIAS_ADU = 1000.0
NOISE_ADU = 4.0


def two_amps(overscan: int = 32, underscan: int = 0) -> Geometry:
    """Two amplifiers of 120 columns and 200 rows."""
    format = Format(240, underscan, underscan, overscan, 200)
    return make_geometry(format, FocalPlane(1, 1, 2, 1, (0, 1)), whole(format))


def raw_frame(geometry: Geometry, slope_adu: float = 0.0, light_adu: float = 500.0) -> NDArray[np.uint16]:
    """A level of 1000 adu on amplifier 0 and 1100 adu on amplifier 1, which drifts along the rows."""
    amps, rows, _ = geometry.amp_shape
    level = BIAS_ADU + 100.0 * np.arange(amps)[:, None, None] + slope_adu * np.arange(rows)[None, :, None] / rows
    frame = level + np.random.default_rng(4).normal(0.0, NOISE_ADU, geometry.amp_shape)
    under = geometry.columns.underscan
    frame[:, :, under : under + geometry.columns.data] += light_adu
    return frame.round().astype(np.uint16)


@pytest.mark.parametrize("method", METHODS)
def test_the_light_is_what_is_left_without_the_bias_level(method: Method) -> None:
    geometry = two_amps()
    data = subtract_overscan(raw_frame(geometry), geometry, method)
    assert data.shape == (2, 200, 120)
    assert data.dtype == np.float32
    np.testing.assert_allclose(data.mean(axis=(1, 2)), 500.0, atol=0.5)


@pytest.mark.parametrize("method", ["mean_by_row", "median_by_row", "fit"])
def test_a_level_that_drifts_during_the_read_out_is_followed_row_by_row(method: Method) -> None:
    geometry = two_amps()
    data = subtract_overscan(raw_frame(geometry, slope_adu=60.0), geometry, method)
    np.testing.assert_allclose(data[:, :50].mean(axis=(1, 2)), 500.0, atol=1.0)
    np.testing.assert_allclose(data[:, -50:].mean(axis=(1, 2)), 500.0, atol=1.0)


def test_a_fit_is_not_moved_by_rows_that_a_saturated_star_bled_into() -> None:
    geometry = two_amps()
    frame = raw_frame(geometry, slope_adu=60.0)
    frame[0, 90:96, 120:] = 9000
    levels = bias_levels(frame, geometry, "fit", degree=1)
    truth = BIAS_ADU + 60.0 * np.arange(200) / 200
    np.testing.assert_allclose(levels[0], truth, atol=1.0)


def test_columns_with_late_charge_can_be_skipped_and_the_underscan_does_where_there_is_no_overscan() -> None:
    geometry = two_amps()
    frame = raw_frame(geometry)
    frame[:, :, 120:122] += 300
    np.testing.assert_allclose(bias_levels(frame, geometry, "mean", skip=2)[1], 1100.0, atol=0.5)
    assert bias_levels(frame, geometry, "mean")[1, 0] > 1110.0
    geometry = two_amps(overscan=0, underscan=10)
    frame = raw_frame(geometry)
    frame[:, :, 9] += 300
    np.testing.assert_allclose(bias_levels(frame, geometry, "mean", skip=1)[0], 1000.0, atol=0.5)
    assert subtract_overscan(frame, geometry).shape == (2, 200, 120)


def test_bias_levels_that_cannot_be_had_are_refused() -> None:
    none = two_amps(overscan=0)
    with pytest.raises(ValueError, match="no columns of overscan"):
        bias_levels(raw_frame(none), none)
    geometry = two_amps()
    for words, message in (
        ({"method": "guess"}, "method = 'guess' is none of mean"),
        ({"skip": 32}, r"skip = 32 columns is outside \[0, 31\]"),
        ({"method": "fit", "degree": 200}, r"degree = 200 is outside \[0, 199\]"),
    ):
        with pytest.raises(ValueError, match=message):
            bias_levels(raw_frame(geometry), geometry, **words)  # type: ignore[arg-type]


def test_statistics_leave_stars_away_but_count_saturated_pixels() -> None:
    sky = np.random.default_rng(1).normal(700.0, 10.0, (150, 300)).round().astype(np.uint16)
    sky[10:13, 20:24] = 65535
    sky[100, 200:230] = 20000
    found = statistics(sky)
    assert (found.saturated, found.maximum, found.pixels) == (12, 65535.0, 45000)
    assert found.clipped >= 42
    assert found.mean == pytest.approx(700.0, abs=0.2)
    assert found.median == pytest.approx(700.0, abs=0.5)
    assert found.sigma == pytest.approx(10.0, rel=0.02)
    assert found.minimum == float(sky.min())


def test_each_amplifier_has_statistics_of_its_own_also_a_saturated_one() -> None:
    amps = np.stack([np.full((5, 7), 100, np.uint16), np.full((5, 7), 65535, np.uint16)])
    dark, full = amp_statistics(amps)
    assert (dark.mean, dark.sigma, dark.saturated) == (100.0, 0.0, 0)
    assert (full.mean, full.saturated, full.clipped) == (65535.0, 35, 0)
    with pytest.raises(ValueError, match="no pixels"):
        statistics(np.empty((0, 4)))


def field(*stars: tuple[float, float, float, float, float, float]) -> NDArray[np.uint16]:
    """Stars (x, y, peak adu, sigma major, sigma minor, angle degrees) on a sky of 1000 adu with a noise of 5 adu."""
    rows, columns = 240, 320
    y, x = np.mgrid[:rows, :columns].astype(float)
    frame = np.random.default_rng(6).normal(1000.0, 5.0, (rows, columns))
    for cx, cy, peak, major, minor, degrees in stars:
        angle = math.radians(degrees)
        u = (x - cx) * math.cos(angle) + (y - cy) * math.sin(angle)
        v = (y - cy) * math.cos(angle) - (x - cx) * math.sin(angle)
        frame += peak * np.exp(-0.5 * ((u / major) ** 2 + (v / minor) ** 2))
    return frame.clip(0, 65535).round().astype(np.uint16)


@pytest.mark.parametrize("sigma", [1.0, 1.7, 3.1])
def test_the_width_and_the_place_and_the_flux_of_a_gaussian_star_are_found(sigma: float) -> None:
    (star,) = find_stars(field((100.3, 60.8, 2000.0, sigma, sigma, 0.0)))
    assert star.fwhm == pytest.approx(FWHM * sigma, rel=0.03)
    assert (star.x, star.y) == pytest.approx((100.3, 60.8), abs=0.05)
    assert star.flux == pytest.approx(2000.0 * 2.0 * math.pi * sigma**2, rel=0.03)
    assert star.ellipticity < 0.03
    assert not star.is_saturated


def test_an_elongated_star_shows_how_much_and_in_which_direction() -> None:
    (star,) = find_stars(field((200.0, 150.0, 3000.0, 3.0, 2.0, 30.0)))
    assert star.ellipticity == pytest.approx(1.0 - 2.0 / 3.0, abs=0.02)
    assert star.angle_degrees == pytest.approx(30.0, abs=2.0)
    assert star.fwhm == pytest.approx(FWHM * math.sqrt(6.0), rel=0.03)


def test_stars_come_by_brightness_and_cosmic_rays_and_hot_pixels_are_none() -> None:
    frame = field((50.0, 50.0, 900.0, 1.5, 1.5, 0.0), (250.0, 180.0, 5000.0, 1.5, 1.5, 0.0))
    frame[100, 100] = 30000
    frame[120, 140:152] += 8000
    assert [(round(star.x), round(star.y)) for star in find_stars(frame)] == [(250, 180), (50, 50)]
    assert [round(star.x) for star in find_stars(frame, most=1)] == [250]


def test_a_saturated_star_is_marked_and_an_empty_sky_has_no_stars() -> None:
    (star,) = find_stars(field((100.0, 100.0, 200_000.0, 2.0, 2.0, 0.0)))
    assert star.is_saturated
    assert find_stars(field()) == []
    level, noise = background(field())
    assert level == pytest.approx(1000.0, abs=0.2)
    assert noise == pytest.approx(5.0, rel=0.05)
    with pytest.raises(ValueError, match=r"shape \(3, 5\)"):
        find_stars(np.zeros((3, 5)))


@pytest.mark.parametrize("gain", [0.8, 2.4])
def test_gain_and_read_noise_come_out_of_two_flats_and_two_biases(gain: float) -> None:
    """Light that falls off to a side, flats of 12000 e- and 13000 e-, a bias structure, cosmic rays."""
    rng = np.random.default_rng(11)
    read_noise, shape = 6.5, (512, 640)
    structure = BIAS_ADU + 20.0 * np.sin(np.arange(shape[1]) / 60.0)
    fall = np.linspace(1.0, 0.7, shape[1])

    def frame(electrons: float) -> NDArray[np.uint16]:
        light = rng.poisson(electrons * fall, shape) + rng.normal(0.0, read_noise, shape)
        adu = (structure + light / gain).round().astype(np.uint16)
        for _ in range(30):
            adu[rng.integers(shape[0]), rng.integers(shape[1])] += 20000
        return adu

    found = photon_transfer((frame(12000.0), frame(13000.0)), (frame(0.0), frame(0.0)))
    assert found.gain == pytest.approx(gain, rel=0.02)
    # Rounding to whole adu is a noise too: 1/12 adu^2.
    assert found.read_noise == pytest.approx(math.hypot(read_noise, gain / math.sqrt(12.0)), rel=0.02)
    assert found.signal == pytest.approx(12000.0 * 0.85 / gain, rel=0.02)


def test_flats_without_light_have_no_gain() -> None:
    rng = np.random.default_rng(2)
    dark = [rng.normal(1000.0, 3.0, (64, 128)) for _ in range(4)]
    with pytest.raises(ValueError, match="no more signal or noise"):
        photon_transfer((dark[0] - 5.0, dark[1] - 5.0), (dark[2], dark[3]))
    with pytest.raises(ValueError, match="not of one shape"):
        photon_transfer((dark[0], dark[1]), (dark[2], dark[3][:, :100]))
