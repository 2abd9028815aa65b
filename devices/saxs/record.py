"""The results of a run on disk: rows of an HDF5 file, lines of the live list, the journal. In a thread of its own."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from devices.core.errors import ProtocolError
from devices.drivers.nxcansas_file import CurveRows, append_curves, free_name
from devices.saxs.batch import Batch, ImageDone
from devices.saxs.journal import Entry, Journal
from devices.saxs.results import Curve
from devices.saxs.run import Run

log = logging.getLogger(__name__)

PERIOD_S: Final = 0.2
RETRY_S: Final = 1.0
MOST_WAITING: Final = 64  # batches


class Record(threading.Thread):
    """Writes what becomes of images; what cannot be written now is written later, and nothing is lost meanwhile.

    Args:
        curves_file: None: no HDF5 file.
        live_list: None: no list.
    """

    def __init__(self, run: Run, journal: Journal, curves_file: Path | None, live_list: Path | None) -> None:
        super().__init__(name="saxs-record", daemon=True)
        self._run, self._journal = run, journal
        self._curves_file, self._live_list = curves_file, live_list
        self._waiting: list[tuple[Batch, Sequence[Entry]]] = []
        self._change = threading.Condition()
        self._is_closing = False
        #: Why nothing can be written now; "" when all is well.
        self.problem = ""

    @property
    def curves_file(self) -> Path | None:
        return self._curves_file

    @property
    def has_room(self) -> bool:
        return len(self._waiting) < MOST_WAITING

    @property
    def is_idle(self) -> bool:
        return not self._waiting

    def put(self, batch: Batch, given_up: Sequence[Entry] = ()) -> None:
        """What became of some images; in any thread."""
        with self._change:
            self._waiting.append((batch, given_up))
            self._change.notify()

    def close(self, *, drop: bool = False) -> None:
        """Write what waits, as far as that is possible now, and end; `drop`: write no more."""
        with self._change:
            self._is_closing = True
            if drop:
                self._waiting.clear()
            self._change.notify()
        self.join()

    def run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting or self._is_closing)
                if self._is_closing and not self._waiting:
                    break
                if not self._is_closing:
                    self._change.wait_for(lambda: self._is_closing, PERIOD_S)
                batches = list(self._waiting)
            try:
                self._write(batches)
            except OSError as error:
                self._problem(f"results cannot be written: {error.strerror or error}")
                with self._change:
                    if self._is_closing:  # what is not noted is done again after a restart
                        log.error("%s: the last %d results are not kept", self._run.images, len(batches))
                        break
                    self._change.wait_for(lambda: self._is_closing, RETRY_S)
                continue
            except Exception as error:
                log.exception("%s: results are not kept", self._run.images)
                self._problem(f"results are not kept: {type(error).__name__}: {error}")
            else:
                self._problem("")
            with self._change:
                del self._waiting[: len(batches)]

    def _write(self, batches: Sequence[tuple[Batch, Sequence[Entry]]]) -> None:
        done = [each for batch, _ in batches for each in batch.done]
        if done and self._curves_file is not None:
            self._add_rows(done, [batch for batch, _ in batches if batch.curves])
        if done and self._live_list is not None:
            self._add_lines(done)
        entries = [_entry(each) for each in done] + [entry for _, given_up in batches for entry in given_up]
        self._journal.add(entries)

    def _add_rows(self, done: Sequence[ImageDone], batches: Sequence[Batch]) -> None:
        assert self._curves_file is not None
        images, times = [each.job.image for each in done], [each.taken for each in done]
        curves = [_rows(place, done, batches) for place in range(len(batches[0].curves))]
        title = self._run.calibration.title or self._run.images.name
        try:
            append_curves(self._curves_file, title, self._run.document, images, times, curves)
        except ProtocolError as error:
            self._curves_file = free_name(self._curves_file)
            log.warning("%s; %s is begun", error, self._curves_file)
            append_curves(self._curves_file, title, self._run.document, images, times, curves)

    def _add_lines(self, done: Sequence[ImageDone]) -> None:
        assert self._live_list is not None
        lines = []
        for each in done:
            first = next((found for found in each.parameters if found is not None), None)
            numbers = (first.i0, first.i1, first.i2) if first is not None else (0, 0, 0)
            lines.append(", ".join((each.job.output, *map(str, numbers))) + "\n")
        self._live_list.parent.mkdir(parents=True, exist_ok=True)
        with self._live_list.open("a", errors="replace") as file:
            file.write("".join(lines))

    def _problem(self, text: str) -> None:
        if text and text != self.problem:
            log.error("%s: %s", self._run.images, text)
        elif self.problem and not text:
            log.info("%s: results are written again", self._run.images)
        self.problem = text


def _entry(done: ImageDone) -> Entry:
    return Entry(done.job.image, done.version, done.job.output, done.taken, done.parameters)


def _rows(place: int, done: Sequence[ImageDone], batches: Sequence[Batch]) -> CurveRows:
    first: Curve = batches[0].curves[place]
    parameters = [each.parameters[place] for each in done]
    has_parameters = bool(parameters) and parameters[0] is not None
    is_azimuth = first.kind == "Radial" and bool(first.settings.get("Phi-mode"))
    return CurveRows(
        name=first.name,
        axis="phi" if is_azimuth else "Q",
        x=first.x,
        intensity=np.concatenate([batch.curves[place].intensity for batch in batches]),
        sigma=np.concatenate([batch.curves[place].sigma for batch in batches]),
        parameters=np.array(parameters, dtype=np.float64) if has_parameters else None,
    )


def empty_list(path: Path) -> None:
    """Begin a live list anew."""
    if path.exists():
        os.truncate(path, 0)
