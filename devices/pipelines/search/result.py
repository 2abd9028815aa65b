"""What the search of one gulp gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Voxels:
    """Significances at or over the threshold, one per (pixel, width, DM): the greatest over the gulp's samples.

    All arrays have one axis (voxel), falling significance.

    Attributes:
        y, x: pixel; dm, width: index of the trial.
        sample: first sample of the boxcar, counted from the gulp's first; negative: it began in the gulp before. It is
            the arrival at the lowest centre frequency.
        snr: significance, sigma.
        cut: how many weaker voxels were left out because there were too many.
    """

    y: NDArray[np.int32]
    x: NDArray[np.int32]
    dm: NDArray[np.int32]
    width: NDArray[np.int32]
    sample: NDArray[np.int32]
    snr: NDArray[np.float32]
    cut: int = 0

    def __len__(self) -> int:
        return len(self.snr)


@dataclass(frozen=True)
class SearchResult:
    """What the search of one gulp gives.

    Attributes:
        snr: greatest significance of each pixel over all trials and samples, sigma; axes (y, x).
        best_dm, best_width: index of the trial that gave it; axes (y, x).
        best_sample: its first sample, as in `Voxels`; axes (y, x).
        voxels: all over the threshold.
        sigma: noise that significances were divided by, of sums (not means) over samples, channels; axes (dm, width).
        channel_sigma: noise of each channel after the spatial filter; NaN: missing; axis: channel.
        present: whether the channel took part; axis: channel.
        complete: whether the samples before this gulp were there; not in the first gulp, nor after a gap.
        seconds: stage -> how long it took, s.
    """

    snr: NDArray[np.float32]
    best_dm: NDArray[np.uint8]
    best_width: NDArray[np.uint8]
    best_sample: NDArray[np.int16]
    voxels: Voxels
    sigma: NDArray[np.float64]
    channel_sigma: NDArray[np.float64]
    present: NDArray[np.bool_]
    complete: bool
    seconds: Mapping[str, float]
