"""Pipelines on the workers of a Dask scheduler: what comes back, who is refused, what is said when nobody is there."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devices.core import Device, DeviceState, attribute, pipeline
from devices.core.dask_executor import DaskExecutor, versions
from devices.core.errors import ConfigurationError, RangeError
from devices.core.property import Properties
from servers.facility.port_check import free_port
from tests.core import pool_work
from tests.support.dask_cluster import cluster_here, has, told
from tests.support.running import running, until

FRAME = np.arange(700 * 40, dtype=np.uint16).reshape(40, 700)


@pytest.fixture(scope="module")
def executor() -> Iterator[DaskExecutor]:
    with cluster_here() as cluster:
        executor = DaskExecutor(cluster.scheduler_address)
        try:
            has(executor, 2)
            yield executor
        finally:
            executor.shutdown()


def test_arrays_of_any_size_go_to_a_worker_and_come_back_as_they_were(executor: DaskExecutor) -> None:
    small = np.array([[1.5, np.nan, -2.0]], "<f4")
    for frame in (FRAME, small, np.asfortranarray(FRAME), FRAME[::2, 5:9]):
        work = executor.submit(pool_work.doubled, frame, plus=1.0)
        np.testing.assert_array_equal(work.result(60.0), frame * 2 + 1.0)
    scan = pool_work.Scan(FRAME, 2.5, {"hot": FRAME > 9000})
    found = executor.submit(pool_work.scan_of, scan).result(60.0)
    assert found.exposure == 5.0
    np.testing.assert_array_equal(found.frame, FRAME + 1)
    np.testing.assert_array_equal(found.masks["hot"], FRAME <= 9000)


def test_much_work_at_once_comes_back_each_to_whom_it_belongs(executor: DaskExecutor) -> None:
    works = [executor.submit(pool_work.flat_fielded, np.array([float(n)]), 3.0) for n in range(40)]
    assert [float(work.result(60.0)[0]) for work in works] == [3.0 * n for n in range(40)]


def test_an_error_of_the_work_is_told_with_its_class_and_where_it_happened(executor: DaskExecutor) -> None:
    work = executor.submit(pool_work.failing, FRAME)
    with pytest.raises(ZeroDivisionError, match=r"no flat field for \(39, 700\)") as told_error:
        work.result(60.0)
    assert "pool_work.py" in told_error.value.__notes__[0]
    with pytest.raises(RangeError, match=r"12 K is outside"):
        executor.submit(pool_work.too_cold, 12.0).result(60.0)
    with pytest.raises(TypeError, match="lock"):
        executor.submit(pool_work.unpicklable).result(60.0)
    with pytest.raises(Exception, match="lambda"):
        executor.submit(lambda: 1).result(60.0)


def test_work_that_is_given_up_is_forgotten(executor: DaskExecutor) -> None:
    work = executor.submit(pool_work.slow, FRAME, 0.2)
    assert work.cancel() and work.cancelled()
    np.testing.assert_array_equal(executor.submit(pool_work.slow, FRAME, 0.0).result(60.0), FRAME + 1)


def test_what_decides_results_is_known_down_to_the_source_of_the_devices() -> None:
    assert {"python", "diptych", "numpy", "scipy", "numba", "distributed"} <= set(versions())
    assert versions()["numpy"] == np.__version__
    assert versions()["diptych"].endswith(")")


def test_without_a_scheduler_work_waits_and_is_done_when_one_comes() -> None:
    port = free_port("127.0.0.1")
    problems: list[str] = []
    executor = DaskExecutor(f"tcp://127.0.0.1:{port}", tell=problems.append)
    try:
        work = executor.submit(pool_work.doubled, FRAME)
        told(executor, f"tcp://127.0.0.1:{port} is not there: [Errno 111] Connection refused")
        assert not work.done()
        with cluster_here(workers=0, port=port) as cluster:
            told(executor, f"tcp://127.0.0.1:{port} has no workers")
            cluster.scale(1)
            np.testing.assert_array_equal(work.result(60.0), FRAME * 2)
            told(executor, "")
        told(executor, "is not there")
        assert [problem for problem in problems if not problem] == [""]
    finally:
        executor.shutdown()


def test_work_that_waits_for_a_scheduler_ends_with_the_executor() -> None:
    executor = DaskExecutor(f"tcp://127.0.0.1:{free_port('127.0.0.1')}")
    work = executor.submit(pool_work.doubled, FRAME)
    executor.shutdown(wait=True)
    with pytest.raises(BaseException) as ended:
        work.result(10.0)
    assert type(ended.value).__name__ == "CancelledError"


@pytest.mark.parametrize("text", ["host:8786", "tcp://host", "http://host:8786", "tcp://a b:8786", "tcp://host:8786/x"])
def test_what_is_no_address_of_a_scheduler_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="not the address of a scheduler: tcp://HOST:PORT"):
        Properties.parse({"scheduler": [text]})


def test_addresses_of_schedulers_are_taken() -> None:
    for text in ("", "tcp://host-1.example.org:8786", "tls://10.0.0.1:8786", "tcp://[fe80::1]:8786"):
        assert Properties.parse({"scheduler": [text]}).scheduler == text


def test_without_dask_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "distributed" else found(name))
    with pytest.raises(ConfigurationError, match=r"pip install 'diptych\[dask\]'"):
        Properties.parse({"scheduler": ["tcp://127.0.0.1:8786"]})
    assert Properties.parse({}).scheduler == "", "whoever names no scheduler needs no Dask"


def test_files_of_tls_are_asked_for_where_they_are_needed_and_refused_where_they_are_not(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    with pytest.raises(ConfigurationError, match=r"there is no cert.pem, key.pem"):
        DaskExecutor("tls://127.0.0.1:8786", str(tmp_path))
    with pytest.raises(ConfigurationError, match="would not be encrypted"):
        DaskExecutor("tcp://127.0.0.1:8786", str(tmp_path))


class Camera(Device):
    """Finds its brightest pixel on a scheduler."""

    peak = attribute(float)
    brightest = pipeline(pool_work.brightest, outputs=[peak])


def test_a_device_says_what_is_wrong_with_its_scheduler_and_works_when_it_is_over() -> None:
    port = free_port("127.0.0.1")
    given: dict[str, Any] = {"scheduler": f"tcp://127.0.0.1:{port}"}

    async def run() -> None:
        async with running(Camera("test/camera/1", given)) as device:
            await until(lambda: "is not there" in device.status, "it is told", 60.0)
            assert device.state is DeviceState.FAULT
            finding = asyncio.ensure_future(device.brightest(FRAME))
            with cluster_here(port=port):
                assert await asyncio.wait_for(finding, 60.0) == 700 * 40 - 1
                assert device.peak.value == 700 * 40 - 1
                await until(lambda: device.state is DeviceState.ON, "it is over", 60.0)

    asyncio.run(run())
