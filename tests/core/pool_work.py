"""Work for process pools: workers import it by name, so it lives in a module of its own."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil

from devices.core import executor
from devices.core.errors import RangeError
from devices.core.executor import SharedArray

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Scan:
    """A frame and what is known of it."""

    frame: Array
    exposure: float
    masks: dict[str, Array]


class Pair(NamedTuple):
    total: float
    frame: Array


def doubled(frame: Array, plus: float = 0.0) -> Array:
    return frame * 2 + plus


def described(value: Any) -> dict[str, Any]:
    """How the worker sees an array."""
    return {
        "shape": value.shape,
        "dtype": value.dtype.str,
        "writeable": value.flags.writeable,
        "sum": float(np.nansum(value)),
        "process": os.getpid(),
        "blocks": shared_blocks_mapped(),
    }


def shared_blocks_mapped(*_: Any) -> int:
    """How many blocks of shared memory this process has mapped."""
    with open("/proc/self/maps") as maps:
        return sum("/dev/shm/" in line and "/sem." not in line for line in maps)


def name_blocks(prefix: str) -> None:
    """Name this process's blocks so that a test knows them."""
    shared_memory._SHM_NAME_PREFIX = f"/{prefix}"  # type: ignore[attr-defined]


def scan_of(scan: Scan) -> Scan:
    return Scan(scan.frame + 1, scan.exposure * 2, {name: ~mask for name, mask in scan.masks.items()})


def pair_of(frame: Array) -> Pair:
    return Pair(float(frame.sum()), frame.T.copy())


def many(frame: Array) -> dict[str, list[Array]]:
    return {"parts": [frame[:, 1:], frame[:1, :3], frame + 1]}


def corner(frame: Array) -> Array:
    """A small view of a large argument."""
    return frame[:2, :3]


def failing(frame: Array) -> Array:
    held = frame[1:]
    raise ZeroDivisionError(f"no flat field for {held.shape}")


def too_cold(kelvin: float) -> None:
    raise RangeError(f"{kelvin:g} K is outside [77, 300] K")


def dying(frame: Array) -> Array:
    os.kill(os.getpid(), signal.SIGKILL)
    return frame


def slow(frame: Array, seconds: float, tell: str = "") -> Array:
    if tell:
        Path(tell).touch()
    time.sleep(seconds)
    return frame + 1


def kind_of(value: Any) -> str:
    return type(value).__name__


def masked_sum(value: Any) -> float:
    return float(value.sum())


def named_column(table: Array, name: str) -> Array:
    column: Array = table[name].copy()
    return column


def unpicklable() -> Any:
    return threading.Lock()


def addresses() -> list[str]:
    """Of this host, without its loopback."""
    found = (each.address for card in psutil.net_if_addrs().values() for each in card if each.family == socket.AF_INET)
    return [each for each in found if each != "127.0.0.1"]


def process() -> int:
    return os.getpid()


@dataclass(frozen=True)
class Checked:
    """Looks into its frame when it is made."""

    frame: Array
    rows: int = field(init=False)
    columns: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", self.frame.shape[0])
        object.__setattr__(self, "columns", self.frame.shape[1])


def checked(given: Checked) -> Checked:
    return Checked(given.frame + 1)


def lost_block() -> Any:
    """A result whose block is gone before the parent takes it."""
    return SharedArray("d0_lost", (300, 400), "<u2")


def second_block_fails(frame: Array) -> Any:
    """Shared memory runs out while the second of two results is shared; this worker is of no use afterwards."""
    original, made = executor.SharedMemory, 0

    def full(*args: Any, **kwargs: Any) -> Any:
        nonlocal made
        made += "create" in kwargs
        if made == 2:
            raise OSError(28, "No space left on device")
        return original(*args, **kwargs)

    executor.SharedMemory = full  # type: ignore[misc, assignment]
    return frame + 1, frame + 2


def flat_fielded(frame: Array, gain: float, rounds: int = 1) -> Array:
    """The frame times the gain, so many times."""
    return frame * gain**rounds


def brightest(frame: Array) -> float:
    """The brightest pixel."""
    return float(frame.max())


def profile(frame: Array) -> tuple[Array, Array]:
    """The means along the rows and along the columns."""
    return frame.mean(axis=1), frame.mean(axis=0)


class Moments(NamedTuple):
    width: float
    mean: float


def moments(frame: Array) -> Moments:
    return Moments(float(frame.std()), float(frame.mean()))


def moments_by_name(frame: Array) -> dict[str, float]:
    return {"width": 3.0, "mean": 7.0, "unused": 0.0}


@dataclass(frozen=True)
class Statistics:
    width: float
    mean: float


def moments_of_a_dataclass(frame: Array) -> Statistics:
    return Statistics(2.0, 8.0)


def wait(seconds: float) -> float:
    """Take that long."""
    time.sleep(seconds)
    return seconds


class Recorder(Executor):
    """An executor of a site: it runs the work where it was submitted, and remembers what it was."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.closed = False

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.done.append(fn.__name__)
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future

    def shutdown(self, wait: bool = True) -> None:  # type: ignore[override]  # as Dask's: no cancel_futures
        self.closed = True


def recorder() -> Recorder:
    return Recorder()


def no_executor() -> int:
    return 4


def broken_factory() -> Executor:
    raise ValueError("no scheduler is named")


if __name__ == "__main__":
    # A server that will be killed in the middle of its work.
    name_blocks(sys.argv[1])
    pool = executor.SharedProcessPool(1)
    worker = pool.submit(process).result()
    pool.submit(slow, np.zeros((300, 400)), 60.0)
    print(worker, flush=True)
    time.sleep(60.0)
