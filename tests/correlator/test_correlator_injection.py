"""Injected pulses: what is added to the cubes, and what the search is expected to make of it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from devices.correlator.injection import Pulse, add_pulse, response
from devices.pipelines.search.band import Band
from devices.pipelines.search.psf import gaussian_psf
from devices.pipelines.search.trials import Trials
from devices.pipelines.search.weights import Weights

BAND = Band.dsa110()
TRIALS = Trials((0.0, 300.0, 814.0), (1, 2, 4))
ONE = np.ones(16)


def white_sigma(sigma: float) -> np.ndarray:
    return np.sqrt(Weights.of(BAND, TRIALS).variance(np.full(16, sigma**2)))


def test_an_undispersed_pulse_of_a_trials_width_is_found_with_the_matched_significance() -> None:
    pulse = Pulse("a", 3, 4, dm=0.0, width=4.0, snr=20.0, start=5.0)
    # 16 channels and 4 samples of height 1 in noise of 2: 64 / (2 * sqrt(64)).
    assert response(pulse, BAND, TRIALS, white_sigma(2.0), ONE) == pytest.approx(4.0)
    half = np.where(np.arange(16) < 4, 0.0, 1.0)  # 4 sub-bands are missing, in the noise as well
    sigma = np.sqrt(Weights.of(BAND, TRIALS).variance(4.0 * half))
    assert response(pulse, BAND, TRIALS, sigma, half) == pytest.approx(4.0 * math.sqrt(12 / 16))


def test_a_dispersed_pulse_loses_what_interpolation_loses_and_one_off_all_trials_more() -> None:
    matched = math.sqrt(16 * 4)
    own = Pulse.whole(BAND, "a", 3, 4, dm=814.0, width=4.0, snr=20.0)
    off = Pulse.whole(BAND, "a", 3, 4, dm=1900.0, width=4.0, snr=20.0)
    found, missed = (response(each, BAND, TRIALS, white_sigma(1.0), ONE) for each in (own, off))
    assert 0.93 * matched < found < matched
    assert missed < 0.8 * found


def test_the_highest_channel_of_a_whole_pulse_begins_with_the_gulp_and_it_goes_on_in_the_next() -> None:
    pulse = Pulse.whole(BAND, "a", 3, 4, dm=3000.0, width=8.0, snr=20.0)
    first, second = pulse.signal(BAND, 0, 25), pulse.signal(BAND, 25, 25)
    assert first[0, :8] == pytest.approx(np.ones(8)) and not first[0, 9:].any()
    lead = float(BAND.lead_samples(3000.0)[0])
    assert lead > 8.0
    # The lowest channel begins the whole delay later; nothing of the 8 samples is lost.
    assert first[15].sum() + second[15].sum() == pytest.approx(8.0)
    assert first[15, : int(lead)].sum() == 0.0
    together = pulse.signal(BAND, 0, 50)
    np.testing.assert_allclose(np.hstack([first, second]), together)


def test_a_pulse_is_added_with_the_beam_about_its_pixel_and_cut_at_the_border() -> None:
    cube = np.zeros((16, 25, 20, 30), np.float32)
    cube[5] = np.nan  # a sub-band that did not come
    signal = Pulse("a", 1, 28, 0.0, 2.0, 20.0, 7.5).signal(BAND, 0, 25)
    add_pulse(cube, signal, gaussian_psf(BAND, 15), 1, 28, 10.0)
    assert cube[0, 8, 1, 28] == pytest.approx(10.0)
    assert cube[0, 7, 1, 28] == cube[0, 9, 1, 28] == pytest.approx(5.0), "half a sample at each end"
    # The beam has 3 pixels at half maximum in the highest channel: 1.5 pixels off there is half of it.
    assert cube[0, 8, 1, 27] == pytest.approx(10.0 * 2.0 ** -((1 / 1.5) ** 2), rel=1e-3)
    assert cube[15, 8, 2, 28] > cube[0, 8, 2, 28], "wider at longer waves"
    assert np.isnan(cube[5]).all()
    assert not cube[0, :7].any() and not cube[0, 10:].any()
    one = np.zeros((16, 25, 20, 30), np.float32)
    add_pulse(one, signal, None, 1, 28, 10.0)
    assert one[3, 8, 1, 28] == 10.0 and np.count_nonzero(one[3, 8]) == 1
