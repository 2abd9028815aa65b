"""The engine: gulps wait in a bounded queue for a process that searches them; reception never waits for either."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np

from devices.core.errors import DiptychError
from devices.correlator.gulp import Gulp
from devices.correlator.job import Found, Job
from devices.correlator.slots import CubeSlots
from devices.correlator.worker_process import WorkerLostError, WorkerProcess

log = logging.getLogger("diptych.correlator")

#: Slots that are left to reception: the gulp that comes, and the one whose last sub-bands are late.
RECEIVING: Final = 2
FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 5.0
NO_CUBE: Final = np.empty((0, 0, 0, 0), np.float32)


class Listener(Protocol):
    """Who prepares jobs and is told what they gave; all in the engine's loop."""

    def prepare(self, gulp: Gulp, follows: bool) -> Job: ...

    def found(self, gulp: Gulp, found: Found) -> None: ...

    def failed(self, gulp: Gulp, why: str) -> None: ...


@dataclass
class Counters:
    """Gulps since the start.

    Attributes:
        received: given to the engine. searched: with a result. dropped: the oldest of a full queue. lost: the worker
            died or hung with it. failed: the worker could not search it. ignored: came while the engine was halted.
    """

    received: int = 0
    searched: int = 0
    dropped: int = 0
    lost: int = 0
    failed: int = 0
    ignored: int = 0


class Engine:
    """One queue and one worker process.

    It holds at most ``slots.count - RECEIVING`` cubes, waiting or being searched; the oldest that waits makes room for
    a new one. All methods belong to the loop.

    Args:
        worker: answers a `Job` with `Found`.
        limit_s: a search that takes longer is given up, and its process with it.
        length_s: of a gulp: when it follows the one before.
        sample_s: how far from that it may begin, s.
    """

    def __init__(
        self,
        slots: CubeSlots,
        worker: WorkerProcess,
        listener: Listener,
        *,
        limit_s: float,
        length_s: float,
        sample_s: float,
    ) -> None:
        self._slots, self._worker, self._listener = slots, worker, listener
        self._limit_s, self._length_s, self._sample_s = limit_s, length_s, sample_s
        self._waiting: deque[Gulp] = deque()
        self._searching: Gulp | None = None
        self._change = asyncio.Event()
        self._idle = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="search")
        self._before_mjd = math.nan
        self.counters = Counters()
        self.is_halted = False
        self.problem = ""
        self.is_ready = False

    @property
    def capacity(self) -> int:
        """Cubes that it may hold."""
        return max(1, self._slots.count - RECEIVING)

    @property
    def depth(self) -> int:
        """Cubes that it holds."""
        return len(self._waiting) + (self._searching is not None)

    @property
    def pid(self) -> int | None:
        """Of the process that searches."""
        return self._worker.pid

    @property
    def waited_s(self) -> float:
        """Since when the oldest gulp waits, s; 0: none does."""
        return time.time() - self._waiting[0].ended_unix if self._waiting else 0.0

    def start(self) -> None:
        """Start the process, and search what comes."""
        self._task = asyncio.create_task(self._run(), name="search of gulps")

    def put(self, gulp: Gulp) -> None:
        """Take a gulp over; never waits."""
        self.counters.received += 1
        if self.is_halted:
            self.counters.ignored += 1
            self._slots.release(gulp.slot)
            return
        while self._waiting and self.depth >= self.capacity:
            self._drop()
        if self.depth >= self.capacity:  # room for one, and that is searched
            self.counters.dropped += 1
            self._slots.release(gulp.slot)
            return
        self._waiting.append(gulp)
        self._change.set()

    def make_room(self) -> bool:
        """Drop the gulp that waits longest; whether there was one."""
        if self._waiting:
            self._drop()
            return True
        return False

    def clear(self) -> None:
        """Forget the gulps that wait."""
        while self._waiting:
            self._drop()

    async def drained(self) -> None:
        """Wait until all that was taken over is searched."""
        while self.depth:
            self._idle.clear()
            await self._idle.wait()

    async def stop(self) -> None:
        """End the process; what waits is forgotten."""
        if self._task is not None:
            self._task.cancel()
        self._worker.kill()
        if self._task is not None:
            await asyncio.wait([self._task])
        self.clear()
        await asyncio.to_thread(self._worker.close)
        self._thread.shutdown(wait=True)

    def _drop(self) -> None:
        self.counters.dropped += 1
        self._slots.release(self._waiting.popleft().slot)
        self._idle.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE_S
        while True:
            try:
                await loop.run_in_executor(self._thread, self._worker.start)
            except DiptychError as error:
                self._say(str(error))
                await asyncio.sleep(pause)
                pause = min(2.0 * pause, LONGEST_PAUSE_S)
                continue
            self.is_ready, pause = True, FIRST_PAUSE_S
            await self._change.wait()
            self._change.clear()
            while self._waiting:
                if not await self._search(self._waiting.popleft()):
                    break  # the process is started again first
            if self._waiting:
                self._change.set()

    async def _search(self, gulp: Gulp) -> bool:
        """Search one gulp; whether the process lives on."""
        loop = asyncio.get_running_loop()
        self._searching = gulp
        follows, self._before_mjd = self._follows(gulp), gulp.mjd
        try:
            job = self._listener.prepare(gulp, follows)
            job = replace(job, gulp=replace(gulp, cube=NO_CUBE))
            found = await loop.run_in_executor(self._thread, self._worker.ask, job, self._limit_s)
        except WorkerLostError as error:
            self.counters.lost += 1
            self._before_mjd, self.is_ready = math.nan, False
            self._say(str(error))
            self._listener.failed(gulp, str(error))
            return False
        except DiptychError as error:
            self.counters.failed += 1
            self._say(str(error))
            self._listener.failed(gulp, str(error))
            return True
        finally:
            self._searching = None
            self._slots.release(gulp.slot)
            self._idle.set()
        self.counters.searched += 1
        self._say("")
        self._listener.found(gulp, found)
        return True

    def _follows(self, gulp: Gulp) -> bool:
        passed_s = (gulp.mjd - self._before_mjd) * 86400.0  # NaN: there is none
        return abs(passed_s - self._length_s) < self._sample_s

    def _say(self, problem: str) -> None:
        if problem and problem != self.problem:
            log.error("%s", problem)
        self.problem = problem
