"""The queue of a SAXS detector: images come in, worker processes integrate them, results go out; none is lost."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import BrokenExecutor
from typing import Final

from devices.core.errors import BadValueError, reason
from devices.pipelines.saxs_parameters import IntegralParameters
from devices.saxs.batch import Batch, ImageDone, ImageFailed, Job, Version
from devices.saxs.journal import Entry, Journal
from devices.saxs.outputs import Outputs
from devices.saxs.record import Record
from devices.saxs.results import QueueCounts, Series
from devices.saxs.run import Run

log = logging.getLogger(__name__)

MOST_OF_BATCH: Final = 16
FIRST_RETRY_S: Final = 0.1
RETRY_FACTOR: Final = 3.0
FULL_DISK_S: Final = 1.0
HISTORY_S: Final = 100.0
MOST_FINISHED: Final = 10_000
MOST_FAILURES: Final = 1000
LONGEST_END_S: Final = 1.0  # a file system that hangs must not hold up who ends the queue

Integrate = Callable[[Sequence[Job]], Awaitable[Batch]]
Tell = Callable[[Batch], None]


class ImageQueue:
    """Hands images of a run to workers in small batches, and retries what fails; in the device's loop.

    Args:
        integrate: has a batch of images done in a worker.
        tell: called with every batch that was done.
        workers: how many batches are in work at once.
        attempts: how often an image is tried at most.
    """

    def __init__(
        self,
        run: Run,
        outputs: Outputs,
        journal: Journal,
        record: Record,
        integrate: Integrate,
        tell: Tell,
        *,
        workers: int,
        attempts: int,
        keeps_old: bool = False,
    ) -> None:
        self.run, self.outputs = run, outputs
        self._journal, self._record = journal, record
        self._integrate, self._tell = integrate, tell
        self._workers, self._attempts, self._keeps_old = workers, attempts, keeps_old
        self._pending: dict[str, None] = {}
        self._later: dict[str, asyncio.TimerHandle] = {}
        self._suspects: dict[str, None] = {}  # what was in work when a worker died: tried one by one
        self._again: set[str] = set()  # came again while in work
        self._tried: Counter[str] = Counter()
        self._known: dict[str, Version] = {}
        self._tasks: dict[asyncio.Task[None], list[str]] = {}
        self._paused_until = 0.0
        self._is_stopped = self._has_ended = False
        self._change = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.is_closed = run.is_closed
        self.processed = 0
        self.failures: dict[str, str] = {}
        self.failed = 0
        self.series: dict[str, Series] = {}
        self.finished: deque[float] = deque(maxlen=MOST_FINISHED)
        self.problem = ""

    @property
    def waiting(self) -> int:
        """Images that wait, are in work, or are to be tried again."""
        in_work = sum(len(images) for images in self._tasks.values())
        return len(self._pending) + len(self._suspects) + len(self._later) + in_work

    @property
    def counts(self) -> QueueCounts:
        return QueueCounts(self.processed, self.waiting, self.run.started, self.failed)

    def resume(self) -> None:
        """Take over what an earlier life of the server has done; before :meth:`start`."""
        for entry in self._journal.entries():
            if entry.why:
                self._give_up(entry.path, entry.why)
            else:
                self.processed += 1
                self._note(entry.path, entry.taken, entry.parameters)
                self.outputs.note(entry.path, entry.output)
            if entry.version is not None:
                self._known[entry.path] = entry.version

    def start(self) -> None:
        self._task = asyncio.create_task(self._dispatch(), name=f"queue of {self.run.images}")
        for _ in range(self._workers):  # workers start and tabulate before the first image comes
            self._begin([])

    def add(self, images: Iterable[str]) -> None:
        """Images that are new or have changed; one that is waiting already is done once."""
        if self.is_closed or self._is_stopped:
            return
        in_work = {each for batch in self._tasks.values() for each in batch}
        for image in images:
            if image in in_work:
                self._again.add(image)
                continue
            if (handle := self._later.pop(image, None)) is not None:
                handle.cancel()
            self._tried.pop(image, None)
            self._pending[image] = None
        self._change.set()

    def begin_anew(self) -> None:
        """Forget which images are done, and their parameters; the counter goes on, as does what waits."""
        self._known.clear()
        self.series.clear()
        self.failures.clear()
        self.finished.clear()
        self.outputs.forget()
        self._journal.clear()

    async def drained(self) -> None:
        """Wait until nothing waits and all results are written."""
        while self.waiting or not self._record.is_idle:  # noqa: ASYNC110  # the record writes in a thread
            await asyncio.sleep(0.02)

    async def stop(self, *, drop: bool) -> None:
        """End with the images that are in work; `drop`: their results are not wanted any more."""
        self._is_stopped = True
        if self._task is not None:
            self._task.cancel()
        for handle in self._later.values():
            handle.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LONGEST_END_S)
        self._has_ended = True
        await asyncio.to_thread(self._record.close, drop=drop)
        self._journal.close()

    async def _dispatch(self) -> None:
        while True:
            self._change.clear()
            pause = self._paused_until - time.monotonic()
            if pause <= 0.0:
                while self._record.has_room and (jobs := self._next()):
                    self._begin(jobs)
            timeout = pause if pause > 0.0 else None if self._record.has_room else 0.1
            try:
                await asyncio.wait_for(self._change.wait(), timeout)
            except TimeoutError:
                continue

    def _next(self) -> list[str]:
        """The images of the next batch; none while enough are in work."""
        if self._suspects:  # alone: whoever kills the workers now has shown itself
            if self._tasks:
                return []
            image = next(iter(self._suspects))
            del self._suspects[image]
            self._tried[image] += 1
            return [image]
        if len(self._tasks) >= 2 * self._workers:  # one in work and one at hand for each
            return []
        size = max(1, min(MOST_OF_BATCH, len(self._pending) // (2 * self._workers)))
        images = [image for image, _ in zip(self._pending, range(size), strict=False)]
        for image in images:
            del self._pending[image]
        return images

    def _begin(self, images: list[str]) -> None:
        task = asyncio.create_task(self._do(images))
        self._tasks[task] = images
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        images = self._tasks.pop(task)
        # A worker that finds its run stopped says so by an error; what it left undone is nobody's failure.
        if not task.cancelled() and (error := task.exception()) is not None and not self._is_stopped:
            log.error("%s: %s", self.run.images, error, exc_info=error)
            for image in images:
                self._failed(image, f"{reason(error)}: {error}")
        again = [image for image in images if image in self._again]
        self._again.difference_update(again)
        self.add(again)
        self._change.set()

    async def _do(self, images: list[str]) -> None:
        try:
            jobs = [Job(image, self.outputs.of(image), self._known.get(image), self._keeps_old) for image in images]
        except OSError as error:
            self._pause(images, f"results cannot be written: {error}")
            return
        try:
            batch = await self._integrate(jobs)
            if self._has_ended:
                return
        except BrokenExecutor:
            log.warning("%s: a worker died with %s", self.run.images, ", ".join(map(os.path.basename, images)))
            for image in images:
                if self._tried[image] >= self._attempts:
                    self._give_up(image, "the worker died", keep=True)
                else:
                    self._suspects[image] = None
            return
        given_up = []
        missing = images[len(batch.outcomes) :]
        for outcome in batch.outcomes:
            image = outcome.job.image
            if isinstance(outcome, ImageDone):
                self._done(outcome)
            elif not isinstance(outcome, ImageFailed):
                self._tried.pop(image, None)
            elif outcome.is_output:
                self._pause([image], outcome.why)
            elif entry := self._failed(image, outcome.why):
                given_up.append(entry)
        if not self._is_stopped:
            self.add(missing)
        if any(isinstance(outcome, ImageDone) for outcome in batch.outcomes):
            self.problem = ""
        if images:
            self._record.put(batch, given_up)
            self._tell(batch)

    def _done(self, done: ImageDone) -> None:
        image = done.job.image
        self._tried.pop(image, None)
        self.failures.pop(image, None)
        self._known[image] = done.version
        self.processed += 1
        self.finished.append(time.time())
        self._note(image, done.taken, done.parameters)

    def _note(self, image: str, taken: float, parameters: Sequence[IntegralParameters | None]) -> None:
        for index, found in enumerate(parameters):
            if found is not None:
                self.series.setdefault(f"R{index}", Series()).add(taken, os.path.basename(image), found)

    def _failed(self, image: str, why: str) -> Entry | None:
        """An image could not be integrated: it is tried later, or given up."""
        self._tried[image] += 1
        tried = self._tried[image]
        if tried < self._attempts and not self._is_stopped:
            delay = FIRST_RETRY_S * RETRY_FACTOR ** (tried - 1)
            self._later[image] = asyncio.get_running_loop().call_later(delay, self._retry, image)
            return None
        self._tried.pop(image, None)
        self._give_up(image, why)
        return Entry(image, None, "", time.time(), (), why)

    def _give_up(self, image: str, why: str, *, keep: bool = False) -> None:
        self.failed += 1
        self.failures[image] = why
        while len(self.failures) > MOST_FAILURES:
            del self.failures[next(iter(self.failures))]
        if keep:
            self._tried.pop(image, None)
            entry = Entry(image, None, "", time.time(), (), why)
            self._record.put(Batch(()), [entry])
            self._tell(Batch((ImageFailed(Job(image, ""), BadValueError(why)),)))

    def _retry(self, image: str) -> None:
        del self._later[image]
        self._pending[image] = None
        self._change.set()

    def _pause(self, images: Iterable[str], why: str) -> None:
        """The disk is full, or the like: nobody's fault, all wait."""
        if not self._is_stopped:
            self._pending = dict.fromkeys(images) | self._pending
        if why != self.problem:
            log.error("%s", why)
        self.problem = why
        self._paused_until = time.monotonic() + FULL_DISK_S
        self._change.set()
