"""Significances of noise: true sigmas, and no more of them than chance gives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from devices.pipelines.search.band import Band
from devices.pipelines.search.psf import gaussian_psf
from devices.pipelines.search.search import Search
from devices.pipelines.search.settings import SearchSettings
from devices.pipelines.search.slow import SlowSearch
from devices.pipelines.search.trials import Trials
from tests.support.search_sky import ALL, BAND, SAMPLES, TRIALS, Sky


def test_noise_of_every_trial_follows_from_that_of_channels() -> None:
    sky = Sky((60, 70), sigma=2.5, level=-300.0)
    search = Search(BAND, TRIALS, SearchSettings(baseline_gulps=1000))
    for _ in range(12):
        result = search(sky.gulp(), ALL)
    np.testing.assert_allclose(result.channel_sigma, 2.5, rtol=0.01)
    for k, dm in enumerate(TRIALS.dms):
        part = BAND.lead_samples(dm) % 1.0
        for w, width in enumerate(TRIALS.widths):
            white = 2.5**2 * np.sum((1.0 - part) ** 2 + part**2 + width - 1)
            # The constant sky is known from 11 gulps, of which the last is not used yet.
            sky_s = 16 * 2.5**2 * width**2 / (10 * SAMPLES)
            assert result.sigma[k, w] == pytest.approx(math.sqrt(white + sky_s), rel=0.03), (dm, width)


@pytest.mark.parametrize("filtered", [False, pytest.param(True, marks=pytest.mark.long)])
def test_noise_has_unit_significance_in_every_trial(filtered: bool) -> None:
    # With one sample in a gulp the greatest of its samples is that sample: significances are normally distributed.
    search = Search(
        BAND,
        TRIALS,
        SearchSettings(threshold=-math.inf, most_voxels=10**9, baseline_gulps=10_000),
        gaussian_psf(BAND, 7, fwhm_px=2.0) if filtered else None,
    )
    random = np.random.default_rng(3)
    size, kept, deviations = (32, 48), [], []
    for gulp in range(241):
        result = search(random.normal(7.0, 3.0, (16, 1, *size)).astype(np.float32), ALL)
        if gulp >= 180 and gulp % 20 == 0:
            kept.append(result.voxels)
    # Filtered pixels are alike over a beam: there are fewer independent ones.
    for k in range(len(TRIALS.dms)):
        for w in range(len(TRIALS.widths)):
            values = np.concatenate([each.snr[(each.dm == k) & (each.width == w)] for each in kept])
            assert len(values) == len(kept) * size[0] * size[1]
            assert np.std(values) == pytest.approx(1.0, abs=0.12 if filtered else 0.035), (k, w)
            assert np.mean(values) == pytest.approx(0.0, abs=0.2), (k, w)
            deviations.append(np.std(values))
    assert np.mean(deviations) == pytest.approx(1.0, abs=0.03)


def false_alarms(trials: Trials, size: int, gulps: int, threshold: float) -> tuple[int, int]:
    """Pixels over a threshold, and how many there were, in noise."""
    search, sky = Search(BAND, trials, SearchSettings(baseline_gulps=1000)), Sky((size, size), seed=5)
    sky.warmed(search, 6)
    results = [search(sky.gulp(), ALL) for _ in range(gulps)]
    return sum(int((each.snr >= threshold).sum()) for each in results), gulps * size**2


@pytest.mark.long
def test_false_alarms_of_single_samples_are_those_of_chance() -> None:
    found, pixels = false_alarms(Trials((0.0,), (1,)), 150, 6, 4.0)
    expected = pixels * (1.0 - norm.cdf(4.0) ** SAMPLES)
    assert abs(found - expected) < 3.0 * math.sqrt(expected)


def test_false_alarms_of_all_trials_are_those_of_some_hundred_independent_ones() -> None:
    found, pixels = false_alarms(TRIALS, 150, 4, 4.0)
    independent = found / pixels / norm.sf(4.0)
    assert SAMPLES < independent < SAMPLES * 80
    # Counted by the definition on 540 000 pixels: 560 to 780.
    assert 0.8 * 560 < independent < 1.2 * 780


@pytest.mark.long
@pytest.mark.parametrize("kind", ["base", "slow"])
@pytest.mark.parametrize("filtered", [False, True])
def test_a_sky_that_drifts_in_gives_no_more_false_alarms_than_the_rest(kind: str, filtered: bool) -> None:
    """1.37 px a gulp; the sky is bright, and new in the first columns and the last rows."""
    shift, size, new = (-0.6, 1.37), (44, 70), 10
    make: type[Search] | type[SlowSearch] = Search if kind == "base" else SlowSearch
    search = make(BAND, TRIALS, SearchSettings(), gaussian_psf(BAND, 9) if filtered else None)
    sky, hot = Sky(size, seed=6, level=30.0), np.zeros(size, np.int64)
    gulps, began = 40, 10
    for gulp in range(gulps):
        result = search(sky.gulp(), ALL, shift if gulp else (0.0, 0.0))
        if gulp == 3:
            # Nor are there more while the sky of the whole image is new.
            assert result.snr.max() < 7.0
        if gulp >= began:
            hot += result.snr >= 4.0
    edge = np.ones(size, np.bool_)
    edge[:-new, new:] = False
    rates = [hot[where].sum() / where.sum() / (gulps - began) / norm.sf(4.0) for where in (edge, ~edge)]
    pixels = (gulps - began) * edge.sum()
    # Filtered pixels come by the beam, of some 10 pixels.
    chance = 4.0 * math.sqrt((10.0 if filtered else 1.0) / (rates[1] * norm.sf(4.0) * pixels))
    # New pixels look back to nothing, and are doubted: there are fewer.
    assert 0.25 < rates[0] / rates[1] < 1.0 + chance
    # The rest has as many independent trials as `test_false_alarms_of_all_trials...` says; in bins there are fewer.
    assert (0.8 * 560 if kind == "base" and not filtered else 25) < rates[1] < 1.2 * 780


def test_noise_follows_slowly_and_a_noisy_gulp_is_divided_by_its_own() -> None:
    search, quiet, loud = Search(BAND, TRIALS), Sky((40, 44)), Sky((40, 44), sigma=4.0, seed=2)
    quiet.warmed(search, 8)
    storm = search(loud.gulp(), ALL)
    np.testing.assert_allclose(storm.channel_sigma, 4.0, rtol=0.06)
    assert storm.snr.max() < 6.0
    after = search(quiet.gulp(), ALL)
    np.testing.assert_allclose(after.channel_sigma, 1.0, rtol=0.1)
    for _ in range(60):
        result = search(loud.gulp(), ALL)
    np.testing.assert_allclose(result.channel_sigma, 4.0, rtol=0.05)
    search.reset_noise()
    np.testing.assert_allclose(search(quiet.gulp(), ALL).channel_sigma, 1.0, rtol=0.06)


def test_noisy_pixels_are_divided_by_their_own_noise() -> None:
    def gulps() -> list[np.ndarray]:
        sky = Sky((30, 40), seed=9)
        cubes = [sky.gulp() for _ in range(14)]
        for cube in cubes:
            cube[:, :, 10:20, 30:] *= 3.0
        return cubes

    same, own = (Search(BAND, TRIALS, SearchSettings(same_noise=flag)) for flag in (True, False))
    for cube in gulps():
        one, other = same(cube, ALL), own(cube, ALL)
    noisy = np.s_[10:20, 30:]
    quiet = np.s_[:, :30]
    assert np.median(one.snr[noisy]) / np.median(one.snr[quiet]) == pytest.approx(3.0, rel=0.1)
    assert np.median(other.snr[noisy]) / np.median(other.snr[quiet]) == pytest.approx(1.0, rel=0.1)


def test_weights_recover_what_noisy_channels_cost() -> None:
    # Half of the channels have 5 times the noise: sum of S^2/sigma^2 against (sum of S)^2 / sum of sigma^2.
    sigma = np.where(np.arange(16) % 2, 5.0, 1.0)
    gained = {}
    for weighted in (False, True):
        search, sky = Search(BAND, TRIALS, SearchSettings(weighted=weighted)), Sky((20, 26), seed=4)
        for _ in range(10):
            search(sky.gulp() * sigma[:, None, None, None].astype(np.float32), ALL)
        cube = sky.gulp() * sigma[:, None, None, None].astype(np.float32)
        cube[:, 6:14, 5, 17] += 40.0
        gained[weighted] = search(cube, ALL).snr[5, 17]
    plain = 16 * 8 * 40.0 / math.sqrt(8 * np.sum(sigma**2))
    best = 40.0 * math.sqrt(8 * np.sum(1.0 / sigma**2))
    assert gained[False] == pytest.approx(plain, rel=0.04)
    assert gained[True] == pytest.approx(best, rel=0.04)


def test_a_channel_of_a_band_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(16, 25, 4, 5\), not \(15, samples, y, x\)"):
        Search(Band.dsa110(15), TRIALS)(Sky((4, 5)).gulp(), ALL)
