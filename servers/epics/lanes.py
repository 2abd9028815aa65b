"""The threads of one device in which puts wait for it: in order for each record, side by side otherwise."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from devices.core.errors import BusyError, NotConnectedError
from servers.epics.records import Record

log = logging.getLogger(__name__)

THREADS = 4  # of one device; an abort must not wait behind a command
MAX_WAITING = 100  # jobs of one record

Job = Callable[[], None]


class Lanes:
    """Runs jobs that wait for one device. Its threads begin with the first job.

    Args:
        device: its name, for the threads and the log.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._lanes: dict[Record, deque[Job]] = {}
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._closed = False

    def submit(self, record: Record, job: Job) -> None:
        """Run a job after all earlier ones of the same record.

        Raises:
            BusyError: too many are waiting already.
            NotConnectedError: the device is no longer mirrored.
        """
        with self._lock:
            if self._closed:
                raise NotConnectedError(f"{record.name}: {self._device} is no longer mirrored")
            lane = self._lanes.setdefault(record, deque())
            if len(lane) >= MAX_WAITING:
                raise BusyError(f"{record.name}: {len(lane)} puts are waiting already")
            lane.append(job)
            if len(lane) == 1:
                self._pool().submit(self._run_lane, record, lane)

    def run(self, job: Job) -> None:
        """Run a job in no order; after ``close`` it is dropped."""
        with self._lock:
            if not self._closed:
                self._pool().submit(job)

    def close(self) -> None:
        """Take no more jobs and wait for those that run; waiting ones are dropped."""
        with self._lock:
            self._closed = True
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def _pool(self) -> ThreadPoolExecutor:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix=f"epics-put {self._device}")
        return self._executor

    def _run_lane(self, record: Record, lane: deque[Job]) -> None:
        while True:
            try:
                lane[0]()
            except Exception:
                log.exception("a put to %s went wrong in the mirror", self._device)
            with self._lock:
                lane.popleft()
                if not lane or self._closed:
                    del self._lanes[record]
                    return
