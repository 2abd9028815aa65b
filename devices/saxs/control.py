"""Who begins, feeds and ends the queue of a SAXS detector, and answers what clients ask of it."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from devices.core.errors import BadValueError, NotAllowedError
from devices.drivers.allowed_folders import AllowedFolders
from devices.drivers.saxs_merge_configuration import parse_merge_configuration
from devices.saxs.batch import Batch, ImageDone, Job, prepare, text_file
from devices.saxs.folder_watch import images_below, is_image
from devices.saxs.follower import Follower
from devices.saxs.journal import Journal
from devices.saxs.merge import Merge
from devices.saxs.merge_job import Merged, MergeJob
from devices.saxs.merge_job import Results as MergeResults
from devices.saxs.merge_sources import found_logs
from devices.saxs.outputs import Outputs
from devices.saxs.properties import SaxsProperties
from devices.saxs.queue import HISTORY_S, ImageQueue
from devices.saxs.record import Record, empty_list
from devices.saxs.results import Attachment, Curve, ImageCurves, QueueCounts, Series
from devices.saxs.run import Run, kept_run, new_run

log = logging.getLogger(__name__)

MOST_ENTRIES: Final = 10_000  # of a folder that is listed
MAX_WORKERS: Final = 64


class QueueControl:
    """The queue and all that belongs to it; in the device's loop.

    Args:
        integrate: has a batch done in a worker: run folder, jobs, whether text files are written.
        tell: called with every batch that was done.
        tell_queue: called when a queue has begun or ended, whoever asked for that.
        tell_folder: called with what is wrong with the folder of the images; "" when all is well.
        is_watching: whether images that appear in the folder are taken now.
    """

    def __init__(
        self,
        properties: SaxsProperties,
        integrate: Callable[[str, Sequence[Job], bool], Awaitable[Batch]],
        tell: Callable[[Batch], None],
        tell_queue: Callable[[], None],
        tell_folder: Callable[[str], None],
        is_watching: Callable[[], bool],
    ) -> None:
        self._given = properties
        self._integrate, self._tell, self._tell_queue = integrate, tell, tell_queue
        self._is_watching = is_watching
        self.allowed = AllowedFolders([Path(properties.folder), *map(Path, properties.allowed_folders)])
        self.queue: ImageQueue | None = None
        self.merging = Merge()
        self.curves: tuple[str, ...] = ()
        self._newest: ImageCurves | None = None
        self._runs: Path | None = Path(properties.runs) if properties.runs else None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._record: Record | None = None
        self.follower = Follower(tell_folder, is_watching, polls=properties.polls)
        self._following: asyncio.Task[None] | None = None
        self._made: set[Path] = set()
        self._changing = asyncio.Lock()
        self._begun_ns = 0

    # Life ---------------------------------------------------------------------------------------------------------

    @property
    def run(self) -> Run | None:
        return None if self.queue is None else self.queue.run

    @property
    def why_idle(self) -> str:
        """Why no image goes into the queue by itself; "" when images do."""
        if self.queue is None:
            return "there is no queue"
        if self.queue.is_closed:
            return "the queue is closed"
        return "" if self._is_watching() else f"{self.queue.run.images} is not watched"

    @property
    def problem(self) -> str:
        """Why results cannot be kept at the moment; "" when all is well."""
        record = self._record.problem if self._record is not None else ""
        return record or (self.queue.problem if self.queue is not None else "")

    async def resume(self) -> bool:
        """Go on with the queue that a client began before a restart; whether there is one."""
        if self._runs is None or self.queue is not None:
            return self.queue is not None
        for folder in sorted(self._runs.glob("run-*"), reverse=True):
            if folder in self._made:
                continue  # of this life: a client was quicker
            try:
                run = await asyncio.to_thread(kept_run, folder)
                if run is not None and not run.source and self.queue is None:
                    await self._replace(run, is_new=False)
                    return True
            except BadValueError as error:
                log.error("%s", error)
        return False

    async def stop(self) -> None:
        """End with the images in work; the queue stays on disk and is resumed."""
        await self.merging.stop()
        async with self._changing:
            await self._end(drop=False)
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    # What clients ask ---------------------------------------------------------------------------------------------

    async def new_queue(self, calibration: Mapping[str, Any], masks: Sequence[Attachment], source: str = "") -> None:
        """Begin a queue; one that runs is aborted and replaced. A wrong calibration leaves it as it is."""
        run = await asyncio.to_thread(
            new_run, self._new_folder(), self.allowed, calibration, masks, source, spread=self._given.errors == "spread"
        )
        await asyncio.to_thread(run.save)
        await self._replace(run, is_new=True)

    async def read_folder(self) -> None:
        """Begin anew with all images below the folder of the queue."""
        queue = self._present()
        queue.run = replace(queue.run, covers_all=True, is_closed=False)
        queue.is_closed = False
        await asyncio.to_thread(queue.run.save)
        if queue.run.calibration.has_live_list:
            await asyncio.to_thread(empty_list, queue.outputs.live_list)
        self._newest = None
        queue.begin_anew()
        found = await asyncio.to_thread(lambda: [each for part in images_below(queue.run.images) for each in part])
        queue.add(found)

    async def close_queue(self) -> None:
        """Take no more images; those that wait are still done."""
        queue = self._present()
        queue.is_closed = True
        queue.run = replace(queue.run, is_closed=True)
        await asyncio.to_thread(queue.run.save)

    async def abort_queue(self) -> None:
        """End the queue within one image; there is none afterwards."""
        async with self._changing:
            await self._end(drop=True)
        self._tell_queue()

    async def new_file(self, path: str) -> None:
        """A feeder says that an image is complete; one outside of the queue's folder is no concern of the queue."""
        queue = self.queue
        if queue is None or not is_image(path):
            return
        real = await asyncio.to_thread(_image_of, queue.run, path)
        if real is not None:
            queue.add([real])

    def queue_counts(self) -> QueueCounts | None:
        return None if self.queue is None else replace(self.queue.counts, merges=self.merging.count)

    def queue_calibration(self) -> tuple[Mapping[str, Any], Sequence[Attachment]] | None:
        return None if self.queue is None else (self.queue.run.document, self.queue.run.attachments)

    def newest_curves(self) -> ImageCurves | None:
        return self._newest

    def finished_times(self) -> Sequence[float]:
        since = time.time() - HISTORY_S
        return [] if self.queue is None else [each for each in self.queue.finished if each >= since]

    def integral_series(self) -> Mapping[str, Series]:
        return {} if self.queue is None else self.queue.series

    async def list_folder(self, components: Sequence[str]) -> tuple[Sequence[str], Sequence[tuple[str, bool]]]:
        """What is in a folder below the base folder; see `servers.leash.target.Target`."""
        parts = [part for part in components if part]
        if list(components[:1]) == [""] and parts:  # a whole path, as it was answered before
            parts[0] = f"/{parts[0]}"
        folder = await asyncio.to_thread(self.allowed.resolve, Path(*parts) if parts else Path("."))
        found = await asyncio.to_thread(_entries, folder)
        return ["", *folder.parts[1:]], found

    async def file_lists(self) -> Mapping[str, Sequence[str]]:
        """The results of the queue's images by kind, sorted by base name."""
        queue = self.queue
        if queue is None:
            return {}
        if not self._writes_text:
            file = None if self._record is None else self._record.curves_file
            return {name: [str(file)] if file is not None and file.exists() else [] for name in self.curves}
        outputs = sorted(queue.outputs.all(), key=os.path.basename)
        return await asyncio.to_thread(_text_files, outputs, self.curves)

    async def start_merge(self, configuration: Mapping[str, Any], logs: Sequence[Attachment]) -> None:
        """Begin to merge the images of the queue with logs; see `begin_merge`."""
        await self.begin_merge(configuration, logs)

    async def begin_merge(
        self, configuration: Mapping[str, Any], logs: Sequence[Attachment] = ()
    ) -> asyncio.Task[Merged]:
        """Merge the images of the queue with logs.

        Args:
            logs: those that came with the request, by their LocalPath.
        Raises:
            BusyError: a merge runs. NotAllowedError: there is no queue, or a path leads outside of the base folder.
            ConfigurationError: wrong entries, with their keys.
        """
        queue = self._present()
        self.merging.require_idle()
        parsed = parse_merge_configuration(configuration)
        found = await asyncio.to_thread(found_logs, parsed, logs, self.allowed)
        file = None if self._writes_text else self.results_file
        results = MergeResults(
            await self.file_lists(), queue.outputs.by_image(), file if file is not None and file.exists() else None
        )
        job = MergeJob(queue.run.images, self.allowed, parsed, found, results)
        await asyncio.to_thread(lambda: job.base)  # who leads results outside is told at once
        return self.merging.start(job)

    def merge_news(self) -> str:
        return self.merging.news()

    def merge_result(self) -> Mapping[str, Any] | None:
        return self.merging.result

    @property
    def results_file(self) -> Path | None:
        """The HDF5 file of the queue; None when there is none."""
        return None if self._record is None else self._record.curves_file

    def newest_of(self, batch: Batch) -> ImageCurves:
        """The curves of the last image of a batch that was done."""
        return self.curves_of(batch, batch.done[-1])

    def curves_of(self, batch: Batch, done: ImageDone) -> ImageCurves:
        """The curves of one image of a batch."""
        curves = tuple(
            Curve(
                each.kind,
                each.index,
                each.settings,
                each.x,
                each.intensity[done.row],
                each.sigma[done.row],
                each.labels,
                parameters,
            )
            for each, parameters in zip(batch.curves, done.parameters, strict=True)
        )
        return ImageCurves(done.job.image, done.job.output, done.taken, curves)

    # How it is done -----------------------------------------------------------------------------------------------

    @property
    def _writes_text(self) -> bool:
        return self._given.outputs in ("chi", "both")

    def _present(self) -> ImageQueue:
        if self.queue is None:
            raise NotAllowedError("there is no queue: begin one first")
        return self.queue

    def _new_folder(self) -> Path:
        if self._runs is None:
            if self._temporary is None:
                self._temporary = tempfile.TemporaryDirectory(prefix="diptych-saxs-")
            runs = Path(self._temporary.name)
        else:
            runs = self._runs
        # By time, also when the clock was set back: the newest is the one to be resumed.
        self._begun_ns = max(time.time_ns(), self._begun_ns + 1)
        folder = runs / f"run-{self._begun_ns}"
        self._made.add(folder)
        return folder

    async def _replace(self, run: Run, *, is_new: bool) -> None:
        try:
            # Not in a worker, which may be busy with an image: an error is for the client, now.
            curves = await asyncio.to_thread(prepare, str(run.folder))
        except BaseException:
            if is_new:
                await asyncio.to_thread(run.forget)
            raise
        async with self._changing:
            await self._end(drop=True)
            await self._begin(run, curves, is_new=is_new)

    async def _begin(self, run: Run, curves: tuple[str, ...], *, is_new: bool) -> None:
        given, calibration = self._given, run.calibration
        outputs = Outputs(run, given.relative_output, Path(given.output_folder) if given.output_folder else None)
        journal = await asyncio.to_thread(Journal, run.folder)
        keeps_files = given.outputs != "none"
        live_list = outputs.live_list if keeps_files and calibration.has_live_list else None
        if live_list is not None and is_new:
            await asyncio.to_thread(empty_list, live_list)
        curves_file = outputs.curves_file if given.outputs in ("hdf5", "both") else None
        self._record = Record(run, journal, curves_file, live_list)
        self._record.start()

        async def integrate(jobs: Sequence[Job]) -> Batch:
            return await self._integrate(str(run.folder), jobs, self._writes_text)

        def tell(batch: Batch) -> None:
            if self.queue is queue:
                if batch.done:
                    self._newest = self.newest_of(batch)
                self._tell(batch)

        self._newest, self.curves = None, curves
        self.queue = queue = ImageQueue(
            run, outputs, journal, self._record, integrate, tell,
            workers=min(calibration.workers or MAX_WORKERS, MAX_WORKERS), attempts=given.attempts,
            keeps_old=self._writes_text and not calibration.overwrites,
        )  # fmt: skip
        queue.resume()
        queue.start()
        self._following = asyncio.create_task(
            self.follower.follow(queue, is_new=is_new), name=f"images of {run.images}"
        )
        self._tell_queue()

    async def _end(self, *, drop: bool) -> None:
        """End the queue; `drop`: for good."""
        queue, self.queue = self.queue, None
        following, self._following = self._following, None
        if following is not None:
            following.cancel()
            await asyncio.wait({following})
        if queue is None:
            return
        if drop:
            queue.run.stop_file.touch()
        await queue.stop(drop=drop)
        self._record, self._newest, self.curves = None, None, ()
        if drop:
            await asyncio.to_thread(queue.run.forget)


def _image_of(run: Run, path: str) -> str | None:
    """The real path of an image that is named from the base folder; None when it is not one of the run."""
    real = os.path.realpath(run.base / path)
    return real if Path(real).is_relative_to(os.path.realpath(run.images)) else None


def _text_files(outputs: Sequence[str], curves: Sequence[str]) -> dict[str, list[str]]:
    return {name: [str(file) for output in outputs if (file := text_file(output, name)).exists()] for name in curves}


def _entries(folder: Path) -> list[tuple[str, bool]]:
    try:
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.is_dir()) for entry, _ in zip(entries, range(MOST_ENTRIES), strict=False)]
    except OSError as error:
        raise BadValueError(f"{folder} cannot be read: {error.strerror}") from error
    return sorted(found)
