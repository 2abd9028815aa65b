"""What the constant sky, which is not known exactly, adds to the noise of sums."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from devices.pipelines.search.drift import Shift, interpolated


def variance_of_sums(
    variance: NDArray[np.float64], width: NDArray[np.int64], doubt: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Of sums over channels and ``width`` samples, in which the sky was taken away.

    The doubt of a mean over other gulps adds ``width**2 doubt``. That of the gulp's own mean is negative: of n samples
    in the gulp, ``variance n / width + doubt n**2`` is left. De-dispersed, a part of the samples may lie in the gulp
    before, which can be more noise than all in the gulp: the greatest is taken.

    Args:
        variance: without doubt.
    """
    doubt = np.asarray(doubt, np.float64)
    whole = variance + doubt * width**2
    with np.errstate(divide="ignore", invalid="ignore"):
        part = variance**2 / (-4.0 * doubt * width**2)
    return np.asarray(np.where(variance + 2.0 * doubt * width**2 < 0.0, part, whole), np.float64)


class Doubt:
    """Of a gulp and of those that sums look back to: samples there lack the sky as it was known then.

    While a pixel is new, after the start or where the sky drifts in, it is known better with each gulp: that of the
    gulps before is the greater one.

    Args:
        gulps: that sums of each width look back to.
        of_own_mean: doubt where nothing is known but the gulp itself.
        beam_px: over which images are filtered: doubts of so many pixels mix; 1: they are not filtered.
    """

    def __init__(self, gulps: Sequence[int], of_own_mean: float, beam_px: int) -> None:
        self._before: deque[NDArray[np.float32]] = deque(maxlen=max(gulps))
        self._gulps = tuple(gulps)
        self._of_own_mean, self._beam_px = of_own_mean, beam_px

    def forget(self) -> None:
        self._before.clear()

    def move(self, shift_px: Shift) -> None:
        """The sky moved by so many pixels (y, x)."""
        for index, doubt in enumerate(self._before):
            self._before[index] = interpolated(doubt, shift_px, self._of_own_mean)

    def track(self, doubt: NDArray[np.float32]) -> NDArray[np.float32]:
        """That of the sums that end in a gulp; axes (width, y, x).

        Args:
            doubt: of the gulp's baseline, per variance of a sample, mean of its channels; axes (y, x).
        """
        known = [doubt, *reversed(self._before)]
        greatest = list(itertools.accumulate(known, np.maximum))
        if self._beam_px > 1:
            greatest = [maximum_filter(each, self._beam_px) for each in greatest]
        self._before.append(doubt)
        return np.stack([greatest[min(gulps, len(known) - 1)] for gulps in self._gulps])
