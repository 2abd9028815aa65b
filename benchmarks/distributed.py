"""Gulps and SAXS images on the workers of a Dask scheduler on this machine, beside the same work done here.

What is measured is what the way there and back costs, and what a second worker gives; on a machine whose cores are all
taken by the first one, that is nothing. Run with ``python -m benchmarks distributed``.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.figure import Figure
from devices.core.dask_executor import DaskExecutor
from devices.core.executor import SharedProcessPool
from devices.correlator.dask_strips import DaskStrips
from devices.correlator.properties import CorrelatorProperties
from devices.drivers.mask_file import encode_fit2d_mask
from devices.pipelines.search.search import Search
from devices.pipelines.search.settings import SearchSettings
from devices.simulators.saxs import SilverBehenate, write_image
from servers.facility.port_check import free_port
from servers.leash.integration import Order, integrate_folder

ROOT = Path(__file__).resolve().parents[1]
CALLS = 200
GULPS = 7
#: So many that what processes do once does not count; of so many pictures, each with several names.
IMAGES, PICTURES = 1200, 60
START_S = 120.0


def run() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="distributed-") as folder, _scheduler(Path(folder)) as (address, begin):
        begin()
        executor = DaskExecutor(address)
        _wait(executor, 1)
        with SharedProcessPool(1) as pool, ThreadPoolExecutor(1) as thread:
            figures = [
                Figure("Dask: an empty call (peer: a process here)", _call(executor), "ms", _call(pool)),
                Figure("Dask: 4 MB there and back (peer: shared memory)", _frame(executor), "ms", _frame(pool)),
                Figure("Dask: an empty call (peer: a thread here)", _call(executor), "ms", _call(thread)),
            ]
        one = _gulp(address, 1), _images(Path(folder), address, 1)
        begin()
        _wait(executor, 2)
        executor.shutdown()
        two = _gulp(address, 2), _images(Path(folder), address, 2)
        here = _gulp("", 2), _images(Path(folder), "", 2)
    for count, (gulp, images) in (("one worker", one), ("two workers", two)):
        figures += [
            Figure(f"Dask: 300 x 300 gulp, {count} (peer: 2 threads here)", gulp, "ms", here[0]),
            Figure(f"Dask: SAXS tif to chi, {count} (peer: 2 processes)", images, "images/s", here[1]),
        ]
    return figures


@contextmanager
def _scheduler(folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """A scheduler's address, and what starts one worker of one thread."""
    address = f"tcp://127.0.0.1:{free_port('127.0.0.1')}"
    processes: list[subprocess.Popen[bytes]] = []

    def begin(*words: str) -> None:
        command = [sys.executable, "-m", "dask", *(words or ("worker", address, "--nthreads", "1", "--no-nanny"))]
        command += ["--host", "127.0.0.1", "--no-dashboard"]
        output = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        processes.append(subprocess.Popen(command, cwd=ROOT, **output))

    try:
        begin("scheduler", "--port", address.rpartition(":")[2])
        yield address, begin
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _wait(executor: DaskExecutor, workers: int) -> None:
    deadline = time.monotonic() + START_S
    while executor.slots != workers:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{executor.slots} of {workers} workers: {executor.problem}")
        time.sleep(0.05)


def _median_ms(work: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds + 2):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return 1000.0 * statistics.median(times[2:])


def _call(executor: DaskExecutor | SharedProcessPool | ThreadPoolExecutor) -> float:
    return _median_ms(lambda: executor.submit(abs, -1).result(START_S), CALLS)


def _frame(executor: DaskExecutor | SharedProcessPool) -> float:
    frame = np.arange(1043 * 981, dtype=np.int32).reshape(1043, 981)
    return _median_ms(lambda: executor.submit(np.copy, frame).result(START_S), 20)


def _gulp(scheduler: str, workers: int) -> float:
    """One gulp of noise with all default trials, ms."""
    given = CorrelatorProperties.parse({"scheduler": scheduler, "search_timeout": "600"})
    strips = DaskStrips(given) if scheduler else None
    if strips is not None:
        _wait(strips._executor, workers)
    search = Search(given.band, given.trials(), SearchSettings(), workers=strips)
    cube = np.random.default_rng(0).standard_normal((16, 25, 300, 300), np.float32)
    present = np.ones(16, np.bool_)
    try:
        milliseconds = _median_ms(lambda: search(cube, present), GULPS)
        if strips is not None and strips.problem:
            raise RuntimeError(strips.problem)
        return milliseconds
    finally:
        search.close()
        if strips is not None:
            strips.close()


def _images(base: Path, scheduler: str, workers: int) -> float:
    """Images of 1M pixels per second; what starts and tabulates is not counted."""
    detector = SilverBehenate((1043, 981), seed=0)
    data = base / "data"
    if not data.exists():
        data.mkdir()
        (base / "mask.msk").write_bytes(encode_fit2d_mask(detector.mask))
        (base / "cal.json").write_text(json.dumps(detector.calibration()))
        for number in range(PICTURES):
            write_image(data / f"{number}.tif", detector.expose(1.0 + 0.1 * number), 1.0, time.time())
        for number in range(PICTURES, IMAGES):
            os.link(data / f"{number % PICTURES}.tif", data / f"{number}.tif")
    began: list[tuple[float, int]] = []

    def show(tally: object) -> None:
        done = tally.done  # type: ignore[attr-defined]
        if done and not began:
            began.append((time.monotonic(), done))

    order = Order(
        data, base / "cal.json", workers=workers, output=base / f"out{workers}{bool(scheduler)}", scheduler=scheduler
    )
    tally = integrate_folder(order, show)
    if tally.done != IMAGES:
        raise RuntimeError(f"{tally.done} of {IMAGES} images: {tally.failures}")
    [(first, done)] = began
    return (IMAGES - done) / (time.monotonic() - first)
