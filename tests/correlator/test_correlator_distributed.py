"""Gulps whose strips are searched on the workers of a Dask scheduler: the same candidates, whoever comes or goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from devices.core.errors import ConfigurationError
from devices.correlator.dask_strips import DaskStrips
from devices.correlator.device import CorrelatorServer
from devices.correlator.finder import Finder
from devices.correlator.gulp import Gulp
from devices.correlator.injection import add_pulse
from devices.correlator.job import Found, Job
from devices.correlator.plan import Plan
from devices.correlator.properties import CorrelatorProperties
from devices.pipelines.search.psf import gaussian_psf
from devices.pipelines.search.pulse import dispersed_pulse
from tests.correlator.gulps import SMALL
from tests.support.dask_cluster import cluster_here, has, processes

GULPS = 6
#: Row, column, dispersion measure, width and first sample of pulses: in gulp 3, and from gulp 4 into 5.
PULSES = ((3, 7, 31, 500.0, 4.0, 14.0), (4, 40, 12, 900.0, 8.0, 20.0))


def given(**changes: str) -> CorrelatorProperties:
    return CorrelatorProperties.parse({**SMALL, "gridsize": "45", **changes})


def sky(properties: CorrelatorProperties) -> list[NDArray[np.float32]]:
    """Gulps of noise that follow one another, with two pulses; one of these goes on in the next gulp."""
    random = np.random.default_rng(11)
    shape = (properties.nchans, properties.nsamps, properties.gridsize, properties.gridsize)
    cubes = [random.standard_normal(shape, np.float32) for _ in range(GULPS)]
    psf = gaussian_psf(properties.band, 19, 3.0)
    for first, y, x, dm, width, start in PULSES:
        for gulp in range(first, GULPS):
            passed = (gulp - first) * properties.nsamps
            signal = dispersed_pulse(properties.band, dm, width, start - passed, properties.nsamps)
            add_pulse(cubes[gulp], signal, psf, y, x, 4.0)
    cubes[2][5] = np.nan  # a node that does not send
    return cubes


def searched(properties: CorrelatorProperties, strips: DaskStrips | None, cubes: list[NDArray[np.float32]]) -> Any:
    """What each gulp gives, in their order, as they are asked for."""
    finder = Finder(properties, strips)
    plan = Plan(properties.snr_thresh, properties.trials())
    length_s = properties.nsamps * properties.sample_s
    try:
        for number, cube in enumerate(cubes):
            present = np.isfinite(cube).all(axis=(1, 2, 3))
            gulp = Gulp(
                number, f"2026-11-21T03:12:{4 + 3 * number:02d}.000", 61365.0 + number * length_s / 86400.0,
                2000.0, 16.0, np.empty((0, 0, 0, 0), np.float32), 0, present, 0.0, 0.0,
            )  # fmt: skip
            yield finder(cube.copy(), Job(gulp, number > 0, plan))
    finally:
        finder.close()


def same(found: Found, local: Found) -> None:
    """Every number is the same to the last bit."""
    assert (found.number, found.isot, found.complete, found.voxels) == (
        local.number, local.isot, local.complete, local.voxels,
    )  # fmt: skip
    np.testing.assert_array_equal(found.snr, local.snr)
    np.testing.assert_array_equal(found.sigma, local.sigma)
    assert [repr(each) for each in found.candidates] == [repr(each) for each in local.candidates]
    for ours, theirs in zip(found.cutouts, local.cutouts, strict=True):
        np.testing.assert_array_equal(ours.image, theirs.image)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    with cluster_here(workers=3) as cluster:
        yield cluster.scheduler_address


def strips_of(properties: CorrelatorProperties, workers: int) -> DaskStrips:
    strips = DaskStrips(properties)
    has(strips._executor, workers)
    return strips


@pytest.mark.parametrize("changes", [{}, {"spacefilter": "true", "samenoise": "false", "dms": ["0", "150", "500"]}])
def test_strips_on_workers_give_what_the_search_here_gives_to_the_last_bit(
    scheduler: str, changes: dict[str, Any]
) -> None:
    properties = given(scheduler=scheduler, **changes)
    cubes = sky(properties)
    local = list(searched(properties, None, cubes))
    strips = strips_of(properties, 3)
    assert strips.count == 3, "45 rows in three strips"
    found = list(searched(properties, strips, cubes))
    assert [each.scheduler_problem for each in found] == [""] * GULPS
    for ours, theirs in zip(found, local, strict=True):
        same(ours, theirs)
    assert sum(len(each.candidates) for each in found) >= 2, "both pulses are found"


def test_when_the_scheduler_goes_gulps_are_searched_here_and_it_is_said() -> None:
    with cluster_here(workers=2) as cluster:
        properties = given(scheduler=cluster.scheduler_address)
        cubes = sky(properties)
        local = list(searched(properties, None, cubes))
        search = searched(properties, strips_of(properties, 2), cubes)
        found = [next(search), next(search), next(search)]
    found += list(search)
    assert [each.number for each in found] == list(range(GULPS)), "each once, in order"
    for ours, theirs in zip(found, local, strict=True):
        same(ours, theirs)
    assert [each.scheduler_problem for each in found[:3]] == [""] * 3
    assert properties.scheduler in found[-1].scheduler_problem
    assert found[-1].scheduler_problem.endswith(": gulps are searched without it")


def test_a_scheduler_beside_a_graphics_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="its workers search on processors, compute = cuda:1"):
        CorrelatorServer("corr/test/1", {**SMALL, "scheduler": "tcp://127.0.0.1:8786", "compute": "cuda:1"})


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_worker_that_is_killed_in_a_gulp_costs_no_gulp_and_no_candidate(tmp_path: Path) -> None:
    with processes(tmp_path / "dask", workers=2) as (cluster, workers):
        properties = given(scheduler=cluster.address)
        cubes = sky(properties)
        local = list(searched(properties, None, cubes))
        strips = strips_of(properties, 2)
        submit = strips._executor.submit

        def submit_and_kill(*work: Any) -> Any:
            """Strips of gulp 3 are given out, and a worker dies while it has one."""
            future = submit(*work)
            if len(found) == 3 and workers[0].poll() is None:
                workers[0].kill()
            return future

        strips._executor.submit = submit_and_kill  # type: ignore[method-assign]
        found: list[Found] = []
        for each in searched(properties, strips, cubes):
            found.append(each)
    assert workers[0].poll() is not None
    assert [each.number for each in found] == list(range(GULPS)), "each once, in order"
    for ours, theirs in zip(found, local, strict=True):
        same(ours, theirs)
    assert found[-1].scheduler_problem == "", "the other worker goes on with it"
