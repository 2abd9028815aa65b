"""Workers on another host: two network stacks with a cable between them, which is pulled in the middle of the work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from devices.core.dask_executor import DaskExecutor
from tests.core import pool_work
from tests.support.dask_cluster import has, processes
from tests.support.other_host import OtherHost, other_host  # noqa: F401  # a fixture

pytestmark = [pytest.mark.production, pytest.mark.timeout(600)]
FRAME = np.arange(300 * 400, dtype="<i4").reshape(300, 400)


def test_a_host_of_workers_whose_cable_is_pulled_loses_nothing(tmp_path: Path, other_host: OtherHost) -> None:  # noqa: F811
    within = ("ip", "netns", "exec", other_host.space)
    with processes(tmp_path / "dask", workers=0, host=other_host.here) as (cluster, _):
        cluster.start_worker(host=other_host.there, within=within)
        executor = DaskExecutor(cluster.address)
        try:
            has(executor, 1)
            assert executor.submit(pool_work.addresses).result(120.0) == [other_host.there], "it is done over there"
            works = [executor.submit(pool_work.slow, FRAME + n, 1.0) for n in range(4)]
            np.testing.assert_array_equal(works[0].result(120.0), FRAME + 1)
            other_host.cut()
            cluster.start_worker()  # here
            # Dask gives a connection up that is silent for 30 s, and does what was in work elsewhere.
            for n, work in enumerate(works):
                np.testing.assert_array_equal(work.result(240.0), FRAME + n + 1)
            assert other_host.there not in executor.submit(pool_work.addresses).result(120.0)
        finally:
            other_host.cut(False)
            executor.shutdown()
