"""The engines beside the search written down as five loops in double precision."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from devices.pipelines.search.band import DISPERSION_MS_GHZ2
from devices.pipelines.search.psf import gaussian_psf
from devices.pipelines.search.search import Search
from devices.pipelines.search.settings import SearchSettings
from devices.pipelines.search.trials import Trials
from tests.support.search_sky import ALL, BAND, SAMPLES, TRIALS, Sky

SIZE = (7, 11)
EVERYTHING = SearchSettings(threshold=-math.inf, most_voxels=10**9)
ENGINES = ["cpu", "torch:cpu", "cuda"]


def skip_without_card(device: str) -> None:
    if device == "cuda":
        torch = pytest.importorskip("torch")
        if not torch.cuda.is_available():
            pytest.skip("no CUDA device here")


def literal(stream: NDArray[np.float64], trials: Trials) -> NDArray[np.float64]:
    """Sums of every trial; ``stream`` has axes (channel, sample, y, x), the last samples are those of the gulp.

    Returns:
        Axes (dm, width, last sample, y, x).
    """
    frequency = np.array(BAND.frequencies_mhz) / 1000.0
    sums = np.zeros((len(trials.dms), len(trials.widths), SAMPLES, *stream.shape[2:]))
    for k, dm in enumerate(trials.dms):
        for w, width in enumerate(trials.widths):
            for t in range(SAMPLES):
                for c in range(16):
                    delay = DISPERSION_MS_GHZ2 * dm * (frequency.min() ** -2 - frequency[c] ** -2) / 1000.0
                    delay /= BAND.sample_s
                    for back in range(width):
                        at = stream.shape[1] - SAMPLES + t - back - delay
                        first = math.floor(at)
                        part = at - first
                        sums[k, w, t] += (1.0 - part) * stream[c, first]
                        if part:
                            sums[k, w, t] += part * stream[c, first + 1]
    return sums


@pytest.mark.parametrize("device", ENGINES)
def test_every_voxel_is_that_of_the_definition(device: str) -> None:
    skip_without_card(device)
    trials = Trials((*TRIALS.dms[::3], 5000.0), (1, 3, 4, 7, 16))
    search = Search(BAND, trials, EVERYTHING, device=device)
    sky = Sky(SIZE, sigma=3.0, level=40.0)
    for gulp in range(5):
        cube = sky.gulp()
        if gulp == 4:
            cube[:, 11:15, 3, 5] += 9.0
        result = search(cube, ALL)
    # The constant sky that was taken away is that of the gulps before; what is left is the definition's input.
    stream = search.recent.astype(np.float64)
    doubt = np.unique(search._baseline.level(np.zeros((16, *SIZE), np.float32))[1])
    assert len(doubt) == 1
    expected = literal(stream, trials)
    assert result.complete
    assert len(result.voxels) == len(trials.dms) * 5 * SIZE[0] * SIZE[1]
    found = result.voxels
    significance = expected / result.sigma[:, :, None, None, None]
    best = significance.max(axis=2)
    np.testing.assert_allclose(found.snr, best[found.dm, found.width, found.y, found.x], atol=1e-4)
    last = found.sample + np.array(trials.widths)[found.width] - 1
    at_sample = significance[found.dm, found.width, last, found.y, found.x]
    np.testing.assert_allclose(found.snr, at_sample, atol=1e-4)
    np.testing.assert_allclose(result.snr, best.max(axis=(0, 1)), atol=1e-4)


@pytest.mark.parametrize("device", ENGINES[1:])
@pytest.mark.parametrize("change", [{}, {"weighted": True}, {"same_noise": False}, {"dm_batches": 5}])
def test_the_engines_agree(device: str, change: dict[str, bool]) -> None:
    skip_without_card(device)
    psf = gaussian_psf(BAND, 9)
    how = dataclasses.replace(EVERYTHING, **change)
    searches = [Search(BAND, TRIALS, how, psf, each) for each in ("cpu", device)]
    sky = Sky((17, 22), level=10.0)
    for gulp in range(6):
        cube, present = sky.gulp(), ALL.copy()
        cube[3] *= 2.0
        present[5] = gulp != 3
        shift = (0.3, -1.6) if gulp > 3 else (0.0, 0.0)
        ours, theirs = (search(cube, present, shift) for search in searches)
        np.testing.assert_allclose(ours.snr, theirs.snr, atol=1e-2)
        np.testing.assert_allclose(ours.channel_sigma, theirs.channel_sigma, rtol=1e-3)
        np.testing.assert_allclose(ours.sigma, theirs.sigma, rtol=1e-3)
        np.testing.assert_allclose(searches[0].recent, searches[1].recent, atol=1e-3)
        assert (ours.best_sample == theirs.best_sample).mean() > 0.99


@settings(max_examples=8, deadline=None)
@given(rows=st.integers(1, 9), columns=st.integers(1, 30), threads=st.integers(1, 3))
def test_results_do_not_depend_on_sub_images(rows: int, columns: int, threads: int) -> None:
    size = (11, 223)  # more than two lines of the kernel, and divided by nothing
    maps = []
    for how in ({"rows": 1, "columns": 1, "threads": 1}, {"rows": rows, "columns": columns, "threads": threads}):
        search = Search(BAND, TRIALS, SearchSettings(threshold=4.0, **how), gaussian_psf(BAND, 5))
        sky = Sky(size, seed=7)
        for _ in range(2):
            result = search(sky.gulp(), ALL)
        search.close()
        found = result.voxels
        maps.append((result.snr, result.best_dm, result.best_width, result.best_sample, found.snr, found.y, found.x))
    assert len(maps[0][4]) > 5
    for one, other in zip(*maps, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_strongest_voxels_are_kept() -> None:
    sky = Sky(SIZE)
    gulps = [sky.gulp() for _ in range(3)]
    everything, few = (Search(BAND, TRIALS, SearchSettings(threshold=1.0, most_voxels=most)) for most in (10**9, 10))
    for gulp in gulps:
        whole, kept = everything(gulp, ALL), few(gulp, ALL)
    assert len(kept.voxels) == 10
    assert kept.voxels.cut == len(whole.voxels) - 10 > 0
    np.testing.assert_array_equal(kept.voxels.snr, whole.voxels.snr[:10])
    assert (np.diff(whole.voxels.snr) <= 0.0).all()
