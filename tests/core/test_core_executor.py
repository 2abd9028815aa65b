"""Executors: arrays reach real worker processes by shared memory, and no block is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from devices.core import executor
from devices.core.errors import ConfigurationError
from devices.core.executor import SHARED_FROM, SharedArray, SharedProcessPool, attach, make_executor, share
from tests.core import pool_work as work

#: A raw frame, wider than high: 300 x 400 x 2 bytes = 234 KiB.
FRAME = (np.arange(300 * 400) % 60_001).astype(np.uint16).reshape(300, 400)
SECONDS = 30.0


PREFIX = f"d{os.getpid()}_"


@pytest.fixture(autouse=True)
def no_block_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """At the end of a test /dev/shm holds no block that bears our number (other tests run beside this one)."""
    monkeypatch.setattr(shared_memory, "_SHM_NAME_PREFIX", f"/{PREFIX}")
    yield
    deadline = time.monotonic() + 5.0
    while left := list(Path("/dev/shm").glob(f"{PREFIX}*")):
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.01)


@contextmanager
def process_pool() -> Iterator[SharedProcessPool]:
    """One worker, which names its blocks as we do."""
    pool = SharedProcessPool(1)
    pool.submit(work.name_blocks, PREFIX).result(SECONDS)
    yield pool
    pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def pool() -> Iterator[SharedProcessPool]:
    with process_pool() as pool:
        yield pool


def test_a_frame_is_shared_one_way_and_the_other(pool: SharedProcessPool, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks: list[str] = []

    class Noted(executor.SharedMemory):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            blocks.append(self.name)

    monkeypatch.setattr(executor, "SharedMemory", Noted)
    result = pool.submit(work.doubled, FRAME, plus=1).result(SECONDS)
    np.testing.assert_array_equal(result, FRAME * 2 + 1)
    assert result.dtype == FRAME.dtype and result.flags.writeable
    assert len(set(blocks)) == 2, "one block to the worker, one back"


def test_the_worker_sees_the_frame_itself_and_cannot_write_into_it(pool: SharedProcessPool) -> None:
    seen = pool.submit(work.described, FRAME).result(SECONDS)
    assert (seen["shape"], seen["dtype"], seen["writeable"]) == (FRAME.shape, FRAME.dtype.str, False)
    assert seen["sum"] == FRAME.sum(dtype=float)
    assert seen["process"] != os.getpid()
    assert seen["blocks"] == 1


def test_only_arrays_of_64_kib_and_more_are_shared(pool: SharedProcessPool) -> None:
    small, large = np.zeros(SHARED_FROM - 1, np.uint8), np.zeros(SHARED_FROM, np.uint8)
    assert pool.submit(work.described, small).result(SECONDS)["blocks"] == 0
    assert pool.submit(work.described, large).result(SECONDS)["blocks"] == 1


@pytest.mark.parametrize(
    "frame",
    [
        FRAME[::2, ::-3],
        np.asfortranarray(FRAME),
        FRAME.astype(">u2"),
        FRAME.astype("M8[s]"),
        FRAME > 7,
        FRAME.astype(np.complex64),
    ],
    ids=["strided", "fortran", "big-endian", "times", "bool", "complex"],
)
def test_any_layout_and_type_of_numbers_arrives(pool: SharedProcessPool, frame: Any) -> None:
    result = pool.submit(work.slow, frame, 0.0).result(SECONDS) if frame.dtype.kind != "b" else None
    if result is not None:
        np.testing.assert_array_equal(result, frame + 1)
    else:
        assert pool.submit(work.described, frame).result(SECONDS)["sum"] == np.count_nonzero(FRAME > 7)


def test_arrays_within_tuples_lists_dicts_and_dataclasses_are_shared(pool: SharedProcessPool) -> None:
    scan = work.Scan(FRAME, 0.25, {"beam": FRAME > 100, "small": np.array([True, False, True])})
    result = pool.submit(work.scan_of, scan).result(SECONDS)
    np.testing.assert_array_equal(result.frame, FRAME + 1)
    assert result.exposure == 0.5
    np.testing.assert_array_equal(result.masks["beam"], FRAME <= 100)
    assert result.masks["small"].tolist() == [False, True, False]

    total, turned = pool.submit(work.pair_of, FRAME).result(SECONDS)
    assert total == FRAME.sum() and turned.shape == (400, 300)

    parts = pool.submit(work.many, FRAME).result(SECONDS)["parts"]
    assert [part.shape for part in parts] == [(300, 399), (1, 3), (300, 400)]
    parts[0][0, 0] = 5  # ours to change


def test_a_dataclass_that_looks_into_its_arrays_is_not_made_anew(pool: SharedProcessPool) -> None:
    result = pool.submit(work.checked, work.Checked(FRAME)).result(SECONDS)
    np.testing.assert_array_equal(result.frame, FRAME + 1)
    assert (result.rows, result.columns) == FRAME.shape


def test_a_small_view_of_a_large_argument_comes_back_whole(pool: SharedProcessPool) -> None:
    for _ in range(3):
        np.testing.assert_array_equal(pool.submit(work.corner, FRAME).result(SECONDS), FRAME[:2, :3])
    assert pool.submit(work.shared_blocks_mapped).result(SECONDS) == 0


def test_masked_arrays_and_tables_keep_their_masks_and_columns(pool: SharedProcessPool) -> None:
    masked = np.ma.masked_greater(np.arange(50_000.0), 9.5)
    assert pool.submit(work.kind_of, masked).result(SECONDS) == "MaskedArray"
    assert pool.submit(work.masked_sum, masked).result(SECONDS) == 45.0
    table = np.zeros(10_000, [("q", "<f8"), ("counts", "<u4")])
    table["counts"] = np.arange(10_000)
    np.testing.assert_array_equal(pool.submit(work.named_column, table, "counts").result(SECONDS), np.arange(10_000))


def test_a_failure_in_the_worker_keeps_its_class_and_text_and_frees_its_memory(pool: SharedProcessPool) -> None:
    for _ in range(5):
        with pytest.raises(ZeroDivisionError, match=r"no flat field for \(299, 400\)"):
            pool.submit(work.failing, FRAME).result(SECONDS)
    assert pool.submit(work.shared_blocks_mapped).result(SECONDS) <= 1, "the mappings of failed calls pile up"
    np.testing.assert_array_equal(pool.submit(work.doubled, FRAME).result(SECONDS), FRAME * 2)


def test_a_result_that_cannot_travel_is_an_error_and_not_a_silence(pool: SharedProcessPool) -> None:
    with pytest.raises(TypeError, match="pickle"):
        pool.submit(work.unpicklable).result(SECONDS)
    with pytest.raises(FileNotFoundError):
        pool.submit(work.lost_block).result(SECONDS)
    with pytest.raises((AttributeError, TypeError)):
        pool.submit(lambda frame: frame, FRAME).result(SECONDS)


def test_a_future_that_is_cancelled_while_it_waits_never_runs(pool: SharedProcessPool) -> None:
    running = pool.submit(work.slow, FRAME, 0.1)
    waiting = [pool.submit(work.slow, FRAME, 0.1) for _ in range(4)]
    assert waiting[-1].cancel()
    with pytest.raises(CancelledError):
        waiting[-1].result(SECONDS)
    for future in (running, *waiting[:-1]):
        future.cancel()


def submit_and_wait_for_its_start(pool: SharedProcessPool, folder: Path) -> Future[Any]:
    """Work on a frame that has begun, and takes another 0.2 s."""
    running = pool.submit(work.slow, FRAME, 0.2, str(folder / "started"))
    deadline = time.monotonic() + SECONDS
    while not (folder / "started").exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return running


def test_a_future_that_is_cancelled_while_it_runs_leaves_no_memory(pool: SharedProcessPool, tmp_path: Path) -> None:
    running = submit_and_wait_for_its_start(pool, tmp_path)
    assert running.cancel()
    assert running.cancelled()
    # The worker cannot be stopped; what it sends afterwards is thrown away (see the fixture).
    assert pool.submit(work.process).result(SECONDS) > 0


def test_a_killed_worker_breaks_its_work_at_once_and_the_next_work_gets_a_new_one() -> None:
    with process_pool() as pool:
        first = pool.submit(work.process).result(SECONDS)
        before = pool.submit(work.slow, FRAME, 0.1)
        dying, waiting = pool.submit(work.dying, FRAME), pool.submit(work.doubled, FRAME)
        assert before.result(SECONDS).shape == FRAME.shape
        for future in (dying, waiting):
            with pytest.raises(BrokenProcessPool):
                future.result(SECONDS)
        np.testing.assert_array_equal(pool.submit(work.doubled, FRAME).result(SECONDS), FRAME * 2)
        assert pool.submit(work.process).result(SECONDS) != first


def test_a_killed_server_leaves_neither_its_workers_nor_its_memory() -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.core.pool_work", PREFIX],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        text=True,
    )
    assert server.stdout is not None
    worker = psutil.Process(int(server.stdout.readline()))
    assert list(Path("/dev/shm").glob(f"{PREFIX}*")), "the frame is on its way"
    server.kill()
    server.wait()
    server.stdout.close()
    worker.wait(10.0)  # and the fixture waits for the memory


def test_a_pool_that_is_shut_down_cancels_what_waits_and_refuses_more(tmp_path: Path) -> None:
    with process_pool() as pool:
        running = submit_and_wait_for_its_start(pool, tmp_path)
        waiting = [pool.submit(work.slow, FRAME, 0.1) for _ in range(4)]
        pool.shutdown(wait=True, cancel_futures=True)
    np.testing.assert_array_equal(running.result(SECONDS), FRAME + 1)
    assert waiting[-1].cancelled()
    with pytest.raises(RuntimeError, match="shutdown"):
        pool.submit(work.doubled, FRAME)


def test_memory_that_runs_out_half_way_is_given_back(monkeypatch: pytest.MonkeyPatch, pool: SharedProcessPool) -> None:
    original: Callable[..., Any] = executor.SharedMemory
    calls = 0

    def full(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError(28, "No space left on device")
        return original(*args, **kwargs)

    monkeypatch.setattr(executor, "SharedMemory", full)
    with pytest.raises(OSError, match="No space left"):
        pool.submit(work.doubled, FRAME, plus=FRAME)


def test_memory_that_runs_out_in_the_worker_is_given_back() -> None:
    with process_pool() as pool, pytest.raises(OSError, match="No space left"):
        pool.submit(work.second_block_fails, FRAME).result(SECONDS)


def test_share_and_attach_leave_everything_else_as_it_is() -> None:
    blocks: list[Any] = []
    given = ("text", [1, 2.5, None], {"a": FRAME[:2]}, work.Pair(1.0, FRAME[:1]))
    shared = share(given, blocks)
    assert blocks == [] and shared[:2] == given[:2]
    assert shared[2]["a"] is given[2]["a"] and isinstance(shared[3], work.Pair)
    shared = share({"frame": FRAME}, blocks)
    assert shared["frame"] == SharedArray(blocks[0].name, (300, 400), "<u2")
    opened: list[Any] = []
    view = attach(shared, opened)["frame"]
    np.testing.assert_array_equal(view, FRAME)
    del view
    opened[0].close()
    blocks[0].close()
    blocks[0].unlink()


# The property -----------------------------------------------------------------------------------------------------


def test_the_executor_property_names_threads_processes_or_a_factory() -> None:
    with make_executor("thread", "mine") as threads:
        assert isinstance(threads, ThreadPoolExecutor)
        assert threads.submit(work.process).result(SECONDS) == os.getpid()
    with make_executor("process:2") as processes:
        assert isinstance(processes, SharedProcessPool)
        assert processes.submit(work.process).result(SECONDS) != os.getpid()
    custom = make_executor("tests.core.pool_work:recorder")
    assert isinstance(custom, work.Recorder)
    assert custom.submit(work.process).result(SECONDS) == os.getpid()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "threads",
        "process:0",
        "process:1025",
        "process:-1",
        "no_such_module:factory",
        "tests.core.pool_work:nothing",
        "tests.core.pool_work",
        "tests.core.pool_work:no_executor",
        "tests.core.pool_work:broken_factory",
        "devices.core.alarm:NOT_A_NUMBER",
    ],
)
def test_any_other_executor_is_a_wrong_configuration(text: str) -> None:
    with pytest.raises(ConfigurationError, match="executor"):
        make_executor(text)
