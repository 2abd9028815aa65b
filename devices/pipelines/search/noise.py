"""The noise of channels and pixels, which no pulse and no single gulp decides."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.search.drift import Shift, interpolated

#: Values beyond so many sigma do not count; what is left of a Gaussian's variance then.
CLIP: Final = 3.0
LEFT: Final = 0.97334
ROUNDS: Final = 4
#: A gulp that is noisier than others by more than this is divided by its own noise.
JUMP: Final = 1.25


def robust_sigma(values: NDArray[np.floating]) -> float:
    """Standard deviation of Gaussian noise with outliers: that of what is within 3 sigma; NaN if there is no number."""
    finite = np.asarray(values, np.float64).ravel()
    if not len(finite) or not np.isfinite(finite).all():
        return np.nan
    finite = finite - np.median(finite)
    size = np.abs(finite)
    sigma = 1.4826 * float(np.median(size)) or float(np.std(finite))
    for _ in range(ROUNDS):
        within = finite[size <= CLIP * sigma]
        if not len(within):
            break
        sigma = float(np.sqrt(np.mean(within**2) / LEFT))
    return sigma


class ChannelNoise:
    """The noise of every channel, as a mean of variances over gulps with forgetting.

    Args:
        channels: how many.
        gulps: how many the mean is over.
    """

    def __init__(self, channels: int, gulps: int) -> None:
        self._gulps = gulps
        self._variance = np.full(channels, np.nan)
        self._count = np.zeros(channels, np.int64)

    def forget(self) -> None:
        self._variance.fill(np.nan)
        self._count.fill(0)

    def track(self, sigma: NDArray[np.float64]) -> NDArray[np.float64]:
        """What to divide a gulp by.

        Args:
            sigma: as measured in the gulp; NaN: the channel is left out; axis: channel.
        """
        measured = sigma**2
        alive = np.isfinite(measured)
        known = np.where(np.isnan(self._variance), measured, self._variance)
        noisy = alive & (measured > JUMP**2 * known)
        self._count[alive] += 1
        gain = 1.0 / np.clip(self._count, 1, self._gulps)
        step = np.minimum(measured, JUMP**2 * known) - known
        self._variance = np.where(alive, known + gain * step, self._variance)
        return np.sqrt(np.where(noisy, measured, np.where(alive, self._variance, np.nan)))


class PixelNoise:
    """How much noisier a pixel is than its channel, over gulps before this one.

    Args:
        shape: (y, x).
        gulps: how many the mean is over.
    """

    def __init__(self, shape: tuple[int, int], gulps: int) -> None:
        self._gulps, self._count = gulps, 0
        self._variance = np.ones(shape, np.float32)

    def forget(self) -> None:
        self._count = 0
        self._variance.fill(1.0)

    def move(self, shift_px: Shift) -> None:
        """The sky moved; noise of the sky moved with it."""
        self._variance = interpolated(self._variance, shift_px, 1.0)

    def track(self, variance: NDArray[np.float32]) -> NDArray[np.float32]:
        """What to divide significances by; axes (y, x).

        Args:
            variance: of the gulp's pixels over that of their channels; axes (y, x).
        """
        if not self._count:
            self._variance = np.maximum(variance, np.float32(1e-6))
        used = np.sqrt(self._variance)
        self._count = min(self._count + 1, self._gulps)
        limited = np.clip(variance, self._variance / JUMP**2, self._variance * JUMP**2)
        self._variance = self._variance + (limited - self._variance) / np.float32(self._count)
        return used
