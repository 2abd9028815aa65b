"""A pulse that is seen in two gulps is one candidate (its whole significance, no loss, no duplicate)."""

from __future__ import annotations

import itertools
import string

import numpy as np
import pytest

from devices.pipelines.candidates.deduplicator import Deduplicator
from devices.pipelines.candidates.find import GroupSettings, find_groups
from devices.pipelines.candidates.group import Group, SamePulse, SideLobes
from devices.pipelines.search.psf import gaussian_psf
from devices.pipelines.search.trials import Trials
from tests.pipelines.brute_search import BAND, LOOK_BACK, SAMPLES, TRIALS, add_pulse, search

SETTINGS = GroupSettings(band=BAND, side_lobes=SideLobes(gaussian_psf(BAND, 63), 16, filtered=False))
GULP_S = SAMPLES * BAND.sample_s
MJD = 61365.25


def deduplicator(**options: float) -> Deduplicator:
    letters = ("".join(four) for four in itertools.product(string.ascii_lowercase, repeat=4))
    return Deduplicator(SETTINGS.same_pulse, lambda: f"261121{next(letters)}", **options)


def group(y: int = 10, x: int = 20, snr: float = 12.0, sample: int = 5, width: int = 2, dm: float = 814.4) -> Group:
    begins = tuple((sample - BAND.lead_samples(dm)).tolist())
    return Group(y, x, TRIALS.dms.index(dm), TRIALS.widths.index(width), sample, snr, dm, width, begins, 40)


@pytest.mark.parametrize(("dm", "width"), [(0.0, 1), (814.4, 4), (1589.8, 16), (4847.0, 2), (4847.0, 16)])
def test_a_pulse_at_every_sample_of_two_gulps_is_one_candidate_of_the_same_significance(dm: float, width: int) -> None:
    whole = []
    for start in range(-20, 25):
        cube = np.zeros((16, LOOK_BACK + 4 * SAMPLES, 9, 9), np.float32)
        first = LOOK_BACK + SAMPLES
        add_pulse(cube, 4, 3, dm, width, first + start, 20.0)
        find_one, best = deduplicator(), {}
        for number in range(4):
            recent = cube[:, number * SAMPLES : LOOK_BACK + (number + 1) * SAMPLES]
            groups = find_groups(search(recent, 6.5), TRIALS, SETTINGS)
            for sighting in find_one(groups, MJD + number * GULP_S / 86400.0, BAND.sample_s):
                best[sighting.name] = sighting
                arrival = (number - 1) * SAMPLES + sighting.group.sample
        assert list(best) == ["261121aaaa"], start
        found = best["261121aaaa"].group
        assert (found.y, found.x, found.dm, found.width, arrival) == (4, 3, dm, width, start), start
        whole.append(found.snr)
    assert np.ptp(whole) <= 0.01 * np.mean(whole)


def test_what_is_seen_better_in_the_next_gulp_is_a_revision() -> None:
    find_one = deduplicator()
    first = find_one([group(snr=9.0, sample=24, width=1)], MJD, BAND.sample_s)
    second = find_one([group(snr=14.0, sample=-1, width=4)], MJD + GULP_S / 86400.0, BAND.sample_s)
    assert [(one.name, one.revision) for one in first + second] == [("261121aaaa", 0), ("261121aaaa", 1)]


def test_what_is_seen_worse_in_the_next_gulp_is_not_reported() -> None:
    find_one = deduplicator()
    find_one([group(snr=14.0, sample=22, width=2)], MJD, BAND.sample_s)
    assert find_one([group(snr=9.0, sample=-4, width=8)], MJD + GULP_S / 86400.0, BAND.sample_s) == []
    assert find_one.repeats == 1


def test_pulses_of_one_place_in_consecutive_gulps_are_two() -> None:
    find_one = deduplicator()
    find_one([group(sample=5)], MJD, BAND.sample_s)
    assert [one.name for one in find_one([group(sample=5)], MJD + GULP_S / 86400.0, BAND.sample_s)] == ["261121aaab"]


def test_pulses_of_one_time_at_two_places_are_two() -> None:
    names = [one.name for one in deduplicator()([group(y=10), group(y=25)], MJD, BAND.sample_s)]
    assert names == ["261121aaaa", "261121aaab"]


def test_a_pulse_is_found_again_where_the_sky_has_moved_to() -> None:
    find_one = deduplicator()
    find_one([group(y=10, x=20, sample=24, width=1)], MJD, BAND.sample_s)
    later = MJD + GULP_S / 86400.0
    again = find_one([group(y=9, x=27, snr=20.0, sample=-1, width=2)], later, BAND.sample_s, sky_px=(-1.0, 7.2))
    assert [(one.name, one.revision) for one in again] == [("261121aaaa", 1)]
    elsewhere = find_one([group(y=10, x=20, snr=20.0, sample=-1, width=2)], later, BAND.sample_s, sky_px=(-1.0, 7.2))
    assert [one.revision for one in elsewhere] == [0]


def test_the_slow_search_finds_the_same_pulse_again() -> None:
    find_one = deduplicator()
    find_one([group(sample=20, width=16, dm=0.0, snr=8.0)], MJD, BAND.sample_s)
    slow = Trials(TRIALS.dms, (1, 2, 4))
    wide = Group(10, 20, 0, 1, 4, 11.0, 0.0, slow.widths[1], (4.0,) * 16, 3)
    again = find_one([wide], MJD, 5 * BAND.sample_s)
    assert [(one.name, one.revision) for one in again] == [("261121aaaa", 1)]


def test_what_ended_long_ago_is_forgotten() -> None:
    find_one = deduplicator(memory_s=10.0)
    find_one([group()], MJD, BAND.sample_s)
    assert find_one([group(snr=5.0)], MJD, BAND.sample_s) == []
    find_one([], MJD + 20.0 / 86400.0, BAND.sample_s)
    assert len(find_one([group(snr=5.0)], MJD, BAND.sample_s)) == 1


def test_a_window_that_ends_with_the_gulp_may_go_on() -> None:
    assert group(sample=20, width=4).complete(25)
    assert not group(sample=21, width=4).complete(25)


def test_a_lobe_seen_in_the_next_gulp_is_the_same_pulse() -> None:
    same = SamePulse(3.0, SideLobes(None, 16, unknown_level=0.2))
    find_one = Deduplicator(same, lambda: "261121aaaa")
    find_one([group(snr=60.0, sample=20, width=4)], MJD, BAND.sample_s)
    assert find_one([group(y=25, snr=9.0, sample=-5, width=16)], MJD + GULP_S / 86400.0, BAND.sample_s) == []
