"""Intensity against azimuth: where a count belongs is geometry, and no count is lost."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from devices.pipelines.saxs_azimuth import AzimuthIntegrator, AzimuthProfile
from devices.pipelines.saxs_geometry import Geometry, Polarization, polarization_map, q_map

ROWS, COLUMNS = 44, 63
CENTER = (17.3, 40.8)  # y from the bottom, x from the left


def geometry(center: tuple[float, float] = CENTER, shape: tuple[int, int] = (ROWS, COLUMNS), **more: float) -> Geometry:
    return Geometry(center, 300.0, shape, pixels_per_bin=0.05, **more)


def areas(profile: AzimuthProfile) -> NDArray[np.float64]:
    """Pixels in each sector: the mean is S / A, its standard deviation sqrt(S) / A."""
    with np.errstate(invalid="ignore"):
        return np.asarray(profile.intensity / profile.sigma**2)


def place(center: tuple[float, float], shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(x, y) of the pixel centres from the beam, px, y downwards."""
    row = np.arange(shape[0]) + 0.5 - (shape[0] - center[0])
    column = np.arange(shape[1]) + 0.5 - center[1]
    return np.broadcast_to(column, shape), np.broadcast_to(row[:, np.newaxis], shape)


def pattern(center: tuple[float, float], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Intensity 100 + 40 cos phi + 15 sin 2 phi."""
    x, y = place(center, shape)
    phi = np.arctan2(y, x)
    return np.asarray(100.0 + 40.0 * np.cos(phi) + 15.0 * np.sin(2.0 * phi))


def test_the_sectors_share_all_counts_of_the_frame() -> None:
    frame = np.random.default_rng(1).poisson(20.0, (ROWS, COLUMNS))
    profile = AzimuthIntegrator(geometry()).integrate(frame)
    area = areas(profile)
    assert np.nansum(area) == pytest.approx(ROWS * COLUMNS, rel=1e-12)
    assert np.nansum(profile.intensity * area) == pytest.approx(frame.sum(), rel=1e-12)


def test_a_sector_has_the_intensity_of_its_azimuth() -> None:
    profile = AzimuthIntegrator(geometry()).integrate(pattern(CENTER, (ROWS, COLUMNS)))
    assert profile.phi[0] > -math.pi and profile.phi[-1] < math.pi + 0.05
    full = areas(profile) > 8.0  # near the beam a pixel is wider than a sector
    expected = 100.0 + 40.0 * np.cos(profile.phi) + 15.0 * np.sin(2.0 * profile.phi)
    np.testing.assert_allclose(profile.intensity[full], expected[full], atol=2.0)
    assert full.sum() > 50


@pytest.mark.parametrize(("at", "phi"), [((26, 55), 0.0), ((40, 40), math.pi / 2), ((5, 40), -math.pi / 2)])
def test_azimuths_grow_downwards_from_the_right(at: tuple[int, int], phi: float) -> None:
    # The beam hits row 44 - 17.3 = 26.7, column 40.8: in the pixel (26, 40).
    frame = np.zeros((ROWS, COLUMNS))
    frame[at] = 1000.0
    profile = AzimuthIntegrator(geometry()).integrate(frame)
    counts = np.nan_to_num(profile.intensity * areas(profile))
    assert counts.sum() == pytest.approx(1000.0, rel=1e-12)
    assert counts @ profile.phi / 1000.0 == pytest.approx(phi, abs=0.03)


def test_what_lies_on_the_left_is_in_the_first_and_the_last_sectors() -> None:
    """At -pi and pi the circle closes: the pixel left of the beam is half above and half below it."""
    center = (20.5, 40.5)  # the middle of a pixel: row 23
    frame = np.zeros((ROWS, COLUMNS))
    frame[23, 4] = 900.0
    profile = AzimuthIntegrator(geometry(center)).integrate(frame)
    (hit,) = np.nonzero(np.nan_to_num(profile.intensity))
    assert np.all(np.abs(profile.phi[hit]) > 3.0)
    counts = np.nan_to_num(profile.intensity * areas(profile))
    assert counts[profile.phi < 0].sum() == pytest.approx(300.0, rel=1e-9), "one third of its rows of sub-pixels"
    assert counts[profile.phi > 0].sum() == pytest.approx(600.0, rel=1e-9), "two: that of pi itself ends the circle"


def test_turning_the_detector_by_90_degrees_shifts_the_curve_by_90_degrees() -> None:
    frame = pattern(CENTER, (ROWS, COLUMNS))
    # Counterclockwise: the left edge becomes the bottom edge, the top edge the left one.
    turned, center = np.rot90(frame), (CENTER[1], ROWS - CENTER[0])
    harmonics = []
    for image, where in ((frame, CENTER), (turned, center)):
        profile = AzimuthIntegrator(geometry(where, image.shape)).integrate(image)
        good = areas(profile) > 8.0
        phi = profile.phi[good]
        waves = np.column_stack([np.ones_like(phi), np.cos(phi), np.sin(phi), np.cos(2 * phi), np.sin(2 * phi)])
        wave = np.linalg.lstsq(waves, profile.intensity[good], rcond=None)[0]
        harmonics.append(wave[1] + 1j * wave[2])
    turn = np.angle(harmonics[1] / harmonics[0])
    assert abs(harmonics[0]) == pytest.approx(40.0, rel=0.02)
    assert turn == pytest.approx(-math.pi / 2, abs=0.01)


def test_masked_pixels_and_those_without_a_value_do_not_count() -> None:
    frame = np.full((ROWS, COLUMNS), 7.0)
    mask = np.zeros((ROWS, COLUMNS), np.uint8)
    mask[:, 45:] = 2
    frame[:, 45:] = 1e9
    frame[30, 10] = np.nan
    frame[31, 11] = np.inf
    profile = AzimuthIntegrator(geometry(), mask).integrate(frame)
    seen = np.isfinite(profile.intensity)
    np.testing.assert_allclose(profile.intensity[seen], 7.0, rtol=1e-12)
    assert np.nansum(areas(profile)) == pytest.approx(ROWS * 45 - 2, rel=1e-12)
    # To the right of the beam all is masked but four columns and a part: sectors of the far right have few pixels.
    right = np.abs(profile.phi) < 0.1
    assert np.nansum(areas(profile)[right]) < 5.0


def test_a_band_of_q_selects_a_ring() -> None:
    where = geometry()
    q = q_map(where)
    start, stop = 0.15, 0.3
    ring = (q >= start) & (q <= stop)
    frame = np.where(ring, 5.0, 1e6)
    profile = AzimuthIntegrator(where, None, None, start, stop).integrate(frame)
    seen = np.isfinite(profile.intensity)
    np.testing.assert_allclose(profile.intensity[seen], 5.0, rtol=1e-12)
    assert np.nansum(areas(profile)) == pytest.approx(ring.sum(), rel=1e-12)
    assert 100 < ring.sum() < ROWS * COLUMNS / 2


def test_the_polarization_is_divided_out() -> None:
    where, polarization = Geometry(CENTER, 20.0, (ROWS, COLUMNS), pixels_per_bin=0.05), Polarization(0.95, 30.0)
    frame = 50.0 * polarization_map(where, polarization)
    assert frame.min() < 48.0, "at this distance it is worth to be corrected"
    profile = AzimuthIntegrator(where, None, polarization).integrate(frame)
    np.testing.assert_allclose(profile.intensity[np.isfinite(profile.intensity)], 50.0, rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.floats(-150.0, 150.0), st.floats(-150.0, 150.0), st.integers(1, 4))
def test_wherever_the_beam_hits_or_passes_all_counts_are_shared(y: float, x: float, oversampling: int) -> None:
    where = Geometry((y, x), 300.0, (13, 29), oversampling=oversampling, pixels_per_bin=0.05)
    integrator = AzimuthIntegrator(where)
    assert 1 < integrator.bins < 10_000
    frame = np.arange(1.0, 13 * 29 + 1).reshape(13, 29)
    profile = integrator.integrate(frame)
    area = areas(profile)
    assert np.nansum(area) == pytest.approx(13 * 29, rel=1e-9)
    assert np.nansum(profile.intensity * area) == pytest.approx(frame.sum(), rel=1e-9)
    if y < 0.0:  # all of the frame is above the beam, where azimuths are negative
        assert profile.phi[np.isfinite(profile.intensity)].max() < profile.phi[1] - profile.phi[0]


def test_frames_and_masks_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        AzimuthIntegrator(geometry()).integrate(np.zeros((COLUMNS, ROWS)))
    with pytest.raises(ValueError, match="mask has the shape"):
        AzimuthIntegrator(geometry(), np.zeros((COLUMNS, ROWS)))
