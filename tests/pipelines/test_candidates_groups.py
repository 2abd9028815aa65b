"""Grouping: each pulse is one group, at its peak."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.pipelines.candidates.find import GroupSettings, find_groups
from devices.pipelines.candidates.group import SideLobes
from devices.pipelines.search.psf import gaussian_psf
from devices.pipelines.search.result import Voxels
from tests.pipelines.brute_search import BAND, LOOK_BACK, SAMPLES, TRIALS, add_pulse, search

SIZE = 32
LOBES = SideLobes(gaussian_psf(BAND, 63), 16, filtered=False)
SETTINGS = GroupSettings(band=BAND, side_lobes=LOBES)


def empty_cube(size: int = SIZE) -> np.ndarray:
    return np.zeros((16, LOOK_BACK + SAMPLES, size, size), np.float32)


def voxels(*rows: tuple[int, int, int, int, int, float]) -> Voxels:
    y, x, dm, width, sample, snr = zip(*sorted(rows, key=lambda row: -row[-1]), strict=True)
    return Voxels(*(np.array(axis, np.int32) for axis in (y, x, dm, width, sample)), np.array(snr, np.float32))


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([(4, 5), (4, 17), (6, 28), (15, 10), (17, 24), (27, 4), (29, 19)]),
            st.sampled_from([1, 3, 4, 5]),
            st.sampled_from([1, 2, 4, 8]),
            st.integers(0, 12),
            st.floats(10.0, 50.0),
        ),
        min_size=1,
        max_size=7,
        unique_by=lambda pulse: pulse[0],
    )
)
def test_separated_pulses_are_as_many_groups_each_at_its_peak(pulses) -> None:
    cube = empty_cube()
    for (y, x), dm, width, start, snr in pulses:
        add_pulse(cube, y, x, TRIALS.dms[dm], width, LOOK_BACK + start, snr)
    found = search(cube, 6.0)
    groups = find_groups(found, TRIALS, SETTINGS)
    assert {(group.y, group.x) for group in groups} == {place for place, *_ in pulses}
    assert len(groups) == len(pulses)
    assert sum(group.members for group in groups) == len(found)
    for (y, x), *_ in pulses:
        group = next(group for group in groups if (group.y, group.x) == (y, x))
        assert group.snr == pytest.approx(float(found.snr[(found.y == y) & (found.x == x)].max()))


def test_a_pulse_of_50_sigma_is_one_group_with_its_own_trial() -> None:
    cube = empty_cube()
    cube += np.random.default_rng(3).standard_normal(cube.shape, np.float32)
    add_pulse(cube, 20, 9, 814.4, 4, LOOK_BACK + 7, 50.0)
    groups = find_groups(search(cube, 6.5), TRIALS, SETTINGS)
    assert [(group.y, group.x, group.dm, group.width, group.sample) for group in groups] == [(20, 9, 814.4, 4, 7)]
    assert groups[0].snr == pytest.approx(50.0, abs=4.0)
    assert groups[0].members > 100


def test_a_single_voxel_is_a_group() -> None:
    groups = find_groups(voxels((3, 7, 2, 1, 5, 8.5)), TRIALS, SETTINGS)
    assert [(group.y, group.x, group.members) for group in groups] == [(3, 7, 1)]


def test_a_single_voxel_beside_large_clusters_is_kept() -> None:
    cube = empty_cube()
    add_pulse(cube, 6, 8, 417.2, 4, LOOK_BACK + 4, 30.0)
    add_pulse(cube, 25, 24, 1589.8, 8, LOOK_BACK + 12, 30.0)
    found = search(cube, 7.0)
    rows = list(zip(found.y, found.x, found.dm, found.width, found.sample, found.snr, strict=True))
    groups = find_groups(voxels(*rows, (15, 30, 0, 0, 20, 7.1)), TRIALS, SETTINGS)
    assert {(group.y, group.x) for group in groups} == {(6, 8), (25, 24), (15, 30)}


def test_two_pulses_of_one_pixel_at_different_times_are_two() -> None:
    cube = empty_cube()
    # One voxel per (pixel, width, DM) is reported, so they have to differ in those.
    add_pulse(cube, 12, 20, 0.0, 1, LOOK_BACK + 1, 20.0)
    add_pulse(cube, 12, 20, 213.7, 8, LOOK_BACK + 14, 25.0)
    groups = find_groups(search(cube, 7.0), TRIALS, SETTINGS)
    assert [(group.y, group.x) for group in groups] == [(12, 20), (12, 20)]
    assert {group.width for group in groups} == {1, 8}


def lobed_beam(size: int) -> np.ndarray:
    """A beam with a ring of lobes of 15 % about ten pixels away, stronger to one side."""
    pixel = np.arange(size) - size // 2
    radius = np.hypot(pixel[:, None], pixel[None, :])
    core = np.exp(-4 * np.log(2) * (radius / 3.0) ** 2)
    ring = 0.15 * np.exp(-(((radius - 10.0) / 1.5) ** 2)) * np.cos(3 * np.arctan2(pixel[:, None], pixel[None, :])) ** 2
    return core + ring


@pytest.mark.parametrize("known", [True, False], ids=["psf known", "psf not known"])
def test_the_lobes_of_a_strong_source_are_no_candidates_of_their_own(known: bool) -> None:
    cube, size = empty_cube(), 41
    series = np.zeros((16, LOOK_BACK + SAMPLES, 1, 1), np.float32)
    add_pulse(series, 0, 0, 814.4, 2, LOOK_BACK + 9, 60.0)
    psf = lobed_beam(size)
    cube += (series * psf[20 - 14 : 20 - 14 + SIZE, 20 - 16 : 20 - 16 + SIZE]).astype(np.float32)
    found = search(cube, 6.5)
    lobes = SideLobes(psf if known else None, 16, filtered=False)
    alone = GroupSettings(band=BAND, side_lobes=SideLobes(np.ones((1, 1)), 16, unknown_level=0.0))
    assert len(find_groups(found, TRIALS, alone)) > 4
    groups = find_groups(found, TRIALS, GroupSettings(band=BAND, side_lobes=lobes))
    assert [(group.y, group.x, group.members) for group in groups] == [(14, 16, len(found))]


def test_a_weaker_source_beyond_the_lobes_is_not_swallowed() -> None:
    cube = empty_cube()
    add_pulse(cube, 8, 8, 417.2, 2, LOOK_BACK + 9, 60.0)
    add_pulse(cube, 22, 27, 417.2, 2, LOOK_BACK + 9, 9.0)
    groups = find_groups(search(cube, 6.5), TRIALS, SETTINGS)
    assert [(group.y, group.x) for group in groups] == [(8, 8), (22, 27)]


def test_a_broad_event_is_one_group_that_reaches_far() -> None:
    cube = empty_cube()
    rng = np.random.default_rng(5)
    blob = np.exp(-((np.arange(SIZE)[:, None] - 13) ** 2 + (np.arange(SIZE)[None, :] - 18) ** 2) / (2 * 7.0**2))
    cube[:, LOOK_BACK + 9] += (5.0 * blob).astype(np.float32)
    cube += rng.standard_normal(cube.shape, np.float32)
    groups = find_groups(search(cube, 6.5), TRIALS, SETTINGS)
    assert len(groups) <= 3
    assert groups[0].reach_px > 6.0


def test_far_more_voxels_than_can_be_clustered_are_capped() -> None:
    rng = np.random.default_rng(1)
    places, strengths = rng.integers(0, 300, (4000, 2)).tolist(), rng.uniform(7, 9, 4000).tolist()
    rows = [(y, x, 0, 0, 3, snr) for (y, x), snr in zip(places, strengths, strict=True)]
    unique = {row[:2]: row for row in rows}
    few = GroupSettings(band=BAND, side_lobes=LOBES, most_maxima=50, most_groups=20)
    groups = find_groups(voxels(*unique.values()), TRIALS, few)
    assert 1 <= len(groups) <= 20
    assert groups[0].snr == pytest.approx(max(row[-1] for row in unique.values()), rel=1e-6)


def test_no_voxel_is_no_group() -> None:
    none = np.empty(0, np.int32)
    assert find_groups(Voxels(none, none, none, none, none, np.empty(0, np.float32)), TRIALS, SETTINGS) == []
