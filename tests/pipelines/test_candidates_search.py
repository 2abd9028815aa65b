"""The search and the grouping together: pulses in noise over the borders of gulps are one candidate each."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from devices.pipelines.candidates.cut_out import cut_out
from devices.pipelines.candidates.deduplicator import Deduplicator
from devices.pipelines.candidates.find import GroupSettings, find_groups
from devices.pipelines.candidates.group import SideLobes
from devices.pipelines.search.psf import gaussian_psf
from devices.pipelines.search.pulse import dispersed_pulse
from devices.pipelines.search.search import Search
from devices.pipelines.search.settings import SearchSettings
from tests.pipelines.brute_search import BAND, SAMPLES, TRIALS

ROWS, COLUMNS, GULPS = 24, 24, 4
PSF = gaussian_psf(BAND, 15)


@pytest.mark.parametrize("filtered", [True, False], ids=["filtered", "not filtered"])
@pytest.mark.parametrize(("dm", "width"), [(814.4, 2), (3103.3, 8)])
def test_a_pulse_over_a_border_is_one_candidate_with_its_trial_and_place(dm: float, width: int, filtered: bool) -> None:
    rng = np.random.default_rng(21)
    lobes = SideLobes(PSF, 16, filtered=filtered)
    settings = GroupSettings(band=BAND, side_lobes=lobes)
    energy = float(np.mean(np.sum(PSF**2, axis=(1, 2)))) if filtered else 1.0
    height = 20.0 / np.sqrt(16 * width * energy)
    noise = rng.standard_normal((16, GULPS * SAMPLES, ROWS, COLUMNS), np.float32)
    for start in (-width // 2, 7, SAMPLES - width, SAMPLES - 1):
        search = Search(BAND, TRIALS, SearchSettings(threshold=7.5, spatial_filter=filtered, threads=1), PSF)
        # The pulse is in the third gulp: the noise is known by then.
        series = height * dispersed_pulse(BAND, dm, width, 2 * SAMPLES + start, GULPS * SAMPLES)
        cube = noise.copy()
        # Source at (9, 14): the function's middle is at (7, 7).
        cube[:, :, 2:17, 7:22] += (series[:, :, None, None] * PSF[:, None]).astype(np.float32)
        names = (f"261121aaa{letter}" for letter in "abcdefgh")
        find_one = Deduplicator(settings.same_pulse, names.__next__)
        best = {}
        for number in range(GULPS):
            gulp = cube[:, number * SAMPLES : (number + 1) * SAMPLES]
            result = search(gulp, np.ones(16, np.bool_))
            groups = find_groups(result.voxels, TRIALS, settings)
            mjd = 61365.25 + number * SAMPLES * BAND.sample_s / 86400.0
            for sighting in find_one(groups, mjd, BAND.sample_s):
                group = sighting.group
                recent = search.recent
                look_back = recent.shape[1] - SAMPLES
                lead = BAND.lead_samples(group.dm)
                images = cut_out(recent, look_back, group.y, group.x, lead, group.sample, group.width)
                best[sighting.name] = (group, (number - 2) * SAMPLES + group.sample, images)
        assert list(best) == ["261121aaaa"], start
        group, arrival, images = best["261121aaaa"]
        assert (group.y, group.x) == (9, 14)
        assert TRIALS.widths[group.width_index] == width
        assert (group.dm, arrival) == (pytest.approx(dm), pytest.approx(start, abs=1)), start
        # Noise of 1, and up to a tenth lost between samples.
        assert 15.0 < group.snr < 24.0
        light = images.mean(axis=0)[:, 5, 5]
        first = (25 - width + 1) // 2
        assert light[first : first + width].mean() > 0.6 * height > 3 * abs(np.median(light))


def test_noise_alone_is_no_candidate() -> None:
    rng = np.random.default_rng(5)
    search = Search(BAND, TRIALS, SearchSettings(threshold=6.5, threads=1), PSF)
    for _ in itertools.repeat(None, 3):
        result = search(rng.standard_normal((16, SAMPLES, ROWS, COLUMNS), np.float32), np.ones(16, np.bool_))
        assert find_groups(result.voxels, TRIALS, GroupSettings(band=BAND)) == []
