"""What a SAXS curve says in a few numbers, for bodies whose scattering is known: spheres, and curves with a formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from devices.pipelines.saxs_parameters import guinier_fit, integral_parameters

RADIUS_NM = 2.5


def bins(stop: float, count: int) -> NDArray[np.float64]:
    """Bin centres from 0 on, nm^-1."""
    return (np.arange(count) + 0.5) * (stop / count)


def sphere(q: NDArray[np.float64], radius: float = RADIUS_NM) -> NDArray[np.float64]:
    """|V F(q)|^2 of a homogeneous sphere of contrast 1, nm^6; Rayleigh 1911."""
    x = q * radius
    volume = 4.0 / 3.0 * math.pi * radius**3
    amplitude: NDArray[np.float64] = 3.0 * volume * (np.sin(x) - x * np.cos(x)) / x**3
    return amplitude**2


def test_the_integrals_of_an_exponential_are_its_moments() -> None:
    # I = exp(-q / a): the integrals of I, I q, I q^2 from 0 on are a, a^2, 2 a^3.
    a = 0.7
    q = bins(25.0, 20_000)
    found = integral_parameters(q, np.exp(-q / a))
    assert found == pytest.approx((a, a**2, 2.0 * a**3), rel=1e-6)
    assert found.invariant == found.i2
    assert found.correlation_length == pytest.approx(1.0 / (2.0 * a), rel=1e-6)


def test_the_integrals_of_a_line_over_a_band_are_those_of_its_formula() -> None:
    # Midpoints integrate 3 + 2 q exactly; the band [1, 3) has bins from 1.0005 to 2.9995.
    q = bins(5.0, 5000)
    found = integral_parameters(q, 3.0 + 2.0 * q, 1.0, 3.0)
    assert found.i0 == pytest.approx(3.0 * 2.0 + 9.0 - 1.0, rel=1e-12)
    assert found.i1 == pytest.approx(3.0 * 4.0 + 2.0 * 26.0 / 3.0, rel=1e-6)
    assert found.i2 == pytest.approx(26.0 + 80.0 / 2.0, rel=1e-6)


def test_a_band_begins_with_the_first_bin_at_its_start_and_ends_before_its_stop() -> None:
    q = np.array([1.0, 2.0, 3.0, 4.0])
    counts = np.array([1.0, 10.0, 100.0, 1000.0])
    assert integral_parameters(q, counts, 2.0, 4.0).i0 == 110.0
    assert integral_parameters(q, counts, 2.1, 4.1).i0 == 1100.0
    assert integral_parameters(q, counts).i0 == 1111.0
    assert integral_parameters(q, counts, 0.0, 3.0).i1 == 21.0
    assert integral_parameters(q, counts, 7.0, 9.0) == (0.0, 0.0, 0.0)
    assert math.isnan(integral_parameters(q, counts, 7.0, 9.0).correlation_length)


def test_bins_without_a_value_are_left_out() -> None:
    q = np.array([1.0, 2.0, 3.0])
    assert integral_parameters(q, np.array([1.0, np.nan, 5.0])) == (6.0, 16.0, 46.0)
    assert integral_parameters(q[:1], np.array([1.0])) == (0.0, 0.0, 0.0)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.5, 20.0))
def test_the_invariant_of_spheres_is_2_pi_squared_times_their_volume(radius: float) -> None:
    """Porod: beyond q_max the curve is 2 pi S / q^4, whose part of the invariant is 2 pi S / q_max."""
    q_max = 200.0 / radius
    q = bins(q_max, 40_000)
    found = integral_parameters(q, sphere(q, radius))
    volume, surface = 4.0 / 3.0 * math.pi * radius**3, 4.0 * math.pi * radius**2
    assert found.invariant + 2.0 * math.pi * surface / q_max == pytest.approx(2.0 * math.pi**2 * volume, rel=1e-3)
    # Of a sphere the mean over all chord lengths from all points is 3 R / 2, which is pi I1 / I2.
    assert math.pi * found.correlation_length == pytest.approx(1.5 * radius, rel=0.02)


def test_the_far_end_of_spheres_follows_the_law_of_porod() -> None:
    """I q^4 swings about 2 pi S; so do the integrals over whole periods of it."""
    period = math.pi / RADIUS_NM
    q = bins(200.0 * period, 200_000)
    # The integral of I q^4 q^-2 = I q^2 over [q1, q2] is 2 pi S (1/q1 - 1/q2).
    q_start, q_stop = 50.0 * period, 150.0 * period
    found = integral_parameters(q, sphere(q), q_start, q_stop).i2
    surface = 4.0 * math.pi * RADIUS_NM**2
    assert found == pytest.approx(2.0 * math.pi * surface * (1.0 / q_start - 1.0 / q_stop), rel=1e-3)


@pytest.mark.parametrize("radius", [0.8, 2.5, 12.0])
def test_spheres_have_the_radius_of_gyration_of_spheres(radius: float) -> None:
    q = bins(10.0 / radius, 600)
    intensity = sphere(q, radius)
    fit = guinier_fit(q, intensity, 0.01 * intensity)
    assert fit is not None
    # Rg = sqrt(3/5) R. To q Rg = 1.3 the next term of the series makes it 2 % larger at most.
    assert fit.radius_of_gyration == pytest.approx(math.sqrt(0.6) * radius, rel=0.02)
    assert fit.forward_intensity == pytest.approx((4.0 / 3.0 * math.pi * radius**3) ** 2, rel=0.02)
    assert fit.q_stop * fit.radius_of_gyration == pytest.approx(1.3, abs=0.05)
    near = guinier_fit(q, intensity, 0.01 * intensity, largest_product=0.5)
    assert near is not None
    assert near.radius_of_gyration == pytest.approx(math.sqrt(0.6) * radius, rel=4e-3)


def test_an_exact_guinier_curve_is_fitted_exactly_from_any_start() -> None:
    q = bins(1.0, 400)
    intensity = 5000.0 * np.exp(-((q * 4.2) ** 2) / 3.0)
    intensity[:7] = np.nan  # behind the beam stop
    intensity[30] = -1.0
    for start in (0.0, 0.05):
        fit = guinier_fit(q, intensity, np.sqrt(np.abs(intensity)), start)
        assert fit is not None
        assert fit.radius_of_gyration == pytest.approx(4.2, rel=1e-9)
        assert fit.forward_intensity == pytest.approx(5000.0, rel=1e-9)


def test_the_deviations_of_a_fit_are_those_of_repeated_measurements() -> None:
    q = bins(0.6, 150)
    truth = 900.0 * np.exp(-((q * 3.0) ** 2) / 3.0)
    random = np.random.default_rng(4)
    fits = []
    for _ in range(400):
        counts = random.poisson(truth).astype(np.float64)
        # sigma / I is that of the true curve: by the counts themselves low ones would count less.
        fit = guinier_fit(q, counts, counts / np.sqrt(truth))
        assert fit is not None
        fits.append(fit)
    radii = np.array([fit.radius_of_gyration for fit in fits])
    forwards = np.array([fit.forward_intensity for fit in fits])
    # The range of the fit varies with the radius, so deviations are some larger than those of one range.
    assert radii.std() == pytest.approx(np.mean([fit.radius_sigma for fit in fits]), rel=0.3)
    assert forwards.std() == pytest.approx(np.mean([fit.forward_sigma for fit in fits]), rel=0.3)
    assert radii.mean() == pytest.approx(3.0, abs=4 * radii.std() / 20 + 0.01)


def test_a_curve_that_does_not_fall_has_no_radius_of_gyration() -> None:
    q = bins(1.0, 100)
    for intensity in (np.exp(q), np.full(100, 3.0), np.full(100, np.nan), np.zeros(100)):
        assert guinier_fit(q, intensity, np.ones(100)) is None
    assert guinier_fit(q[:4], np.exp(-q[:4]), np.ones(4)) is None


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=0, max_size=40))
def test_no_curve_is_too_strange(values: list[float]) -> None:
    q = bins(1.0, len(values)) if values else np.empty(0)
    intensity = np.array(values, dtype=np.float64)
    with np.errstate(all="ignore"):
        integral_parameters(q, intensity, 0.1, 0.7)
        fit = guinier_fit(q, intensity, np.abs(intensity))
    assert fit is None or fit.radius_of_gyration > 0.0
