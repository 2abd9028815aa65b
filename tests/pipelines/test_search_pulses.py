"""What the search recovers of pulses: at and between trials, over borders of gulps, and with channels missing."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from devices.pipelines.search.psf import gaussian_psf
from devices.pipelines.search.result import SearchResult
from devices.pipelines.search.search import Search
from devices.pipelines.search.settings import SearchSettings
from tests.support.search_sky import ALL, BAND, SAMPLES, TRIALS, Sky, add_pulse, point

SIZE = (37, 47)
PSF = gaussian_psf(BAND, 11)
#: Centre, beside two corners, at a border and away from all; a source at the edge is seen by half.
PLACES = [(18, 23), (1, 1), (35, 45), (0, 30), (9, 11)]


def optimum(source: NDArray[np.float32], height: float, width: float) -> float:
    """Significance of the matched filter in noise of 1."""
    return float(height * math.sqrt(width * np.sum(source.astype(np.float64) ** 2)))


def searched(search: Search, gulps: list[NDArray[np.float32]]) -> list[SearchResult]:
    """Search some gulps and leave the constant sky as it was: the next pulse at the place is as new as the first."""
    baseline = copy.deepcopy(search._baseline)
    results = [search(gulp, ALL) for gulp in gulps]
    search._baseline = baseline
    return results


def trial_of(result: SearchResult, y: int, x: int) -> tuple[int, int, int]:
    return int(result.best_dm[y, x]), int(result.best_width[y, x]), int(result.best_sample[y, x])


@pytest.mark.long
def test_a_pulse_is_found_at_its_trial_pixel_and_sample() -> None:
    sky = Sky(SIZE, seed=11)
    search = sky.warmed(Search(BAND, TRIALS, psf=PSF), 20)
    sources = [point(PSF, SIZE, *place) for place in PLACES]
    recovered: dict[int, list[tuple[float, float]]] = {width: [] for width in TRIALS.widths}
    for k, dm in enumerate(TRIALS.dms):
        for w, width in list(enumerate(TRIALS.widths))[k % 2 :: 2]:
            gulps, strength, start = (
                [sky.gulp(), sky.gulp()],
                (8.0, 15.0, 50.0)[(k // 2 + w) % 3],
                SAMPLES + 8 - (k + w) % 8,
            )
            best = []
            for source in sources:
                height = strength / optimum(source, 1.0, width)
                add_pulse(gulps, source, height, dm, width, start)
                best.append(optimum(source, height, width))
            result = searched(search, gulps)[1]
            for (y, x), of_filter in zip(PLACES, best, strict=True):
                near = np.s_[max(0, y - 4) : y + 5, max(0, x - 4) : x + 5]
                peak = result.snr[near]
                at = np.unravel_index(np.argmax(peak), peak.shape)
                found = (near[0].start + at[0], near[1].start + at[1])
                if strength > 10.0:
                    # Noise moves the peak of a weak pulse by FWHM / (2 S/N): 0.1 px at 15 sigma.
                    assert max(abs(found[0] - y), abs(found[1] - x)) <= (0 if strength > 20.0 else 1), (k, w, y, x)
                recovered[width].append((float(result.snr[y, x]), of_filter))
                if strength > 20.0:
                    found_k, found_w, sample = trial_of(result, y, x)
                    assert found_w == w
                    assert abs(sample - (start - SAMPLES)) <= 1
                    # The first trials differ by less than a sample of delay.
                    assert abs(BAND.lead_samples(TRIALS.dms[found_k])[0] - BAND.lead_samples(dm)[0]) < 1.1
    # What is lost is the interpolation between two samples: a third of the energy of width 1.
    bounds = {1: 0.80, 2: 0.88, 4: 0.93, 8: 0.96, 16: 0.97}
    fractions = {width: np.sum(pairs, axis=0) for width, pairs in recovered.items()}
    for width, (found_snr, optimal) in fractions.items():
        assert found_snr / optimal > bounds[width], width
    assert np.mean([found_snr / optimal for found_snr, optimal in fractions.values()]) > 0.93


def test_pulses_between_trials_are_found() -> None:
    random, sky = np.random.default_rng(6), Sky(SIZE, seed=12)
    search = sky.warmed(Search(BAND, TRIALS, psf=PSF), 20)
    fractions, errors = [], []
    for _ in range(20):
        gulps = [sky.gulp(), sky.gulp()]
        drawn = []
        for y, x in PLACES:
            dm, width = random.uniform(0.0, 4400.0), random.uniform(1.0, 16.0)
            start = SAMPLES + random.uniform(0.0, SAMPLES - 1.0 - width)
            source = point(PSF, SIZE, y, x)
            height = 100.0 / optimum(source, 1.0, width)
            add_pulse(gulps, source, height, dm, width, start)
            drawn.append((y, x, dm))
        result = searched(search, gulps)[1]
        for y, x, dm in drawn:
            fractions.append(result.snr[y, x] / 100.0)
            found = TRIALS.dms[result.best_dm[y, x]]
            errors.append(abs(BAND.lead_samples(found)[0] - BAND.lead_samples(dm)[0]))
    assert np.mean(fractions) >= 0.90
    assert np.min(fractions) >= 0.70
    assert np.median(errors) <= 1.0


def test_high_frequencies_lead() -> None:
    sky = Sky((16, 21), seed=13)
    search = sky.warmed(Search(BAND, TRIALS), 8)
    source = np.zeros((16, 16, 21), np.float32)
    source[:, 5, 17] = 1.0
    gulps = [sky.gulp(), sky.gulp()]
    add_pulse(gulps, source, 100.0, 1986.9, 1.0, 40.0)
    late = searched(search, gulps)[1]
    assert trial_of(late, 5, 17) == (TRIALS.dms.index(TRIALS.dms[11]), 0, 15)
    assert TRIALS.dms[11] == pytest.approx(1986.9, abs=0.1)
    # The same pulse with time turned round: high frequencies come last. No trial gathers it.
    gulps = [sky.gulp(), sky.gulp()]
    add_pulse(gulps, source, 100.0, 1986.9, 1.0, 12.0)
    gulps = [gulp[:, ::-1].copy() for gulp in gulps[::-1]]
    inverted = np.max([each.snr[5, 17] for each in searched(search, gulps)])
    assert inverted < 0.5 * late.snr[5, 17]


@pytest.mark.parametrize("width", [4, 16])
def test_no_border_of_gulps_costs_or_doubles_a_pulse(width: int) -> None:
    dm, place = TRIALS.dms[10], (7, 12)
    sky = Sky((15, 19), seed=14)
    search = sky.warmed(Search(BAND, TRIALS), 60)
    source = np.zeros((16, 15, 19), np.float32)
    source[:, place[0], place[1]] = 1.0
    recovered = []
    for start in range(-20, 25):
        gulps = [sky.gulp() for _ in range(5)]
        begins = 2 * SAMPLES + start
        add_pulse(gulps, source, 1000.0 / math.sqrt(16 * width), dm, width, begins)
        results = searched(search, gulps)
        strongest = max(range(5), key=lambda index: results[index].snr[place])
        assert strongest == (begins + width - 1) // SAMPLES
        k, w, sample = trial_of(results[strongest], *place)
        assert (k, TRIALS.widths[w]) == (10, width)
        assert sample + strongest * SAMPLES == begins
        recovered.append(results[strongest].snr[place])
    assert np.ptp(recovered) < 0.01 * np.mean(recovered)
    assert np.mean(recovered) > 900.0


def test_the_gulps_whose_past_is_not_known_say_so() -> None:
    sky, search = Sky((9, 12)), Search(BAND, TRIALS)
    # 35 samples of look-back are two gulps of 25.
    assert [search(sky.gulp(), ALL).complete for _ in range(4)] == [False, False, True, True]
    assert not search(sky.gulp(), ALL, follows=False).complete
    assert [search(sky.gulp(), ALL).complete for _ in range(2)] == [False, True]
    alone = Search(BAND, TRIALS, SearchSettings(append_frame=False))
    assert not any(alone(sky.gulp(), ALL).complete for _ in range(4))


def test_without_look_back_a_pulse_over_a_border_is_cut() -> None:
    found = {}
    for append in (True, False):
        sky = Sky((15, 19), seed=15)
        search = sky.warmed(Search(BAND, TRIALS, SearchSettings(append_frame=append)), 10)
        source = np.zeros((16, 15, 19), np.float32)
        source[:, 7, 12] = 1.0
        gulps = [sky.gulp(), sky.gulp()]
        add_pulse(gulps, source, 40.0 / math.sqrt(16 * 16), TRIALS.dms[12], 16, SAMPLES - 5)
        found[append] = max(each.snr[7, 12] for each in searched(search, gulps))
    assert found[True] > 36.0
    assert found[False] < 0.85 * found[True]


@pytest.mark.parametrize("missing", [[3], [0, 15], [1, 2, 5, 7, 8, 9, 12, 14], list(range(15))])
def test_missing_channels_cost_their_share(missing: list[int]) -> None:
    sky = Sky((15, 19), seed=16)
    search = sky.warmed(Search(BAND, TRIALS), 10)
    present = ALL.copy()
    present[missing] = False
    cubes = [sky.gulp() for _ in range(5)]
    cubes[4][:, 8:16, 7, 12] += 100.0 / math.sqrt(16 * 8)
    for cube in cubes:
        cube[missing] = np.nan
        result = search(cube, present)
    expected = 100.0 * math.sqrt(present.sum() / 16.0)
    assert result.snr[7, 12] == pytest.approx(expected, abs=4.0 + 0.02 * expected)
    np.testing.assert_array_equal(result.present, present)
    np.testing.assert_array_equal(np.isnan(result.channel_sigma), ~present)
    quiet = search(sky.gulp(), present)
    assert 2.0 < np.median(quiet.snr) < 4.0
    assert np.delete(quiet.snr.ravel(), 7 * 19 + 12).max() < 7.0
    assert np.isnan(search.recent[missing, -SAMPLES:]).all()
    assert np.isfinite(search.recent[present]).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e38])
def test_one_impossible_value_leaves_its_channel_out(value: float) -> None:
    sky = Sky((15, 19), seed=17)
    search = sky.warmed(Search(BAND, TRIALS, psf=PSF), 5)
    cube = sky.gulp()
    cube[6, 13, 4, 9] = value
    result = search(cube, ALL)
    assert list(np.flatnonzero(~result.present)) == [6]
    for each in (result, search(sky.gulp(), ALL)):
        assert np.isfinite(each.snr).all() and np.isfinite(each.sigma).all()
        assert each.snr.max() < 7.0


def test_a_dead_channel_is_left_out() -> None:
    sky = Sky((15, 19), seed=18, level=12.0)
    search = Search(BAND, TRIALS)
    pattern = np.random.default_rng(0).normal(50.0, 9.0, (15, 19)).astype(np.float32)
    for dead in (7.0, pattern):
        for _ in range(3):
            cube = sky.gulp()
            cube[9] = dead
            result = search(cube, ALL)
            assert list(np.flatnonzero(~result.present)) == [9]
    assert search(sky.gulp(), ALL).present.all()


def test_nothing_is_found_where_nothing_came() -> None:
    sky, search = Sky((15, 19)), Search(BAND, TRIALS, SearchSettings(threshold=0.0), PSF)
    empty = np.full((16, SAMPLES, 15, 19), np.nan, np.float32)
    for _ in range(2):
        result = search(empty, ~ALL)
        assert len(result.voxels) == 0
        assert not result.snr.any() and not result.present.any()
    sky.warmed(search, 3)
    assert not search(empty, ~ALL).snr.any()
    assert search(sky.gulp(), ALL).snr.all()


def test_bytes_are_searched_as_numbers() -> None:
    sky = Sky((25, 31), sigma=2.0, seed=19)
    search = Search(BAND, TRIALS)
    for _ in range(8):
        search(np.round(sky.gulp()).astype(np.int8), ALL)
    cube = sky.gulp()
    cube[:, 10:14, 11, 22] += 12.0
    result = search(np.round(cube).astype(np.int8), ALL)
    # Rounding adds 1/12 to the variance.
    np.testing.assert_allclose(result.channel_sigma, math.sqrt(4.0 + 1.0 / 12.0), rtol=0.03)
    assert result.snr[11, 22] == pytest.approx(12.0 * math.sqrt(16 * 4) / math.sqrt(4.0 + 1.0 / 12.0), abs=4.0)
