"""Cut-outs: the right pixels, the right axes, the pulse in the middle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.pipelines.candidates.cut_out import cut_out, dynamic_spectrum
from devices.pipelines.search.band import Band
from devices.pipelines.search.pulse import dispersed_pulse
from tests.pipelines.brute_search import BAND, LOOK_BACK, SAMPLES, beam

KEPT = LOOK_BACK + SAMPLES


def still(size: int = 20, channels: int = 16) -> np.ndarray:
    return np.zeros((channels, KEPT, size, size), np.float32)


def test_an_l_shaped_source_keeps_its_axes() -> None:
    recent = still()
    # A long bar along declination, a short foot along right ascension, at its lower end.
    recent[:, :, 5:14, 8] = 1.0
    recent[:, :, 5, 8:11] = 2.0
    shape = cut_out(recent, LOOK_BACK, 8, 9, np.zeros(16), 5, 1, size=11)[0, 12]
    expected = np.zeros((11, 11))
    expected[2:11, 4] = 1.0
    expected[2, 4:7] = 2.0
    np.testing.assert_array_equal(shape, expected)


@pytest.mark.parametrize(("y", "x"), [(0, 0), (0, 29), (19, 0), (19, 29), (1, 27)])
def test_at_the_edges_the_rest_is_filled(y: int, x: int) -> None:
    recent = np.ones((16, KEPT, 20, 30), np.float32)
    recent[:, :, y, x] = 7.0
    images = cut_out(recent, LOOK_BACK, y, x, np.zeros(16), 5, 1, size=9, fill=-1.0)
    assert images.shape == (16, 25, 9, 9)
    assert (images[:, 12, 4, 4] == 7.0).all()
    rows = [0 <= y + dy < 20 for dy in range(-4, 5)]
    columns = [0 <= x + dx < 30 for dx in range(-4, 5)]
    np.testing.assert_array_equal(images[0, 12] == -1.0, ~np.outer(rows, columns))


@settings(max_examples=40, deadline=None)
@given(
    dm=st.floats(0.0, 4847.0),
    width=st.sampled_from([1, 2, 4, 8]),
    sample=st.integers(-7, 12),
    y=st.integers(0, 14),
    x=st.integers(0, 14),
)
def test_a_pulse_is_at_once_in_all_channels_and_in_the_middle(dm, width, sample, y, x) -> None:
    series = dispersed_pulse(BAND, dm, width, LOOK_BACK + sample, KEPT)
    recent = (series[:, :, None, None] * beam(15, y, x)).astype(np.float32)
    images = cut_out(recent, LOOK_BACK, y, x, BAND.lead_samples(dm), sample, width)
    light = images[:, :, 5, 5]
    first = (25 - width + 1) // 2
    # Interpolated, a pulse is smeared by a sample at each end; its sum stays.
    np.testing.assert_allclose(light[:, first - 1 : first + width + 1].sum(axis=1), width, atol=1e-5)
    np.testing.assert_allclose(light.sum(axis=1), width, atol=1e-5)
    np.testing.assert_allclose(light[-1, first : first + width], 1.0, atol=1e-6)
    if dm == 0.0:
        np.testing.assert_array_equal(light[:, first : first + width], 1.0)


def test_what_is_before_and_after_what_is_kept_is_filled() -> None:
    recent = np.ones((2, 30, 3, 3), np.float32)
    late = cut_out(recent, 5, 1, 1, np.array([4.0, 0.0]), 20, 1, size=3)[:, :, 1, 1]
    # 25 samples about sample 25 of 30: from 13 on; the first channel is read 4 earlier.
    assert late[1].tolist() == [1.0] * 17 + [0.0] * 8
    assert late[0].tolist() == [1.0] * 21 + [0.0] * 4
    early = cut_out(recent, 5, 1, 1, np.array([4.5, 0.0]), 0, 1, size=3)[:, :, 1, 1]
    assert early[1].tolist() == [0.0] * 7 + [1.0] * 18
    assert early[0].tolist() == [0.0] * 12 + [1.0] * 13


def test_a_missing_channel_is_the_baseline() -> None:
    recent = still() + 3.0
    recent[4] = np.nan
    images = cut_out(recent, LOOK_BACK, 10, 10, np.zeros(16), 5, 1)
    assert (images[4] == 0.0).all() and (images[5] == 3.0).all()


@pytest.mark.parametrize("size", [0, 10, -3])
def test_an_even_size_has_no_middle(size: int) -> None:
    with pytest.raises(ValueError, match=f"size = {size} px: an odd number"):
        cut_out(still(), LOOK_BACK, 5, 5, np.zeros(16), 5, 1, size=size)


def test_a_pixel_outside_and_a_wrong_band_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(5, 20\) is outside of the image of 20 x 20"):
        cut_out(still(), LOOK_BACK, 5, 20, np.zeros(16), 5, 1)
    with pytest.raises(ValueError, match="15 leads for 16 channels"):
        cut_out(still(), LOOK_BACK, 5, 5, np.zeros(15), 5, 1)


def test_a_dynamic_spectrum_shows_the_sweep_and_keeps_the_noise() -> None:
    rng = np.random.default_rng(9)
    recent = rng.standard_normal((16, KEPT, 21, 33), np.float32)
    noise = dynamic_spectrum(recent, 10, 20)
    assert noise.shape == (16, KEPT)
    assert noise.std() == pytest.approx(1.0, abs=0.1)
    series = dispersed_pulse(BAND, 4847.0, 2, LOOK_BACK + 10, KEPT)
    light = (series[:, :, None, None] * beam(33, 10, 20)[:21]).astype(np.float32)
    spectrum = dynamic_spectrum(light, 10, 20)
    lead = spectrum.argmax(axis=1)[-1] - spectrum.argmax(axis=1)[0]
    assert lead == pytest.approx(BAND.lead_samples(4847.0)[0], abs=1.0)
    # A matched weight gains the root of the beam's squares, 10.2 pixels wide of 3 per half maximum.
    assert spectrum.max() == pytest.approx(np.sqrt(np.sum(beam(33, 16, 16) ** 2)), rel=0.01)


def test_a_dynamic_spectrum_at_a_corner_and_of_a_missing_channel() -> None:
    recent = still(channels=3)
    recent[0], recent[1] = 1.0, np.nan
    corner = dynamic_spectrum(recent, 0, 19)
    assert (corner[0] > 1.0).all() and np.isnan(corner[1]).all() and (corner[2] == 0.0).all()


def test_a_band_of_four_nodes_has_four_channels() -> None:
    images = cut_out(still(channels=4), LOOK_BACK, 3, 4, Band.dsa110(4).lead_samples(814.4), 5, 2, size=7)
    assert images.shape == (4, 25, 7, 7)
