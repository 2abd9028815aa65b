"""The strongest peak: found where physics put it, and not where there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from devices.pipelines.saxs_integrate import Integrator
from devices.pipelines.saxs_peak import strongest_peak
from devices.simulators.saxs import SilverBehenate

FIRST_RING = 2 * math.pi / 5.838  # nm^-1, silver behenate, d = 58.38 Angstrom
Q = (np.arange(700) + 0.5) * 0.009


def ring(center: float, height: float, width: float = 0.03) -> np.ndarray:
    return height * np.exp(-0.5 * ((Q - center) / width) ** 2)


@pytest.mark.parametrize("seconds", [0.02, 1.0])
@pytest.mark.parametrize("shape", [(256, 320), (521, 490)])
def test_the_first_ring_of_silver_behenate_is_the_strongest(shape: tuple[int, int], seconds: float) -> None:
    detector = SilverBehenate(shape, seed=3)
    profile = Integrator(detector.geometry, detector.mask).integrate(detector.expose(seconds))
    assert strongest_peak(profile.q, profile.intensity, profile.sigma) == pytest.approx(FIRST_RING, abs=0.003)


@pytest.mark.parametrize("center", [0.7000, 0.7023, 0.7045, 4.4321])
def test_a_peak_is_placed_to_a_tenth_of_a_bin(center: float) -> None:
    curve = 50.0 + ring(center, 1000.0)
    assert strongest_peak(Q, curve, np.sqrt(curve)) == pytest.approx(center, abs=0.0009)


def test_the_glow_around_the_beam_stop_is_not_a_ring() -> None:
    glow = np.where(Q > 0.2, 1e5 * np.exp(-((Q - 0.2) / 0.15)), 30.0 + 1e5 * (Q / 0.2) ** 40)
    curve = glow + ring(1.5, 2000.0)
    assert strongest_peak(Q, curve, np.sqrt(curve)) == pytest.approx(1.5, abs=0.001)


def test_bins_without_a_value_are_passed_over() -> None:
    curve = 10.0 + ring(2.0, 500.0)
    sigma = np.sqrt(curve)
    curve[:40], curve[300:320] = np.nan, np.nan
    assert strongest_peak(Q, curve, sigma) == pytest.approx(2.0, abs=0.001)


def test_counting_noise_alone_has_no_peak() -> None:
    area = 400.0  # pixels per bin
    for seed in range(50):
        counts = np.random.default_rng(seed).poisson(3.0 * area, len(Q))
        assert strongest_peak(Q, counts / area, np.sqrt(counts) / area) is None


@pytest.mark.parametrize("curve", [np.exp(-Q), np.full(len(Q), 7.0), np.full(len(Q), np.nan)])
def test_a_curve_without_a_maximum_has_no_peak(curve: np.ndarray) -> None:
    assert strongest_peak(Q, curve, np.full(len(Q), 1e-9)) is None


VALUES = st.floats(-1e300, 1e300) | st.sampled_from([math.nan, math.inf, 0.0])
CURVES = arrays(float, st.shared(st.integers(0, 40), key="bins"), elements=VALUES)


@settings(deadline=None)
@given(CURVES, CURVES)
def test_any_curve_has_a_peak_within_it_or_none(intensity: np.ndarray, sigma: np.ndarray) -> None:
    q = (np.arange(len(intensity)) + 0.5) * 0.1
    position = strongest_peak(q, intensity, np.abs(sigma))
    assert position is None or q[0] <= position <= q[-1]
