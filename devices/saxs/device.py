"""The SAXS detector: image files become curves of intensity against q, on request and as they appear in a folder."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

from devices.core import Argument, DeviceState, Operation, attribute, command, operation, pipeline
from devices.core.errors import BadValueError, ConfigurationError, NotAllowedError
from devices.saxs.batch import Batch, ImageDone, ImageFailed, Job, integrate_batch
from devices.saxs.calibration_source import read_source
from devices.saxs.control import QueueControl
from devices.saxs.editing import CalibrationEditing, Document
from devices.saxs.folder_watch import check_folder
from devices.saxs.image_series import TakesSeries
from devices.saxs.merging import Merging
from devices.saxs.properties import SaxsProperties
from devices.saxs.readings import path_text
from devices.saxs.results import ImageCurves
from devices.saxs.run import Run

#: How often curves and counters are published at most, s; and the image.
CURVE_PERIOD: Final = 0.04
IMAGE_PERIOD: Final = 0.1
RATE_SECONDS: Final = 5.0

ImagePath = Annotated[str, Argument(doc="Absolute, or relative to the base folder")]
FolderPath = Annotated[str, Argument(doc="Relative to the base folder")]


class SaxsDetector(TakesSeries, CalibrationEditing, Merging):
    """A SAXS detector: integrates its image files azimuthally, with masks and calibration, into I(q).

    It has at most one queue of images: those that appear in the queue's folder are integrated as they come, their
    curves are written and shown. A calibration file begins a queue by itself; clients may begin others.
    """

    properties_class = SaxsProperties

    watching = attribute(
        bool, access="read_write", memorized="show", doc="Whether new images of the folder are integrated"
    )
    calibration_file = attribute(
        str,
        # Memorized, and read back by connect() itself: that is before the first image, where "apply" would be after.
        memorized="show",
        doc="The calibration in use; a put begins a queue with another, an empty text with the first one",
    )

    integrate = pipeline(integrate_batch)

    def build(self) -> None:
        super().build()
        given = self.properties
        paths = {"folder": [given.folder], "allowed_folders": given.allowed_folders}
        for name in ("calibration", "output_folder", "runs"):
            paths[name] = [getattr(given, name)] if getattr(given, name) else []
        problems = [
            f"{name} = {path!r}: not an absolute path"
            for name, values in paths.items()
            for path in values
            if not Path(path).is_absolute()
        ]
        if given.scheduler and not given.runs:
            problems.append("scheduler needs runs, too: a folder that its workers see by the same name")
        if problems:
            raise ConfigurationError(self.name, problems)
        self.watching.publish(given.watch)
        self.watching.publish_setpoint(given.watch)
        self.control = QueueControl(
            given,
            self._integrate,
            self._tell,
            self._show_queue,
            lambda problem: self.set_fault("folder", problem),
            lambda: bool(self.watching.value),
        )
        self._run_shown: Run | None = None
        self._processed = 0
        self._calibration_asked: str | None = None
        self._calibrating = asyncio.Lock()
        self._latest: tuple[ImageDone, ImageCurves] | None = None
        self._frame: Any = None
        self._frame_at = 0.0
        self.add_poll(self.poll_queue, CURVE_PERIOD, "showing results")
        self.add_poll(self.poll_state, 0.5, "looking after the queue")

    async def connect(self) -> None:
        await asyncio.to_thread(check_folder, self.control.allowed.folders[0])
        async with self._calibrating:
            if self._calibration_asked is None:
                kept = self.memory.values.get("calibration_file", "")
                self._calibration_asked = self.calibration_file.spec.datatype.convert(kept, "calibration_file kept")
                if await self.control.resume():
                    self.log.info("the queue of before the restart goes on")
                    self.calibration_file.publish_setpoint(self._calibration_asked)
                    return
            if self.control.queue is None:
                if self.properties.begins_alone or self._calibration_asked:
                    await self._calibrate(self._calibration_asked)
            else:
                self._show_queue()
            self.calibration_file.publish_setpoint(self._calibration_asked)

    async def stop(self) -> None:
        await self.control.stop()
        await super().stop()

    # Calibration and queue ----------------------------------------------------------------------------------------

    @calibration_file.write
    async def write_calibration_file(self, path: str) -> None:
        async with self._calibrating:
            await self._calibrate(path)
            self._calibration_asked = path

    async def _calibrate(self, path: str) -> None:
        """Begin a queue with a calibration file; the present one stays when that fails."""
        trusted = self.properties.calibration if not path else ""
        file = self.control.allowed.folders[0] / (path or trusted or "calibration.json")
        allowed = None if trusted else self.control.allowed
        document, masks = await asyncio.to_thread(read_source, file, allowed)
        run = self.control.run
        same = run is not None and (run.source, dict(run.document), list(run.attachments)) == (
            str(file), dict(document), masks,
        )  # fmt: skip
        if same:
            self._show_queue()
        else:
            await self.control.new_queue(document, masks, str(file))

    def _show_queue(self) -> None:
        """Publish what belongs to the queue that there is now; of none, that there is none."""
        run = self.control.run
        if run is None:
            self.calibration_file.publish("")
            return
        before, self._run_shown = self._run_shown, run
        if before is not None and (before.document, before.attachments) != (run.document, run.attachments):
            self.forget_curves()
        self.publish_calibration(run.calibration, [each.filename for each in run.attachments])
        self.calibration_file.publish(run.source)
        self.curves.publish(self.control.curves)
        self.queue_started.publish(run.started)
        self._latest = None

    @command()
    async def new_queue(self, calibration: Document) -> None:
        """Begin a queue with a calibration whose masks lie on this machine; one that runs is aborted and replaced."""
        try:
            document = json.loads(calibration)
        except ValueError as error:
            raise BadValueError(f"calibration: not JSON: {error}") from error
        await self.control.new_queue(document, ())

    @command()
    async def close_queue(self) -> None:
        """Take no more images into the queue; those that wait are still integrated."""
        await self.control.close_queue()

    @command()
    async def abort_queue(self) -> None:
        """End the queue within one image; there is none until another one begins."""
        await self.control.abort_queue()

    @operation()
    async def reintegrate_folder(self, run: Operation) -> dict[str, Any]:
        """Integrate all images below the folder of the queue, also those that have results."""
        await self.control.read_folder()
        queue = self.control.queue
        assert queue is not None
        before, total = queue.processed + queue.failed, max(queue.waiting, 1)
        while queue is self.control.queue and queue.waiting:
            done = queue.processed + queue.failed - before
            run.report(min(100.0 * done / total, 99.0), f"{done} of {total} images")
            await asyncio.sleep(0.1)
        if queue is not self.control.queue:
            raise NotAllowedError("another queue has replaced this one")
        return {"images": queue.processed + queue.failed - before, "failed": len(queue.failures)}

    @command(reads_only=True)
    async def queue_status(self) -> dict[str, Any]:
        """How the queue stands: images processed, waiting and failed, and which failed why."""
        counts = self.control.queue_counts()
        if counts is None:
            return {}
        assert self.control.queue is not None
        return {**asdict(counts), "failures": self.control.queue.failures, "problem": self.control.problem}

    @command(reads_only=True)
    async def queue_calibration(self) -> dict[str, Any]:
        """The calibration of the queue, and the names of its masks; empty without a queue."""
        found = self.control.queue_calibration()
        return {} if found is None else {"calibration": found[0], "masks": [each.filename for each in found[1]]}

    @command(reads_only=True)
    async def result_files(self) -> dict[str, Any]:
        """The files of results by kind of curve."""
        return dict(await self.control.file_lists())

    @command(reads_only=True)
    async def list_folder(
        self, path: Annotated[str, Argument(doc="Relative to the base folder")] = ""
    ) -> dict[str, Any]:
        """What is in a folder below the base folder."""
        components, entries = await self.control.list_folder(path.split("/"))
        return {"folder": "/".join(components), "entries": [{"name": n, "is_folder": f} for n, f in entries]}

    # Images -------------------------------------------------------------------------------------------------------

    @operation()
    async def integrate_file(self, run: Operation, path: ImagePath) -> dict[str, Any]:
        """Integrate one image file and publish it as the latest image; TIFF, CBF or EDF. Nothing is written."""
        name = Path(path).name
        run.report(0.0, f"{name}: reading and integrating")
        real = await asyncio.to_thread(self.control.allowed.resolve, path)
        while True:
            used = self.control.run
            if used is None:
                raise NotAllowedError("there is no calibration yet; the status says why")
            batch = await self.integrate(
                str(used.folder), [Job(str(real), "")], False, self.properties.max_image_bytes, True
            )
            # Another calibration meanwhile: the curve would not belong to the one that is shown beside it.
            if used is self.control.run and batch.outcomes:
                break
        if not batch.done:
            failed = batch.outcomes[0]
            assert isinstance(failed, ImageFailed)  # it was given no known version
            raise failed.error
        found = self.control.newest_of(batch)
        at = self.publish_image(batch.done[0], found, batch.frame)
        self._processed += 1
        self.images_processed.publish(self._processed, timestamp=at)
        bins = len(found.curves[0].x)
        peak = self.q_peak.reading.value  # None when it is INVALID
        ring = "no ring" if peak is None else f"the strongest ring at q = {peak:.4f} nm^-1"
        run.report(100.0, f"{name}: {bins} bins, {ring}")
        return {"path": path_text(real), "bins": bins, "q_peak": peak}

    async def _integrate(self, folder: str, jobs: Sequence[Job], writes_text: bool) -> Batch:
        now = time.monotonic()
        wants_frame = now - self._frame_at >= IMAGE_PERIOD
        if wants_frame:
            self._frame_at = now
        return await self.integrate(folder, jobs, writes_text, self.properties.max_image_bytes, wants_frame)

    def _tell(self, batch: Batch) -> None:
        queue = self.control.queue
        if done := batch.done:
            self._processed += len(done)
            self.take_into_series(batch)
            newest = self.control.newest_curves()
            assert newest is not None
            self._latest = done[-1], newest
            if batch.frame is not None:
                self._frame = batch.frame
        for outcome in batch.outcomes:
            if isinstance(outcome, ImageFailed) and queue is not None and outcome.job.image in queue.failures:
                self.log.warning("%s is given up: %s", outcome.job.image, outcome.why)
                self.last_failure.publish(path_text(f"{outcome.job.image}: {outcome.why}")[:4096])

    async def poll_queue(self) -> None:
        """Show the newest results, not more often than anybody can look at them."""
        latest, self._latest = self._latest, None
        frame, self._frame = self._frame, None
        at: float | None = None
        if latest is not None:
            at = self.publish_image(*latest, frame)
            self.publish_history(self.control.integral_series())
        queue = self.control.queue
        self.images_waiting.publish_change(0 if queue is None else queue.waiting)
        if queue is not None:
            self.images_failed.publish_change(queue.failed)
        self.images_passed_over.publish_change(self.control.follower.passed_over)
        # Last, and with the time stamp of the newest image: who waits for it finds the rest.
        if at is not None or self._processed != self.images_processed.value:
            self.images_processed.publish(self._processed, timestamp=at)

    async def poll_state(self) -> None:
        """Say how the queue stands."""
        queue = self.control.queue
        lately = time.time() - RATE_SECONDS
        rate = 0.0 if queue is None else sum(each > lately for each in reversed(queue.finished)) / RATE_SECONDS
        self.image_rate.publish_change(rate)
        self.queue_folder.publish_change("" if queue is None else path_text(queue.run.images))
        self.queue_closed.publish_change(queue is None or queue.is_closed)
        self.results_file.publish_change(path_text(self.control.results_file or ""))
        self.set_fault("results", self.control.problem)
        if queue is None:
            self.set_state(DeviceState.STANDBY, "there is no queue")
        elif self.watching.value and not queue.is_closed:
            self.set_state(DeviceState.ON, f"watching {queue.run.images}")
        elif queue.is_closed:
            self.set_state(DeviceState.STANDBY, "the queue is closed: it takes no more images")
        else:
            self.set_state(DeviceState.STANDBY, f"not watching {queue.run.images}; integrate_file works")
