"""Streams of gulps with noise and pulses in them, for tests of the search."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.search.band import Band
from devices.pipelines.search.pulse import dispersed_pulse
from devices.pipelines.search.search import Search
from devices.pipelines.search.trials import Trials, dm_trials

SAMPLES = 25
BAND = Band.dsa110()
TRIALS = Trials(dm_trials(BAND, SAMPLES))
ALL = np.ones(16, bool)


class Sky:
    """White noise and a constant level, gulp after gulp; axes (channel, sample, y, x)."""

    def __init__(self, size: tuple[int, int], sigma: float = 1.0, level: float = 0.0, seed: int = 1) -> None:
        self.size, self.sigma, self.level = size, sigma, level
        self._random = np.random.default_rng(seed)

    def gulp(self) -> NDArray[np.float32]:
        noise = self._random.standard_normal((16, SAMPLES, *self.size), dtype=np.float32)
        return np.asarray(self.sigma * noise + self.level, np.float32)

    def warmed(self, search: Search, gulps: int) -> Search:
        """The search after it saw so many quiet gulps."""
        for _ in range(gulps):
            search(self.gulp(), ALL)
        return search


def point(psf: NDArray[np.float32], size: tuple[int, int], y: int, x: int) -> NDArray[np.float32]:
    """What a point source at (y, x) looks like; axes (channel, y, x), cut at the edges."""
    out = np.zeros((len(psf), *size), np.float32)
    half = psf.shape[1] // 2
    for row in range(psf.shape[1]):
        for column in range(psf.shape[2]):
            at = y + row - half, x + column - half
            if 0 <= at[0] < size[0] and 0 <= at[1] < size[1]:
                out[:, at[0], at[1]] = psf[:, row, column]
    return out


def add_pulse(
    gulps: list[NDArray[np.float32]], source: NDArray[np.float32], height: float, dm: float, width: float, start: float
) -> None:
    """Into consecutive gulps: a pulse that begins ``start`` samples after the first gulp's first one.

    Args:
        source: axes (channel, y, x).
    """
    series = height * dispersed_pulse(BAND, dm, width, start, SAMPLES * len(gulps))
    for index, gulp in enumerate(gulps):
        part = series[:, SAMPLES * index : SAMPLES * (index + 1)]
        gulp += (part[:, :, None, None] * source[:, None]).astype(np.float32)
