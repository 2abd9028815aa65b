"""Workers of a Dask scheduler as processes: they are killed, are other ones than wanted, and speak TLS."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from devices.core.dask_executor import AUTHORITY, CERTIFICATE, KEY, DaskExecutor
from tests.core import pool_work
from tests.support.dask_cluster import DaskCluster, has, processes, told

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
FRAME = np.arange(300 * 400, dtype="<i4").reshape(300, 400)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    with processes(tmp_path / "dask", workers=0) as (cluster, _):
        yield cluster


def test_work_of_a_worker_that_is_killed_is_done_by_another_each_once(cluster: DaskCluster) -> None:
    first = cluster.start_worker()
    executor = DaskExecutor(cluster.address)
    ended: list[int] = []
    try:
        has(executor, 1)
        works = [executor.submit(pool_work.slow, FRAME + n, 0.5) for n in range(6)]
        for work in works:
            work.add_done_callback(lambda done: ended.append(int(done.result()[0, 0])))
        time.sleep(0.7)  # it is in the middle of it
        first.kill()
        assert not all(work.done() for work in works)
        told(executor, "has no workers")
        cluster.start_worker()
        for n, work in enumerate(works):
            np.testing.assert_array_equal(work.result(240.0), FRAME + n + 1)
        assert sorted(ended) == [1, 2, 3, 4, 5, 6]
    finally:
        executor.shutdown()


def test_a_worker_with_another_numba_does_nothing_and_is_told_until_one_like_ours_comes(
    cluster: DaskCluster, tmp_path: Path
) -> None:
    other = tmp_path / "other" / "numba-99.1.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: numba\nVersion: 99.1\n")
    unfit = cluster.start_worker(PYTHONPATH=f"{other.parent}:{Path(__file__).resolve().parents[2]}")
    executor = DaskExecutor(cluster.address)
    try:
        has(executor, 1)
        work = executor.submit(pool_work.doubled, FRAME)
        told(executor, "a worker will not do: at ")
        assert "numba 99.1, not " in executor.problem
        assert not work.done()
        unfit.kill()
        cluster.start_worker()
        np.testing.assert_array_equal(work.result(240.0), FRAME * 2)
        told(executor, "")
    finally:
        executor.shutdown()


def test_a_scheduler_with_tls_works_for_who_has_a_certificate_and_for_nobody_else(tmp_path: Path) -> None:
    from distributed import Security

    own, strange = (tls_files(tmp_path / name, Security.temporary()) for name in ("own", "strange"))
    (tmp_path / "dask").mkdir()
    options = tuple(
        str(word)
        for option, file in (("ca-file", AUTHORITY), ("cert", CERTIFICATE), ("key", KEY))
        for word in (f"--tls-{option}", own / file)
    )
    cluster = DaskCluster(tmp_path / "dask", options=options)
    executors = []
    try:
        cluster.start_scheduler()
        cluster.start_worker()
        executors = [DaskExecutor(cluster.address, str(folder)) for folder in (own, strange)]
        np.testing.assert_array_equal(executors[0].submit(pool_work.doubled, FRAME).result(240.0), FRAME * 2)
        told(executors[1], "is not there")
        assert executors[1].slots == 0
    finally:
        for executor in executors:
            executor.shutdown()
        cluster.end()


def tls_files(folder: Path, security: object) -> Path:
    """A folder as the property scheduler_tls wants it."""
    folder.mkdir()
    for name, attribute in ((AUTHORITY, "tls_ca_file"), (CERTIFICATE, "tls_client_cert"), (KEY, "tls_client_key")):
        (folder / name).write_text(getattr(security, attribute))
    return folder
