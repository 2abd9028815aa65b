"""``diptych saxs integrate``: the images of a folder become curves without a server, by the queue that servers have."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from devices.core.dask_executor import DaskExecutor
from devices.core.errors import BadValueError, ConfigurationError
from devices.core.executor import SharedProcessPool
from devices.drivers.allowed_folders import AllowedFolders
from devices.drivers.chi_file import write_whole
from devices.drivers.detector_image import MAX_FILE_BYTES
from devices.saxs.batch import Batch, ImageDone, ImagePassed, Job, integrate_batch, prepare
from devices.saxs.calibration_source import read_source
from devices.saxs.folder_watch import changed_images, images_below
from devices.saxs.journal import Journal
from devices.saxs.outputs import Outputs
from devices.saxs.queue import ImageQueue
from devices.saxs.record import Record
from devices.saxs.run import Run

if TYPE_CHECKING:
    from devices.saxs.results import Curve

#: An image that is there is whole; one that has just appeared may be in the middle of being written.
ATTEMPTS: Final = 1
ATTEMPTS_WATCHING: Final = 5
LOOK_S: Final = 0.05
INTERRUPTED: Final = 128 + signal.SIGINT
MOST_UNDRAWN: Final = 4  # batches that wait for their pictures; then the integration waits for these


@dataclass(frozen=True)
class Order:
    """What is to be done.

    Args:
        folder: of the images, with all below it unless `walks` is False.
        calibration: the file; its masks are looked up beside it. Its Directory has no meaning here.
        form: what is written: ``chi``, ``hdf5`` or ``both``.
        workers: processes; None: as many as the calibration says, at most one for each processor.
        watches: goes on with images that appear, until it is interrupted.
        resumes: passes over images that have a text result.
        relative: the folder of results, seen from the folder of an image.
        output: the folder of all results instead.
        pictures: kinds of pictures that are written beside the results, ``png``, ``svg``.
        scheduler, scheduler_tls: whose workers integrate, instead of processes; see `DaskExecutor`. They see the
            folders of images and results by the same names.
    """

    folder: Path
    calibration: Path
    form: str = "chi"
    workers: int | None = None
    watches: bool = False
    resumes: bool = False
    walks: bool = True
    relative: str = "../work"
    output: Path | None = None
    pictures: tuple[str, ...] = ()
    scheduler: str = ""
    scheduler_tls: str = ""


@dataclass
class Tally:
    """What has become of the images so far.

    Args:
        found, done, passed, failed: images; `passed` had results already.
        failures: why images failed; the newest, if there are very many.
        problems: what is wrong besides.
    """

    found: int = 0
    done: int = 0
    passed: int = 0
    failed: int = 0
    failures: Mapping[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    is_interrupted: bool = False
    seconds: float = 0.0

    @property
    def ended(self) -> int:
        return self.done + self.passed + self.failed

    @property
    def is_good(self) -> bool:
        return not (self.failures or self.problems)


def integrate_folder(order: Order, show: Callable[[Tally], None], workers: Executor | None = None) -> Tally:
    """Integrate the images of a folder; ends when all are done, or within one image when it is interrupted.

    Args:
        show: is told now and then how it stands.
        workers: None: processes of its own.
    Raises:
        ConfigurationError: calibration or masks are wrong, or the folder is missing. BadValueError: a file is missing.
    """
    if order.resumes and order.form == "hdf5":
        raise BadValueError("--resume passes over images that have a text result: --format is to be chi or both")
    document, masks = read_source(order.calibration, None)
    folder = Path(os.path.realpath(order.folder))
    if not folder.is_dir():
        raise ConfigurationError(str(order.folder), ["no such folder"])
    with _run_folder(order, folder) as kept:
        everywhere = Path(folder.anchor)  # a person's own command is confined by that person's rights only
        run = Run(
            Path(kept) / "run", everywhere, AllowedFolders([everywhere]), folder, document, tuple(masks), time.time(),
            covers_all=True, source=str(order.calibration),
        )  # fmt: skip
        run.save()
        prepare(str(run.folder))  # what is wrong with the calibration is said before anything is written
        wanted = run.calibration.workers or os.cpu_count() or 1
        count = order.workers or (wanted if order.scheduler else min(wanted, os.cpu_count() or 1))
        executor = workers or _executor(order, count)
        try:
            return asyncio.run(_Integration(order, run, executor, count).work(show))
        finally:
            run.stop_file.touch()
            executor.shutdown(wait=True, cancel_futures=True)


def _run_folder(order: Order, folder: Path) -> tempfile.TemporaryDirectory[str]:
    """Where workers read what is to be done: with those of a scheduler, where they see it.

    Raises:
        BadValueError: nothing can be written there.
    """
    if not order.scheduler:
        return tempfile.TemporaryDirectory(prefix="diptych-saxs-")
    seen = order.output or folder
    try:
        seen.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix=".diptych-saxs-", dir=os.path.realpath(seen))
    except OSError as error:
        raise BadValueError(f"{seen}: workers of {order.scheduler} need a folder here: {error.strerror}") from error


def _executor(order: Order, workers: int) -> Executor:
    if not order.scheduler:
        return SharedProcessPool(workers)
    return DaskExecutor(order.scheduler, order.scheduler_tls)


class _Integration:
    """One order at work, in its loop."""

    def __init__(self, order: Order, run: Run, executor: Executor, workers: int) -> None:
        self._order, self._run, self._executor = order, run, executor
        self._writes_text = order.form != "hdf5"
        self._tally = Tally()
        self._interrupted = asyncio.Event()
        self._undrawn: deque[Batch] = deque()
        self._drawing = asyncio.Event()
        self._drawn = asyncio.Event()
        outputs = Outputs(run, order.relative, order.output and Path(os.path.realpath(order.output)))
        journal = Journal(run.folder)
        self._record = Record(
            run,
            journal,
            outputs.curves_file if order.form in ("hdf5", "both") else None,
            outputs.live_list if run.calibration.has_live_list else None,
        )
        self._queue = ImageQueue(
            run, outputs, journal, self._record, self._integrate, self._tell,
            workers=workers, attempts=ATTEMPTS_WATCHING if order.watches else ATTEMPTS,
            keeps_old=self._writes_text and (order.resumes or not run.calibration.overwrites),
        )  # fmt: skip

    async def work(self, show: Callable[[Tally], None]) -> Tally:
        began = time.monotonic()
        with _interrupts(self._interrupted.set):
            self._record.start()
            self._queue.start()
            fed = asyncio.create_task(self._feed())
            tasks = [fed, asyncio.create_task(self._draw())]
            try:
                while not self._interrupted.is_set() and not (fed.done() and self._is_through):
                    for task in tasks:
                        if task.done():
                            task.result()
                    show(self._counted(began))
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._interrupted.wait(), LOOK_S)
                if fed.done():
                    fed.result()
            finally:
                self._tally.is_interrupted = self._interrupted.is_set()
                self._interrupted.set()
                self._drawn.set()
                self._run.stop_file.touch()
                await self._queue.stop(drop=False)
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
        self._tally.problems += [each for each in (self._record.problem, self._queue.problem) if each]
        show(self._counted(began))
        return self._tally

    def _counted(self, began: float) -> Tally:
        self._tally.failed, self._tally.failures = self._queue.failed, self._queue.failures
        self._tally.seconds = time.monotonic() - began
        return self._tally

    @property
    def _is_through(self) -> bool:
        return not self._queue.waiting and self._record.is_idle and not self._undrawn

    async def _feed(self) -> None:
        """Let the queue have the images; with no end when the folder is watched."""
        if not self._order.watches:
            for found in await asyncio.to_thread(list, self._present()):
                self._add(found)
            return
        is_first = True
        async with contextlib.aclosing(changed_images(self._run.images)) as changes:
            async for found in changes:
                if is_first:  # now the watch stands: nothing is between what is there and what comes
                    is_first = False
                    for part in await asyncio.to_thread(list, self._present()):
                        self._add(part)
                self._add(found)

    def _present(self) -> Iterator[list[str]]:
        for part in images_below(self._run.images):
            yield part
            if not self._order.walks:
                return  # the folder itself comes first, if it has images

    def _add(self, images: Sequence[str]) -> None:
        folder = str(self._run.images)
        wanted = [each for each in images if self._order.walks or os.path.dirname(each) == folder]
        self._tally.found += len(wanted)
        self._queue.add(wanted)

    async def _integrate(self, jobs: Sequence[Job]) -> Batch:
        work = partial(integrate_batch, str(self._run.folder), list(jobs), self._writes_text, MAX_FILE_BYTES, False)
        batch = await asyncio.wrap_future(self._executor.submit(work))
        if self._order.pictures and batch.done:
            self._undrawn.append(batch)
            self._drawing.set()
            while len(self._undrawn) > MOST_UNDRAWN and not self._interrupted.is_set():
                self._drawn.clear()
                await self._drawn.wait()
        return batch

    def _tell(self, batch: Batch) -> None:
        self._tally.done += len(batch.done)
        self._tally.passed += sum(isinstance(each, ImagePassed) for each in batch.outcomes)

    async def _draw(self) -> None:
        while True:
            self._drawing.clear()
            while self._undrawn:
                batch = self._undrawn[0]
                try:
                    for done in batch.done:
                        await asyncio.to_thread(draw_pictures, done, batch.curves, self._order.pictures)
                except BadValueError as error:
                    self._tally.problems.append(str(error))
                self._undrawn.popleft()
                self._drawn.set()
            await self._drawing.wait()


def draw_pictures(done: ImageDone, curves: Sequence[Curve], kinds: Sequence[str]) -> None:
    """The curves of an image as pictures beside its results.

    Raises:
        BadValueError: they cannot be written.
    """
    from matplotlib.figure import Figure

    from servers.leash.curve_plot import View, draw_reply

    graphs = [
        {
            "kind": curve.kind,
            "mask" if curve.kind == "Radial" else "slice": curve.settings,
            "columnLabels": curve.labels,
            "array": [curve.x, curve.intensity[done.row], curve.sigma[done.row]],
        }
        for curve in curves
    ]
    figure = Figure(figsize=(8.0, 5.0 * len(graphs)))
    draw_reply(figure, {"filename": done.job.output, "graphs": graphs}, View())
    for kind in kinds:
        content = io.BytesIO()
        figure.savefig(content, format=kind)
        write_whole(Path(f"{done.job.output}.{kind}"), content.getvalue())


@contextlib.contextmanager
def _interrupts(told: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the work in order; a second one ends the process."""
    loop, both = asyncio.get_running_loop(), (signal.SIGINT, signal.SIGTERM)

    def tell() -> None:
        told()
        for each in both:
            loop.remove_signal_handler(each)

    for each in both:
        loop.add_signal_handler(each, tell)
    try:
        yield
    finally:
        for each in both:
            loop.remove_signal_handler(each)
