"""What does the heavy work of a search; there is one for processors and one for graphics cards."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.search.drift import MARGIN, Shift, shifted
from devices.pipelines.search.settings import SearchSettings
from devices.pipelines.search.weights import Weights

#: Noise is measured with about so many values of a channel.
NOISE_VALUES: Final = 16_384

Shape = tuple[int, int, int, int]
Window = tuple[slice, slice]
Sigma = NDArray[np.float64]


@dataclass(frozen=True)
class Significances:
    """What one gulp gives, before it is put in order.

    Attributes:
        snr, dm, width, sample: of the best trial of each pixel, as in `SearchResult`; axes (y, x).
        voxels: (y, x, dm, width, sample) of those over the threshold; axes (voxel, 5).
        voxel_snr: their significance; axis: voxel.
    """

    snr: NDArray[np.float32]
    dm: NDArray[np.uint8]
    width: NDArray[np.uint8]
    sample: NDArray[np.int16]
    voxels: NDArray[np.int32]
    voxel_snr: NDArray[np.float32]


class Engine(ABC):
    """Holds this gulp and those before that pulses may have begun in, as they came and filtered.

    Args:
        shape: of gulps, axes (channel, sample, y, x).
    """

    def __init__(self, shape: Shape, weights: Weights, settings: SearchSettings) -> None:
        self.shape, self.weights, self.settings = shape, weights, settings
        slots = 1 + -(-weights.reach // shape[1])
        #: Slots from the oldest gulp to the newest; which channels count in each; how far their sky moved since.
        self.order = list(range(slots))
        self.alive = np.zeros((slots, shape[0]), np.bool_)
        self.moved: list[Shift] = [(0.0, 0.0)] * slots

    def forget(self) -> None:
        """The samples before are not those of this sky, or of the time just before."""
        self.alive[:] = False

    @property
    def full(self) -> bool:
        """Whether all samples are there that the next gulp looks back to."""
        return bool(np.all(np.any(self.alive[self.order[1:]], axis=1)))

    def begin(self, alive: NDArray[np.bool_]) -> int:
        """The slot of a new gulp."""
        self.order = [*self.order[1:], self.order[0]]
        slot = self.order[-1]
        self.alive[slot], self.moved[slot] = alive, (0.0, 0.0)
        return slot

    def move(self, shift_px: Shift) -> None:
        """The sky moved by so many pixels (y, x) since the newest gulp here."""
        samples = self.shape[1]
        for age, slot in enumerate(reversed(self.order[1:])):
            self.moved[slot] = (self.moved[slot][0] + shift_px[0], self.moved[slot][1] + shift_px[1])
            if self.alive[slot].any():
                self.move_slot(slot, shift_px, max(0, (age + 1) * samples - self.weights.reach))

    def each(self, work: Callable[[int], None], channels: Iterable[int]) -> None:
        """Do something for every channel, in any order."""
        for channel in channels:
            work(channel)

    def noise_stride(self) -> int:
        """Every so many rows and columns are enough to measure noise."""
        _, samples, rows, columns = self.shape
        return max(1, int((samples * rows * columns / NOISE_VALUES) ** 0.5))

    def recent(self, samples: int, window: Window) -> NDArray[np.float32]:
        """The last samples without the baseline, unfiltered; what is not there is NaN.

        Args:
            window: rows and columns that are wanted.
        Returns:
            Axes (channel, sample, y, x).
        """
        channels, of_gulp, *size = self.shape
        wanted = [range(length)[part] for length, part in zip(size, window, strict=True)]
        recent = np.full((channels, samples, len(wanted[0]), len(wanted[1])), np.nan, np.float32)
        for age, slot in enumerate(reversed(self.order)):
            last = samples - age * of_gulp
            first = max(0, last - of_gulp)
            if last <= 0:
                break
            alive = np.flatnonzero(self.alive[slot])
            # What moves into the window, and beside it what a fraction of a pixel is made of, comes from about it.
            reach = [math.ceil(abs(moved)) + MARGIN if moved else 0 for moved in self.moved[slot]]
            about = [
                slice(max(0, part.start - by), min(length, part.stop + by))
                for part, by, length in zip(wanted, reach, size, strict=True)
            ]
            gulp = self.residual(slot, alive, (about[0], about[1]))[:, of_gulp - (last - first) :]
            inner = [slice(a.start - b.start, a.stop - b.start) for a, b in zip(wanted, about, strict=True)]
            recent[alive, first:last] = shifted(gulp, self.moved[slot])[:, :, inner[0], inner[1]]
        return recent

    @abstractmethod
    def take(self, cube: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """A new cube.

        Returns:
            Its means over samples, axes (channel, y, x), and whether a channel's values change at all.
        """

    @abstractmethod
    def store(self, slot: int, level: NDArray[np.float32]) -> tuple[Sigma, Sigma]:
        """Take the baseline away from the taken cube and filter its living channels.

        Returns:
            The noise of each channel before and after the filter; NaN: it does not count.
        """

    @abstractmethod
    def pixel_power(self, slot: int, weight: Sigma) -> NDArray[np.float32]:
        """Mean square of samples, summed over channels with their weights squared; axes (y, x)."""

    @abstractmethod
    def search(
        self, weight: Sigma, variance: Sigma, doubt: NDArray[np.float32], pixel_noise: NDArray[np.float32]
    ) -> Significances:
        """All trials.

        Args:
            weight: of channels; 0: left out.
            variance: of each trial's sum; axes (dm, width).
            doubt: of the baseline, summed over channels; axes (width, y, x).
            pixel_noise: axes (y, x).
        """

    @abstractmethod
    def move_slot(self, slot: int, shift_px: Shift, first: int) -> None:
        """Move the filtered images of a gulp from the sample ``first`` on; those before are used no more."""

    @abstractmethod
    def residual(self, slot: int, channels: NDArray[np.intp], window: Window) -> NDArray[np.float32]:
        """Windows of images without the baseline, unfiltered, as they came; axes (one of channels, sample, y, x)."""

    @abstractmethod
    def close(self) -> None:
        """No more gulps come."""
