"""The spatial matched filter, by Fourier transforms and by its definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import correlate2d

from devices.pipelines.search.band import Band
from devices.pipelines.search.psf import cropped, gaussian_psf, unit_energy
from devices.pipelines.search.spatial_filter import DirectCorrelation, FourierCorrelation, SpatialFilter


def lopsided(extent: tuple[int, int]) -> np.ndarray:
    """A function without any symmetry; axes (channel, y, x)."""
    random = np.random.default_rng(8)
    return random.normal(size=(2, *extent)).astype(np.float32)


@pytest.mark.parametrize("size", [(175, 175), (30, 41), (301, 300)])
@pytest.mark.parametrize("extent", [(5, 8), (12, 7)])
def test_both_ways_are_the_correlation(size: tuple[int, int], extent: tuple[int, int]) -> None:
    psf = unit_energy(lopsided(extent), 2)[0]
    images = np.random.default_rng(1).normal(size=(3, *size)).astype(np.float32)
    direct, fourier = DirectCorrelation(psf)(images, 1), FourierCorrelation(psf, size)(images, 1)
    np.testing.assert_allclose(fourier, direct, atol=1e-5)
    # scipy puts the centre of an even function one pixel earlier: a line of zeros makes it odd.
    odd = np.zeros([extent[0] + 1 - extent[0] % 2, extent[1] + 1 - extent[1] % 2])
    odd[: extent[0], : extent[1]] = psf[1]
    expected = correlate2d(images[2].astype(np.float64), odd, mode="same")
    np.testing.assert_allclose(direct[2], expected, atol=1e-5)


@pytest.mark.parametrize("size", [(24, 24), (25, 31)])
def test_a_function_as_large_as_the_image_does_not_wrap_round(size: tuple[int, int]) -> None:
    psf = unit_energy(lopsided(size), 2)[0]
    images = np.random.default_rng(1).normal(size=(2, *size)).astype(np.float32)
    np.testing.assert_allclose(FourierCorrelation(psf, size)(images, 0), DirectCorrelation(psf)(images, 0), atol=1e-5)
    beam = gaussian_psf(Band.dsa110(2), min(size))
    corner = np.zeros((1, *size), np.float32)
    corner[0, 0, 0] = 1.0
    filtered = FourierCorrelation(beam, size)(corner, 0)[0]
    assert abs(filtered[-6:]).max() < 1e-6 and abs(filtered[:, -6:]).max() < 1e-6


def test_a_source_is_where_it_was_and_gains_the_root_of_its_beam() -> None:
    band, size = Band.dsa110(), (40, 33)
    beam = gaussian_psf(band, 15)
    psf, gain = unit_energy(beam, 16)
    image = np.zeros((1, *size), np.float32)
    image[0, 20 - 7 : 20 + 8, 9 - 7 : 9 + 8] = beam[15]
    filtered = SpatialFilter(psf, size)(image, 15)[0]
    assert np.unravel_index(np.argmax(filtered), size) == (20, 9)
    assert filtered[20, 9] == pytest.approx(np.sqrt(np.sum(beam[15].astype(float) ** 2)), rel=1e-4)
    assert gain[15] == pytest.approx(filtered[20, 9], rel=1e-4)
    # At 1317 MHz the beam is 1493 / 1317 times as wide as at 1493 MHz, and has the square of it in energy.
    assert (gain[15] / gain[0]) ** 2 == pytest.approx((1492.906 / 1317.125) ** 2, rel=1e-3)


def test_white_noise_is_the_same_at_edges_and_corners() -> None:
    size = (26, 35)
    psf = unit_energy(gaussian_psf(Band.dsa110(), 13), 16)[0]
    noise = np.random.default_rng(2).normal(size=(4000, *size)).astype(np.float32)
    filtered = SpatialFilter(psf, size)(noise, 3)
    for where in (np.s_[:, 0, 0], np.s_[:, 25, 34], np.s_[:, 0, 17], np.s_[:, 13, 17]):
        assert filtered[where].std() == pytest.approx(1.0, abs=0.045)


@pytest.mark.parametrize("psf", [np.zeros((16, 3, 3)), np.full((16, 3, 3), np.nan), np.ones((15, 3, 3))])
def test_impossible_functions_are_refused(psf: np.ndarray) -> None:
    with pytest.raises(ValueError, match="psf"):
        unit_energy(psf, 16)


@pytest.mark.parametrize("energy", [0.9, 0.99, 0.999])
def test_a_cropped_function_costs_a_source_no_more_than_the_root_of_the_energy_left_out(energy: float) -> None:
    """A matched filter of a part E of the energy keeps sqrt(E) of the significance."""
    band = Band.dsa110(5)
    psf = gaussian_psf(band, 41, 3.7)
    part = cropped(psf, energy)
    assert part.shape[1:] < psf.shape[1:] and part.shape[1] % 2 == 1
    assert np.all(part[:, part.shape[1] // 2, part.shape[2] // 2] == 1.0)
    kept = np.sum(np.asarray(part, float) ** 2, axis=(1, 2)) / np.sum(np.asarray(psf, float) ** 2, axis=(1, 2))
    assert kept.min() >= energy
    smaller = part[:, 1:-1, 1:-1]
    left = np.sum(np.asarray(smaller, float) ** 2, axis=(1, 2)) / np.sum(np.asarray(psf, float) ** 2, axis=(1, 2))
    assert left.min() < energy, "it is the smallest square"
    # The source through the filter: the value at its pixel over the noise, beside that of the whole function.
    filter_, _ = unit_energy(part, 5)
    half = part.shape[1] // 2
    seen = psf[:, 20 - half : 21 + half, 20 - half : 21 + half]
    gained = np.sum(filter_ * seen, axis=(1, 2)) / np.sqrt(np.sum(np.asarray(psf, float) ** 2, axis=(1, 2)))
    assert np.all(gained >= np.sqrt(energy) - 1e-6)


def test_a_function_whose_source_is_beside_the_middle_of_an_even_grid_stays_where_it_was_when_cropped() -> None:
    psf = np.zeros((2, 12, 14))
    psf[:, 6, 7] = 1.0
    psf[:, 5, 7] = 0.5
    part = cropped(psf, 0.99)
    assert part.shape == (2, 3, 3) and part[0, 1, 1] == 1.0 and part[0, 0, 1] == 0.5
    assert cropped(psf, 1.0) is psf
