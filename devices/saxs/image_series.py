"""The figures of the next images: what a scan takes at each of its points."""

from __future__ import annotations

import asyncio
import builtins
import math
import statistics
import time
from pathlib import Path
from typing import Annotated, Any, Final

from devices.core import Argument, Device, Operation, operation
from devices.core.errors import NotAllowedError, TimeoutError
from devices.pipelines.saxs_peak import strongest_peak
from devices.saxs.batch import Batch, ImageDone
from devices.saxs.control import QueueControl
from devices.saxs.results import ImageCurves

#: The clock of a detector that is off by more is in another time zone, s.
MOST_CLOCK_S: Final = 60.0
MOST_IMAGES: Final = 100_000
FIGURES: Final = ("q_peak", "i0", "i1", "invariant", "correlation_length")


class ImageSeries:
    """Takes so many images that are exposed from now on.

    Args:
        images: how many.
        waiting: images that are in the queue already: none of them counts.
    """

    def __init__(self, images: int, waiting: int) -> None:
        self.names: list[str] = []
        self.complete = asyncio.Event()
        self.came = asyncio.Event()
        self._images, self._before = images, waiting
        self._began = time.time()
        self._figures: dict[str, list[float]] = {name: [] for name in FIGURES}

    def take(self, done: ImageDone, found: ImageCurves) -> None:
        """One image was integrated."""
        if self.complete.is_set() or self._is_earlier(done):
            return
        self.names.append(Path(found.image).name)
        for name, value in _figures(found).items():
            self._figures[name].append(value)
        self.came.set()
        if len(self.names) == self._images:
            self.complete.set()

    def result(self) -> dict[str, Any]:
        """How many images, the first and the last, and of each figure mean and standard deviation; None: not known."""
        found: dict[str, Any] = {
            "images": len(self.names),
            "first": self.names[0] if self.names else "",
            "last": self.names[-1] if self.names else "",
        }
        for name, values in self._figures.items():
            known = [value for value in values if math.isfinite(value)]
            found[name] = statistics.fmean(known) if known else None
            found[f"{name}_sd"] = statistics.stdev(known) if len(known) > 1 else None
        return found

    def _is_earlier(self, done: ImageDone) -> bool:
        if self._before > 0:
            self._before -= 1
            return True
        return done.has_own_time and self._began - MOST_CLOCK_S < done.taken < self._began


class TakesSeries(Device):
    """The series of a SAXS detector, as an operation."""

    control: QueueControl

    def build(self) -> None:
        super().build()
        self._series: list[ImageSeries] = []

    @operation(when_busy="parallel")
    async def series(
        self,
        run: Operation,
        images: Annotated[int, Argument(limits=(1, MOST_IMAGES), doc="How many")] = 1,
        seconds: Annotated[float, Argument(unit="s", limits=(0.1, 86_400.0), doc="The longest it may take")] = 60.0,
    ) -> dict[str, Any]:
        """Wait for the next images that the detector exposes, and give the figures of their first curves.

        Raises:
            NotAllowedError: no queue takes images by itself. TimeoutError: there were not so many in time.
        """
        queue = self.control.queue
        if queue is None or self.control.why_idle:
            raise NotAllowedError(f"series: no images come: {self.control.why_idle}")
        series = ImageSeries(images, queue.waiting)
        self._series.append(series)
        try:
            async with asyncio.timeout(seconds):
                while not series.complete.is_set():
                    await series.came.wait()
                    series.came.clear()
                    done = len(series.names)
                    run.report(100.0 * done / images, f"{done} of {images} images: {series.names[-1]}")
        except builtins.TimeoutError:
            raise TimeoutError(f"series: {len(series.names)} of {images} images within {seconds:g} s") from None
        finally:
            self._series.remove(series)
        return series.result()

    def take_into_series(self, batch: Batch) -> None:
        """Some images were integrated."""
        if self._series:
            for done in batch.done:
                found = self.control.curves_of(batch, done)
                for series in self._series:
                    series.take(done, found)


def _figures(found: ImageCurves) -> dict[str, float]:
    """Of the first curve against q; NaN where there is none."""
    for curve in found.curves:
        if (parameters := curve.parameters) is not None:
            peak = strongest_peak(curve.x, curve.intensity, curve.sigma)
            values = (peak, parameters.i0, parameters.i1, parameters.invariant, parameters.correlation_length)
            return {name: math.nan if value is None else value for name, value in zip(FIGURES, values, strict=True)}
    return dict.fromkeys(FIGURES, math.nan)
