"""Pixels of real PFF files, which are played again and again."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from devices.drivers.pff import Product, RawFrame
from devices.drivers.pff_file import PffFile
from devices.simulators.daq.pixels import PulseHeight
from devices.simulators.daq.settings import DaqSettings

#: So far apart are the modules in the file, frames.
APART: Final = 97


class Recording:
    """What stands in the files, see `devices.simulators.daq.pixels.Pixels`; the files of a kind follow each other.

    Raises:
        BadValueError: a file cannot be read, or is of an unknown product. ProtocolError: it holds no frames.
    """

    def __init__(self, settings: DaqSettings) -> None:
        files = [PffFile(Path(path)) for path in settings.paths]
        self._movies = _Loop([file for file in files if file.product.is_movie and settings.movie != "none"])
        self._heights = _Loop(
            [file for file in files if not file.product.is_movie and settings.pulse_heights != "none"]
        )
        self.movie = self._movies.product
        self.pulse_heights = self._heights.product
        self._modules = len(settings.modules)
        self._random = np.random.default_rng(settings.seed)
        self._next = itertools.count()

    def image(self, module: int, number: int) -> bytes:
        return self._movies[number + APART * module].pixels

    def event(self, is_shower: bool) -> list[PulseHeight]:
        modules = range(self._modules) if is_shower else [int(self._random.integers(self._modules))]
        frames = [(module, self._heights[next(self._next)]) for module in modules]
        return [PulseHeight(module, frame.quabo, 0, frame.pixels) for module, frame in frames]

    def next_event_s(self, rate_hz: float) -> float:
        return float(self._random.exponential(1.0 / rate_hz))

    def renew(self, time_s: float) -> None:
        pass


class _Loop:
    """Frames of several files of one product, without end."""

    def __init__(self, files: Sequence[PffFile]) -> None:
        self.product: Product | None = files[0].product if files else None
        self._files = [file for file in files if file.product is self.product and len(file)]
        self._ends = np.cumsum([len(file) for file in self._files])
        if not self._files:
            self.product = None

    def __getitem__(self, number: int) -> RawFrame:
        place = number % int(self._ends[-1])
        index = int(np.searchsorted(self._ends, place, side="right"))
        return self._files[index][place - int(self._ends[index])]
