"""The constant sky of every channel and pixel, which is taken away before the search."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from devices.pipelines.search.drift import Shift, interpolated, shifted

#: A gulp moves the baseline by so many times the noise of its mean at most.
CLIP: Final = 3.0
#: A gulp's mean that is farther off is no noise: of a million, one is by chance.
OUTLYING: Final = 5.0


class Baseline:
    """A running mean over gulps that ended before any pulse of this gulp can have begun.

    A pulse does not diminish itself: a gulp's mean is used ``lag`` gulps later, and clipped. What stays for longer than
    a pulse can (lag + 2 gulps) is constant sky, and becomes the baseline at once. Where there is no baseline yet, the
    gulp's own mean is; what that does to noise is told by `doubt`.

    Args:
        shape: (channel, y, x).
        samples: of a gulp.
        widest: width of the longest pulse that is searched for, samples.
        gulps: how many the mean is over.
    """

    def __init__(self, shape: tuple[int, int, int], samples: int, widest: int, gulps: int) -> None:
        self._samples, self._gain = samples, 1.0 / gulps
        self._lag = -(-(widest - 1) // samples)
        self._level = np.full(shape, np.nan, np.float32)
        # Variance of the baseline, per variance of a sample.
        self._variance = np.full(shape, np.nan, np.float32)
        self._outlying = np.zeros(shape, np.uint8)
        self._waiting: deque[NDArray[np.float32]] = deque()

    def forget(self) -> None:
        """The sky is another one."""
        self._level.fill(np.nan)
        self._variance.fill(np.nan)
        self._outlying.fill(0)
        self._waiting.clear()

    def move(self, shift_px: Shift, each: Callable[[Callable[[int], None], Iterable[int]], None]) -> None:
        """The sky moved by so many pixels (y, x); what came in over the edge has no baseline yet.

        Args:
            each: calls a function for every channel, perhaps in threads.
        """

        def move(channel: int) -> None:
            level = self._level[channel]
            if np.isnan(level).all():
                return
            # A step from the sky to nothing would ring over pixels that are known.
            whole = _filled(level)
            for means in self._waiting:
                unknown = np.isnan(means[channel])
                if not unknown.all():
                    means[channel] = _moved(means[channel], np.where(unknown, whole, means[channel]), shift_px)
            self._level[channel] = _moved(level, whole, shift_px)
            self._variance[channel] = interpolated(self._variance[channel], shift_px, np.nan)

        each(move, range(len(self._level)))

    def level(self, means: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What to take away from a gulp.

        Args:
            means: over the gulp's samples; axes (channel, y, x).
        Returns:
            The level, and its doubt: a sum of w samples of noise sigma has a variance greater by
            (w sigma)^2 doubt; negative where the gulp's own mean is taken away. Axes (channel, y, x).
        """
        known = np.isfinite(self._level)
        return np.where(known, self._level, means), np.where(known, self._variance, np.float32(-1.0 / self._samples))

    def learn(self, means: NDArray[np.float32], sigma: NDArray[np.float64], alive: NDArray[np.bool_]) -> None:
        """A gulp was searched.

        Args:
            means: over the gulp's samples; axes (channel, y, x).
            sigma: noise of a sample; NaN: not known yet; axis: channel.
            alive: channels that are not left out; axis: channel.
        """
        self._waiting.append(np.where(alive[:, None, None], means, np.float32(np.nan)))
        late = self._waiting.popleft() if len(self._waiting) > self._lag else None
        for channel, noise in enumerate(sigma):
            if alive[channel]:
                self._restart(channel, means[channel], float(noise))
            if late is not None:
                self._follow(channel, late[channel], float(noise))

    def _restart(self, channel: int, means: NDArray[np.float32], sigma: float) -> None:
        """Where there was no baseline, or where the sky differs for longer than a pulse, the gulp's mean is one."""
        level, variance, outlying = self._level[channel], self._variance[channel], self._outlying[channel]
        far = np.abs(means - level) > OUTLYING * sigma * np.sqrt(variance + 1.0 / self._samples)
        outlying += far
        outlying *= far
        new = (outlying >= self._lag + 2) | np.isnan(level)
        if new.any():
            level[new], variance[new], outlying[new] = means[new], 1.0 / self._samples, 0
            for waiting in self._waiting:
                waiting[channel][new] = np.nan

    def _follow(self, channel: int, means: NDArray[np.float32], sigma: float) -> None:
        level, variance = self._level[channel], self._variance[channel]
        step = means - level
        of_mean = np.float32(1.0 / self._samples)
        gain = np.maximum(self._gain, variance / (variance + of_mean))
        limit = np.inf if np.isnan(sigma) else CLIP * sigma * np.sqrt(variance + of_mean)
        known = np.isfinite(step)
        level += np.where(known, gain * np.clip(step, -limit, limit), 0.0)
        variance[...] = np.where(known, (1.0 - gain) ** 2 * variance + gain**2 * of_mean, variance)


def _moved(image: NDArray[np.float32], whole: NDArray[np.float32], shift_px: Shift) -> NDArray[np.float32]:
    """An image with unknown pixels (NaN); what lies between a known and an unknown one is unknown.

    Args:
        whole: the image with something like the sky in these pixels.
    """
    moved = shifted(whole, shift_px)
    moved[np.isnan(interpolated(image, shift_px, np.nan))] = np.nan
    return moved


def _filled(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """The nearest known pixel, where one is not known."""
    unknown = np.isnan(image)
    if not unknown.any():
        return image
    y, x = distance_transform_edt(unknown, return_distances=False, return_indices=True)
    return np.asarray(image[y, x], np.float32)
