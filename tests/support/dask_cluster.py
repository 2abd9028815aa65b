"""A Dask scheduler and its workers: in this process where that is enough, as processes where one is to be killed."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from devices.core.dask_executor import DaskExecutor
from servers.facility.port_check import free_port

ROOT = Path(__file__).resolve().parents[2]
#: Processes of Dask start in seconds, on a busy machine in many.
STARTED_S = 120.0


@contextlib.contextmanager
def cluster_here(workers: int = 2, port: int = 0) -> Iterator[Any]:
    """A scheduler and workers as threads of this process, with real sockets; the cluster of Dask."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=False,
        protocol="tcp",
        host="127.0.0.1",
        scheduler_port=port,
        dashboard_address="127.0.0.1:0",
        silence_logs=False,
    ) as cluster:
        yield cluster


class DaskCluster:
    """Processes of a scheduler and workers.

    Args:
        folder: for their files and their output.
        host: address that all listen on.
        options: of the command line of all of them.
    """

    def __init__(self, folder: Path, host: str = "127.0.0.1", options: tuple[str, ...] = ()) -> None:
        self._folder, self._host, self._options = folder, host, options
        self.protocol = "tls" if options else "tcp"
        self.address = f"{self.protocol}://{host}:{free_port(host)}"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._schedulers: list[subprocess.Popen[bytes]] = []

    def start_scheduler(self) -> subprocess.Popen[bytes]:
        port = self.address.rpartition(":")[2]
        words = ("--port", port, "--protocol", self.protocol)
        process = self._start("scheduler", *words, host=self._host)
        self._schedulers.append(process)
        self._wait(lambda: self._answers(int(port)), "the scheduler listens", process)
        return process

    def kill_scheduler(self) -> None:
        """By SIGKILL."""
        self._schedulers[-1].kill()
        self._schedulers[-1].wait(10.0)

    def start_worker(self, host: str = "", within: tuple[str, ...] = (), **environment: str) -> subprocess.Popen[bytes]:
        """One worker of one thread, without a nanny: what kills it kills it."""
        words = (self.address, "--nthreads", "1", "--no-nanny", "--local-directory", str(self._folder))
        words += ("--protocol", self.protocol)
        return self._start("worker", *words, host=host or self._host, within=within, **environment)

    def output(self) -> str:
        return "\n".join(file.read_text(errors="replace") for file in sorted(self._folder.glob("output-*")))

    def end(self) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait(10.0)

    def _start(
        self, what: str, *words: str, host: str, within: tuple[str, ...] = (), **environment: str
    ) -> subprocess.Popen[bytes]:
        command = [*within, sys.executable, "-m", "dask", what, *words, "--host", host, "--no-dashboard"]
        with (self._folder / f"output-{len(self._processes)}-{what}").open("wb") as output:
            process = subprocess.Popen(
                [*command, *self._options],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._processes.append(process)
        return process

    def _answers(self, port: int) -> bool:
        try:
            socket.create_connection((self._host, port), 1.0).close()
        except OSError:
            return False
        return True

    def _wait(self, true: Callable[[], bool], what: str, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + STARTED_S
        while not true():
            assert process.poll() is None, f"{what}: it ended\n{self.output()}"
            assert time.monotonic() < deadline, f"not within {STARTED_S:g} s: {what}\n{self.output()}"
            time.sleep(0.05)


@contextlib.contextmanager
def processes(folder: Path, workers: int = 2, host: str = "127.0.0.1") -> Iterator[tuple[DaskCluster, list[Any]]]:
    """A scheduler with workers as processes; each can be killed."""
    folder.mkdir(parents=True, exist_ok=True)
    cluster = DaskCluster(folder, host)
    try:
        cluster.start_scheduler()
        yield cluster, [cluster.start_worker() for _ in range(workers)]
    finally:
        cluster.end()


def has(executor: DaskExecutor, slots: int, seconds: float = STARTED_S) -> None:
    """Wait until so many threads of workers are there."""
    deadline = time.monotonic() + seconds
    while executor.slots != slots:
        assert time.monotonic() < deadline, f"{executor.slots} of {slots} threads of workers: {executor.problem}"
        time.sleep(0.02)


def told(executor: DaskExecutor, part: str, seconds: float = STARTED_S) -> None:
    """Wait until the executor says something; an empty text: that all is well."""
    deadline = time.monotonic() + seconds
    while part not in executor.problem if part else executor.problem:
        assert time.monotonic() < deadline, f"it says {executor.problem!r}, not {part!r}"
        time.sleep(0.02)
