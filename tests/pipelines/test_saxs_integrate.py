"""The azimuthal mean: against a plain numpy reference, conservation laws, and the rings of silver behenate."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from devices.drivers.detector_image import read_detector_image
from devices.drivers.mask_file import read_mask
from devices.pipelines.saxs_geometry import Geometry, Polarization, bin_labels, polarization_map, q_map
from devices.pipelines.saxs_integrate import Integrator, Profile, integrate_image

REAL_DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "saxs"
FIRST_RING = 2 * np.pi / 5.838  # nm^-1, silver behenate, d = 58.38 Angstrom

GEOMETRY = Geometry(
    beam_center=(61.3, 20.9),
    distance_mm=90.0,
    image_size=(77, 101),
    tilt_degrees=4.0,
    tilt_rotation_degrees=-35.0,
)
ROW, COLUMN = np.indices(GEOMETRY.image_size)
MASK = (ROW % 19 < 3) | (COLUMN > 90) & (ROW < 40)


def reference(image: np.ndarray, mask: np.ndarray, geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """Every sub-pixel one by one: the sum over each bin and its number of sub-pixels, as integers."""
    n = geometry.oversampling
    labels = bin_labels(geometry).ravel()
    valid = np.repeat(np.repeat(~mask, n, axis=0), n, axis=1).ravel()
    values = np.repeat(np.repeat(image.astype(object), n, axis=0), n, axis=1).ravel()
    sums = np.zeros(geometry.bins, object)
    np.add.at(sums, labels[valid], values[valid])
    return sums, np.bincount(labels[valid], minlength=geometry.bins)


@pytest.mark.parametrize(
    ("changes", "dtype"),
    [
        ({}, np.int32),
        ({"oversampling": 1}, np.int32),
        ({"oversampling": 5, "pixels_per_bin": 2.5}, np.uint16),
        ({"pixels_per_bin": 0.15, "oversampling": 12}, np.int32),
        ({"beam_center": (-40.0, 170.0)}, np.uint8),
        ({"tilt_degrees": 0.0}, np.int16),
        ({"tilt_degrees": 0.0}, np.uint32),
    ],
)
def test_the_mean_of_an_integer_frame_is_exact(changes: dict, dtype: type) -> None:
    geometry = replace(GEOMETRY, **changes)
    limits = np.iinfo(dtype)
    image = np.random.default_rng(1).integers(limits.min, limits.max, geometry.image_size, dtype, endpoint=True)
    sums, counts = reference(image, MASK, geometry)
    profile = Integrator(geometry, MASK).integrate(image)
    filled = counts > 0
    np.testing.assert_array_equal(profile.intensity[filled], sums[filled].astype(float) / counts[filled])
    assert np.isnan(profile.intensity[~filled]).all()
    assert np.isnan(profile.sigma[~filled]).all()


@settings(deadline=None, max_examples=40)
@given(
    st.tuples(st.floats(-30, 100), st.floats(-30, 130)),
    st.floats(-20, 20),
    st.floats(-180, 180),
    st.integers(1, 5),
    st.floats(0.2, 3.0),
    st.integers(0, 2**32 - 1),
)
def test_counts_and_pixels_are_conserved(
    center: tuple[float, float], tilt: float, rotation: float, oversampling: int, width: float, seed: int
) -> None:
    geometry = Geometry(center, 90.0, (77, 101), 172.0, tilt, rotation, 1.54, oversampling, width)
    random = np.random.default_rng(seed)
    mask = random.random(geometry.image_size) < 0.2
    image = random.poisson(30.0, geometry.image_size).astype(np.int32)
    integrator = Integrator(geometry, mask)
    ones = integrator.integrate(np.ones_like(image))
    filled = np.isfinite(ones.intensity)
    assert (ones.intensity[filled] == 1.0).all()
    area = 1.0 / ones.sigma[filled] ** 2  # Poisson: one count per pixel has sigma = 1 / sqrt(area)
    assert area.sum() == pytest.approx((~mask).sum(), rel=1e-12)
    assert (area * integrator.integrate(image).intensity[filled]).sum() == pytest.approx(image[~mask].sum(), rel=1e-12)


def test_sigma_is_the_scatter_of_counting_noise() -> None:
    """Without split pixels the Poisson sigma is exact: 300 exposures scatter by it, to 4 % in the mean of all bins."""
    integrator = Integrator(replace(GEOMETRY, oversampling=1), MASK)
    random = np.random.default_rng(5)
    profiles = [integrator.integrate(random.poisson(7.0, GEOMETRY.image_size).astype(np.int32)) for _ in range(300)]
    scatter = np.std([profile.intensity for profile in profiles], axis=0, ddof=1)
    sigma = np.mean([profile.sigma for profile in profiles], axis=0)
    filled = np.isfinite(sigma)
    assert np.mean(scatter[filled] / sigma[filled]) == pytest.approx(1.0, abs=0.04)


def test_as_spread_sigma_is_how_much_the_pixels_of_a_ring_differ() -> None:
    image = np.random.default_rng(4).integers(-50, 5000, GEOMETRY.image_size, np.int32)
    found = Integrator(GEOMETRY, MASK).integrate(image, spread=True)
    sums, counts = reference(image, MASK, GEOMETRY)
    squares, _ = reference(image.astype(np.int64) ** 2, MASK, GEOMETRY)
    full = counts > 0
    expected = np.sqrt((squares[full] / counts[full] - (sums[full] / counts[full]) ** 2).astype(float))
    np.testing.assert_allclose(found.sigma[full], expected, rtol=1e-6, atol=1e-6)
    flat = Integrator(GEOMETRY, MASK).integrate(np.full(GEOMETRY.image_size, 7, np.int32), spread=True)
    np.testing.assert_allclose(flat.sigma[full], 0.0, atol=1e-6)


def test_masked_rings_are_empty_bins_and_shift_nothing() -> None:
    geometry = replace(GEOMETRY, tilt_degrees=0.0)
    q = q_map(geometry)
    ring = geometry.q()[geometry.bins * 2 // 3]
    image = np.round(1000 * np.exp(-0.5 * ((q - ring) / 0.15) ** 2)).astype(np.int32)
    hidden = (q > ring / 3) & (q < ring / 2)
    plain, masked = Integrator(geometry).integrate(image), Integrator(geometry, hidden).integrate(image)
    empty = np.isnan(masked.intensity)
    assert empty[(masked.q > ring / 3 + 0.05) & (masked.q < ring / 2 - 0.05)].all()
    outside = (plain.q < ring / 3 - 0.05) | (plain.q > ring / 2 + 0.05)
    np.testing.assert_array_equal(masked.intensity[outside], plain.intensity[outside])
    np.testing.assert_array_equal(masked.q, plain.q)
    assert masked.q[np.nanargmax(masked.intensity)] == pytest.approx(ring, abs=masked.q[1])


def test_with_the_beam_off_the_detector_the_axis_still_starts_at_q_zero() -> None:
    geometry = replace(GEOMETRY, beam_center=(-60.0, 20.0), tilt_degrees=0.0)
    profile = Integrator(geometry).integrate(np.ones(geometry.image_size, np.int32))
    nearest = q_map(replace(geometry, image_size=(231, 303), pixel_um=172.0 / 3, beam_center=(-180.0, 60.0))).min()
    first = int(np.flatnonzero(np.isfinite(profile.intensity))[0])
    assert profile.q[0] == pytest.approx(profile.q[1] / 3)
    assert abs(profile.q[first] - nearest) <= profile.q[1] - profile.q[0]
    assert np.isnan(profile.intensity[:first]).all()


@pytest.mark.parametrize("rotation", [0.0, 41.0, -137.0, 90.0])
def test_a_ring_stays_where_it_is_however_the_detector_is_turned(rotation: float) -> None:
    geometry = Geometry((130.2, 90.4), 250.0, (211, 173), tilt_degrees=6.0, tilt_rotation_degrees=rotation)
    image = np.round(1e5 * np.exp(-0.5 * ((q_map(geometry) - FIRST_RING) / 0.1) ** 2)).astype(np.int32)
    profile = Integrator(geometry).integrate(image)
    assert ring_position(profile, FIRST_RING, 0.3) == pytest.approx(FIRST_RING, abs=2e-3)


def test_dead_pixels_of_a_real_frame_count_as_masked_and_touch_no_neighbour() -> None:
    image = np.random.default_rng(2).poisson(40.0, GEOMETRY.image_size).astype(np.float32)
    dead = MASK | ((ROW * 7 + COLUMN * 3) % 50 == 0)
    broken = image.copy()
    broken[dead & ~MASK] = np.nan
    broken[5, 7] = np.inf
    dead[5, 7] = True
    expected = Integrator(GEOMETRY, dead).integrate(image)
    profile = Integrator(GEOMETRY, MASK).integrate(broken)
    np.testing.assert_array_equal(profile.intensity, expected.intensity)
    np.testing.assert_array_equal(profile.sigma, expected.sigma)


def test_a_polarized_beam_gives_a_flat_curve_after_correction() -> None:
    geometry = replace(GEOMETRY, distance_mm=12.0, tilt_degrees=0.0)
    polarization = Polarization(fraction=0.9, angle_degrees=20.0)
    image = 500.0 * polarization_map(geometry, polarization)
    flat = Integrator(geometry, MASK, polarization).integrate(image).intensity
    np.testing.assert_allclose(flat[np.isfinite(flat)], 500.0, rtol=1e-12)
    raw = Integrator(geometry, MASK).integrate(image).intensity
    assert np.nanmin(raw) < 450.0


def test_the_layout_of_a_frame_in_memory_does_not_matter() -> None:
    image = np.random.default_rng(3).integers(-2, 1000, GEOMETRY.image_size, np.int32)
    integrator = Integrator(GEOMETRY, MASK)
    expected = integrator.integrate(image).intensity
    for other in (image.astype(">i4"), np.asfortranarray(image), image.astype(np.int64), image.astype(np.float64)):
        np.testing.assert_array_equal(integrator.integrate(other).intensity, expected)


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (np.zeros((101, 77), np.int32), "image has the shape 101 x 77, the geometry 77 x 101"),
        (np.zeros((77, 101, 1), np.int32), "image has the shape 77 x 101 x 1"),
        (np.zeros((77, 101), np.complex128), "complex128"),
        (np.zeros((77, 101), np.bool_), "bool"),
    ],
)
def test_a_frame_that_does_not_fit_is_refused(image: np.ndarray, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Integrator(GEOMETRY).integrate(image)


def test_a_mask_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="mask has the shape 101 x 77"):
        Integrator(GEOMETRY, MASK.T)
    with pytest.raises(ValueError, match="mask has the shape 101 x 77"):
        integrate_image(np.zeros((77, 101), np.int32), MASK.T, GEOMETRY)


def test_a_wholly_masked_frame_gives_an_empty_curve() -> None:
    profile = Integrator(GEOMETRY, np.ones((77, 101))).integrate(np.ones((77, 101), np.int32))
    assert np.isnan(profile.intensity).all()


def test_integrate_image_tells_calibrations_apart_by_content() -> None:
    image = np.random.default_rng(4).integers(0, 1000, GEOMETRY.image_size, np.int32)
    other = MASK.copy()
    other[30:60, 40:70] = True
    for _ in range(2):
        for mask in (MASK.astype(np.uint8), other, None):
            for polarization in (None, Polarization()):
                expected = Integrator(GEOMETRY, mask, polarization).integrate(image)
                profile = integrate_image(image, mask, GEOMETRY, polarization)
                np.testing.assert_array_equal(profile.intensity, expected.intensity)
                np.testing.assert_array_equal(profile.sigma, expected.sigma)
    changed = other.copy()
    integrate_image(image, changed, GEOMETRY)
    changed[:] = MASK
    expected = Integrator(GEOMETRY, MASK).integrate(image)
    np.testing.assert_array_equal(integrate_image(image, changed, GEOMETRY).intensity, expected.intensity)


def test_integrate_image_runs_in_a_process_pool() -> None:
    image = np.random.default_rng(6).integers(0, 1000, GEOMETRY.image_size, np.int32)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        profile = pool.submit(integrate_image, image, MASK, GEOMETRY).result(timeout=60)
    np.testing.assert_array_equal(profile.intensity, Integrator(GEOMETRY, MASK).integrate(image).intensity)


def ring_position(profile: Profile, near: float, half_width: float) -> float:
    """The centre of a Gaussian on a straight background, fitted to a ring, nm^-1."""

    def ring(q, height, center, width, background, slope):  # type: ignore[no-untyped-def]
        return height * np.exp(-0.5 * ((q - center) / width) ** 2) + background + slope * (q - near)

    part = (np.abs(profile.q - near) < half_width) & np.isfinite(profile.intensity)
    q, intensity = profile.q[part], profile.intensity[part]
    start = (np.ptp(intensity), q[intensity.argmax()], half_width / 3, intensity.min(), 0.0)
    fitted, _ = curve_fit(ring, q, intensity, start)
    return float(fitted[1])


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"the real frames are not at {REAL_DATA}")
def test_the_rings_of_a_real_silver_behenate_frame_are_found() -> None:
    image = read_detector_image(REAL_DATA / "agbeh2_1M.tif").data
    mask = read_mask(REAL_DATA / "AAA_integ.msk")
    geometry = Geometry(beam_center=(805.087, 422.371), distance_mm=835.593)
    profile = Integrator(geometry, mask).integrate(image)
    assert np.nansum(profile.intensity) > 0
    assert ring_position(profile, FIRST_RING, 0.06) == pytest.approx(1.076, abs=0.003)
    for order in (2, 3, 4, 5):
        assert ring_position(profile, order * FIRST_RING, 0.06) == pytest.approx(order * FIRST_RING, abs=0.004)
