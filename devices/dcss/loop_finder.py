"""Who looks for loops: pictures wait their turn, the oldest goes when too many do."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Protocol

from devices.core.errors import AbortedError, BusyError
from devices.dcss.loop_frames import CameraFrame
from devices.dcss.loop_picture import Examined, draw, examine
from devices.pipelines.loop.result import LoopResult
from devices.pipelines.loop.settings import LoopSettings


class LoopService(Protocol):
    """A service elsewhere that finds loops."""

    async def find(self, packed: bytes, key: str) -> LoopResult:
        """The loop in a JPEG; the answer is the one to this key."""

    async def close(self) -> None:
        """End its connections."""


@dataclass(eq=False)
class Job:
    """A picture that waits, or is looked at."""

    frame: CameraFrame
    key: str
    shown: tuple[int, int] | None
    mask: bytes | None
    future: asyncio.Future[Examined] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class LoopFinder:
    """Looks for loops, several pictures at once.

    Args:
        executor: where pictures are examined.
        settings: how.
        service: does it instead of us; None: we do.
        at_once: pictures that are examined at the same time.
        capacity: pictures that may wait.
    Attributes:
        examined, dropped: pictures.
    """

    def __init__(
        self,
        executor: Callable[[], Executor],
        settings: LoopSettings,
        *,
        service: LoopService | None = None,
        at_once: int = 2,
        capacity: int = 256,
    ) -> None:
        self._executor, self._settings, self._service = executor, settings, service
        self._at_once, self._capacity = at_once, capacity
        self._waiting: deque[Job] = deque()
        self._running: dict[asyncio.Task[None], Job] = {}
        self.examined = self.dropped = 0

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def find(
        self,
        frame: CameraFrame,
        key: str,
        *,
        urgent: bool = False,
        shown: tuple[int, int] | None = None,
        mask: bytes | None = None,
    ) -> asyncio.Future[Examined]:
        """Look for the loop in a picture; who wants the same picture at the same time gets the same answer.

        Args:
            key: names the picture to a service: ``operation:handle:index``.
            urgent: goes ahead of those that wait, and is not dropped.
            shown, mask: see `examine`.
        Returns:
            What is awaited by ``asyncio.shield``. It fails with BusyError when the picture was dropped.
        """
        for job in (*self._waiting, *self._running.values()):
            if job.frame is frame and job.mask is mask:
                return job.future
        job = Job(frame, key, shown, mask)
        # Nobody may be left to hear of its failure: those who wait are cancelled when DCSS is lost.
        job.future.add_done_callback(lambda done: done.cancelled() or done.exception())
        if urgent:
            self._waiting.appendleft(job)
        else:
            self._waiting.append(job)
            if len(self._waiting) > self._capacity:
                self._drop(self._waiting.popleft())
        self._next()
        return job.future

    async def close(self) -> None:
        """Look no more; who still waits is told so."""
        for job in (*self._waiting, *self._running.values()):
            if not job.future.done():
                job.future.set_exception(AbortedError("the loop detector stops"))
        self._waiting.clear()
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(list(self._running), timeout=2.0)
        if self._service is not None:
            await self._service.close()

    def _drop(self, job: Job) -> None:
        self.dropped += 1
        error = BusyError(f"picture {job.frame.sequence} was dropped: {self._capacity} wait already")
        job.future.set_exception(error)

    def _next(self) -> None:
        while self._waiting and len(self._running) < self._at_once:
            job = self._waiting.popleft()
            task = asyncio.create_task(self._run(job), name=f"loop in picture {job.frame.sequence}")
            self._running[task] = job
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._next()

    async def _run(self, job: Job) -> None:
        try:
            found = await self._examine(job)
        except Exception as error:
            if not job.future.done():
                job.future.set_exception(error)
        else:
            self.examined += 1
            if not job.future.done():
                job.future.set_result(found)

    async def _examine(self, job: Job) -> Examined:
        if self._service is None:
            return await self._apart(examine, job.frame.packed, self._settings, job.shown, job.mask)
        result = await self._service.find(job.frame.packed, job.key)
        return await self._apart(draw, job.frame.packed, result, job.shown)

    async def _apart(self, function: Callable[..., Examined], *args: Any) -> Examined:
        return await asyncio.wrap_future(self._executor().submit(function, *args))
