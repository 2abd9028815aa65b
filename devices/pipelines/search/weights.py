"""The weights that a trial gives to every channel and sample: the one definition that all engines follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.search.band import Band
from devices.pipelines.search.trials import Trials


@dataclass(frozen=True)
class Weights:
    """De-dispersion and boxcar of every trial.

    De-dispersed, sample t is the sum over channels of ``near * in[t - delay] + far * in[t - delay - 1]``: between two
    samples, it is interpolated.

    Attributes:
        delay: whole samples; axes (dm, channel).
        near, far: weights of the two samples, their sum is 1; axes (dm, channel).
        widths: of the boxcars, samples.
    """

    delay: NDArray[np.int64]
    near: NDArray[np.float64]
    far: NDArray[np.float64]
    widths: tuple[int, ...]

    @classmethod
    def of(cls, band: Band, trials: Trials) -> Weights:
        lead = np.array([band.lead_samples(dm) for dm in trials.dms])
        delay = np.floor(lead)
        return cls(delay.astype(np.int64), 1.0 - (lead - delay), lead - delay, trials.widths)

    @property
    def overlap(self) -> int:
        """How many de-dispersed samples before the gulp the widest boxcar needs."""
        return max(self.widths) - 1

    @property
    def reach(self) -> int:
        """How many samples before the gulp any trial needs."""
        return self.reach_of(max(self.widths))

    def reach_of(self, width: int) -> int:
        """How many samples before the gulp the trials of a width need."""
        return width - 1 + int(np.max(self.delay + (self.far > 0.0)))

    def energy(self) -> NDArray[np.float64]:
        """Sum over samples of the squared weights: variance per variance of a sample; axes (dm, width, channel)."""
        ends = self.near**2 + self.far**2
        return np.stack([ends + (width - 1) for width in self.widths], axis=1)

    def variance(self, channel: NDArray[np.float64]) -> NDArray[np.float64]:
        """Variance of every trial's sum on white noise.

        Args:
            channel: variance of a sample; 0 for a channel left out; axis: channel.
        Returns:
            Axes (dm, width).
        """
        return np.asarray(self.energy() @ channel, np.float64)

    def matrix(self, dm: int, samples: int) -> NDArray[np.float32]:
        """The trials of one dispersion measure as a matrix on the samples of a pixel.

        Returns:
            Axes (width, last sample of the boxcar, channel, sample from ``-reach`` to ``samples``).
        """
        last = np.arange(samples)
        length = self.reach + samples
        weights = np.zeros((len(self.widths), samples, self.delay.shape[1], length), np.float32)
        for index, width in enumerate(self.widths):
            for channel, delay in enumerate(self.delay[dm]):
                for back in range(width):
                    at = self.reach + last - back - delay
                    weights[index, last, channel, at] += self.near[dm, channel]
                    if self.far[dm, channel] > 0.0:
                        weights[index, last, channel, at - 1] += self.far[dm, channel]
        return weights
