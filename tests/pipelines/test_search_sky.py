"""The constant sky: taken away, also while it drifts over the pixels; pulses are not taken away with it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from devices.pipelines.search.drift import interpolated, shifted
from devices.pipelines.search.image_difference import ImageDifference
from devices.pipelines.search.psf import gaussian_psf
from devices.pipelines.search.search import Search
from devices.pipelines.search.settings import SearchSettings
from devices.pipelines.search.slow import SlowSearch
from tests.support.search_sky import ALL, BAND, SAMPLES, TRIALS, Sky, add_pulse

SIZE = (24, 41)


def beam(y: float, x: float, size: tuple[int, int] = SIZE) -> NDArray[np.float32]:
    """A round source, 3 px FWHM, anywhere; axes (y, x)."""
    row, column = np.mgrid[: size[0], : size[1]]
    return np.exp(-4.0 * math.log(2.0) * ((row - y) ** 2 + (column - x) ** 2) / 9.0).astype(np.float32)


def test_images_move_by_fractions_of_pixels() -> None:
    images = np.stack([beam(12.0, 20.0), 3.0 * beam(8.0, 28.0), beam(15.0, 11.0)])
    moved = shifted(images, (1.3, -2.45))
    expected = np.stack([beam(13.3, 17.55), 3.0 * beam(9.3, 25.55), beam(16.3, 8.55)])
    np.testing.assert_allclose(moved, expected, atol=1e-3)
    whole = shifted(images, (2.0, -3.0))
    np.testing.assert_array_equal(whole[:, 2:, :-3], images[:, :-2, 3:])
    assert not whole[:, :2].any() and not whole[:, :, -3:].any()
    noise = np.random.default_rng(0).normal(size=(50, *SIZE)).astype(np.float32)
    inner = np.s_[:, 3:-3, 3:-3]
    assert shifted(noise, (0.5, 0.5))[inner].std() == pytest.approx(1.0, abs=0.03)
    ramp = np.tile(np.arange(41, dtype=np.float32), (24, 1))
    np.testing.assert_allclose(interpolated(ramp, (0.0, 1.25), np.nan)[:, 2:], ramp[:, 2:] - 1.25, atol=1e-5)
    assert np.isnan(interpolated(ramp, (0.0, 1.25), np.nan)[:, :2]).all()


def test_a_constant_source_is_no_pulse() -> None:
    sky, search = Sky(SIZE, level=1000.0), Search(BAND, TRIALS)
    for gulp in range(30):
        result = search(sky.gulp() + 200.0 * beam(7.0, 30.0), ALL)
        assert result.snr.max() < 7.0, gulp


def test_a_source_that_comes_to_stay_is_reported_and_then_constant() -> None:
    sky = Sky(SIZE, seed=3)
    search = sky.warmed(Search(BAND, TRIALS), 20)
    source = 40.0 * beam(7.0, 30.0)
    found = [float(search(sky.gulp() + source, ALL).snr.max()) for _ in range(50)]
    # 16 samples of 16 channels at 40 sigma.
    assert found[0] == pytest.approx(40.0 * 16.0, rel=0.03)
    # Its skirts are below 5 sigma of a channel's mean, which is one sigma of a sample: the running mean takes them.
    assert max(found[6:]) < 16.0 + 4.0
    assert found[-1] < 7.0


def test_a_new_sky_is_not_compared_with_the_old_one() -> None:
    sky = Sky(SIZE, seed=4)
    search = sky.warmed(Search(BAND, TRIALS), 10)
    new = sky.gulp() + 50.0 * beam(7.0, 30.0)
    result = search(new, ALL, follows=False)
    assert result.snr.max() < 7.0
    assert not result.complete


@pytest.mark.parametrize("width", [8, 16])
def test_a_wide_pulse_does_not_remove_itself(width: int) -> None:
    # Upstream's median over 25 samples takes all of a pulse of 16 away.
    sky = Sky(SIZE, seed=5)
    search = sky.warmed(Search(BAND, TRIALS), 40)
    cube = sky.gulp()
    cube[:, 5 : 5 + width, 7, 30] += 60.0 / math.sqrt(16 * width)
    assert search(cube, ALL).snr[7, 30] == pytest.approx(60.0, abs=4.0)
    # In a first gulp, from which the constant sky is not known, what can be told of it is sqrt(1 - width / 25).
    first = Search(BAND, TRIALS)(cube, ALL)
    assert first.snr[7, 30] == pytest.approx(60.0 * math.sqrt(1.0 - width / 25.0), abs=4.0)


@pytest.mark.parametrize("filtered", [False, True])
def test_a_drifting_sky_stays_constant_and_a_pulse_in_it_whole(filtered: bool) -> None:
    """1.4 px a gulp: the sky at 36 arc seconds a pixel."""
    shift = (0.1, 1.37)
    sky = Sky(SIZE, seed=6)
    search = Search(BAND, TRIALS, psf=gaussian_psf(BAND, 9) if filtered else None)
    gulps = [sky.gulp() for _ in range(16)]
    places = [(6.0 + shift[0] * n, 5.0 + shift[1] * n) for n in range(16)]
    for gulp, (y, x) in zip(gulps, places, strict=True):
        gulp += 12.0 * beam(y, x)
    # Begins in gulp 13 and ends in gulp 14, at a place of its own that drifts as all do.
    quiet = [gulp.copy() for gulp in gulps]
    y, x = 15.0 - 0.1, 24.0 - shift[1]
    for index in (13, 14):
        source = np.tile(beam(y + (index - 13) * shift[0], x + (index - 13) * shift[1]), (16, 1, 1))
        piece = [np.zeros_like(gulps[0]), np.zeros_like(gulps[0])]
        add_pulse(piece, source, 5.0, TRIALS.dms[4], 8.0, SAMPLES - 4.0)
        gulps[index] += piece[index - 13]
    for index, gulp in enumerate(gulps[:14]):
        result = search(gulp, ALL, shift if index else (0.0, 0.0))
        if index < 13:
            assert result.snr.max() < 7.0, index
    result = search(gulps[14], ALL, shift)
    assert np.unravel_index(np.argmax(result.snr), SIZE) == (15, 24)
    assert (result.best_dm[15, 24], result.best_width[15, 24], result.best_sample[15, 24]) == (4, 3, -4)
    energy = float(np.sum(beam(15.0, 24.0).astype(float) ** 2)) if filtered else 1.0
    assert result.snr[15, 24] == pytest.approx(5.0 * math.sqrt(16 * 8 * energy), rel=0.1)
    # Without the drift the constant source would be seen as one that moves.
    still = Search(BAND, TRIALS)
    assert max(still(gulp, ALL).snr.max() for gulp in quiet) > 20.0
    # What the search keeps for cut-outs has followed the sky, too.
    recent = search.recent
    assert recent.shape == (16, TRIALS.look_back(BAND) + SAMPLES, *SIZE)
    before = recent[15, -SAMPLES - 4 : -SAMPLES].mean(axis=0)
    assert np.unravel_index(np.nanargmax(before[:, 8:]), (SIZE[0], SIZE[1] - 8)) == (15, 24 - 8)


def test_pulses_of_seconds_are_found_in_bins() -> None:
    sky = Sky(SIZE, seed=7)
    slow = SlowSearch(BAND, TRIALS, SearchSettings())
    assert slow.trials.dms[1] == pytest.approx(5 * 213.7, abs=0.5)
    assert slow.band.sample_s == pytest.approx(0.671, abs=1e-3)
    for _ in range(45):
        slow(sky.gulp(), ALL)
    # 8 bins of 5 samples from bin 2 of a gulp on, at the third DM; a gulp has 5 bins.
    gulps, dm = [sky.gulp() for _ in range(4)], slow.trials.dms[3]
    source = np.zeros((16, *SIZE), np.float32)
    source[:, 7, 30] = 1.0
    add_pulse(gulps, source, 3.0 / math.sqrt(16), dm, 40.0, 25.0 + 10.0)
    results = [slow(gulp, ALL) for gulp in gulps]
    strongest = int(np.argmax([each.snr[7, 30] for each in results]))
    best = results[strongest]
    assert strongest == (25 + 10 + 40 - 1) // 25
    assert (best.best_dm[7, 30], slow.trials.widths[best.best_width[7, 30]]) == (3, 8)
    assert best.best_sample[7, 30] + 5 * strongest == 7
    assert best.snr[7, 30] == pytest.approx(3.0 * math.sqrt(40.0), rel=0.15)
    with pytest.raises(ValueError, match="24 samples are not a whole number of bins of 5"):
        slow(sky.gulp()[:, :24], ALL)


def test_what_appears_for_half_a_minute_is_found_in_differences_of_images() -> None:
    sky = Sky(SIZE, seed=8, level=30.0)
    difference = ImageDifference(BAND, SAMPLES, SearchSettings())
    assert difference.band.sample_s == pytest.approx(10.07, abs=0.01)
    source, found = 0.5 * beam(7.0, 30.0), []
    for gulp in range(132):
        # It is there for 4 images.
        on = 105 <= gulp < 117
        result = difference(sky.gulp() + (source if on else 0.0), ALL if gulp % 3 else np.arange(16) != 5)
        assert (result is not None) == (gulp % 3 == 2)
        if result is not None:
            # One image alone does not tell the noise of a sample.
            assert result.present.all() == (gulp > 2)
            found.append(result)
    best = found[38]
    assert np.argmax([each.snr.max() for each in found]) == 38
    assert np.unravel_index(np.argmax(best.snr), SIZE) == (7, 30)
    assert difference.trials.widths[best.best_width[7, 30]] == 4
    assert best.best_sample[7, 30] == -3
    # 0.5 sigma in 16 channels of 300 samples; channel 5 has two thirds of them.
    assert best.snr[7, 30] == pytest.approx(0.5 * math.sqrt(16 * 300), rel=0.2)
    assert max(each.snr.max() for each in found[18:35]) < 7.0
