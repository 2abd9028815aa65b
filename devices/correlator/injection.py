"""Synthetic pulses in the live stream: what is added to the gulps that come, and what the search should make of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.search.band import Band
from devices.pipelines.search.pulse import dispersed_pulse
from devices.pipelines.search.trials import Trials
from devices.pipelines.search.weights import Weights


@dataclass(frozen=True)
class Pulse:
    """A pulse to be injected.

    Attributes:
        identity: of the injection. y, x: pixel. dm: pc/cm3. width: samples.
        snr: significance that the search should find, sigma.
        start: when it begins at the lowest centre frequency, samples from the first sample of the first gulp.
    """

    identity: str
    y: int
    x: int
    dm: float
    width: float
    snr: float
    start: float

    @classmethod
    def whole(cls, band: Band, identity: str, y: int, x: int, dm: float, width: float, snr: float) -> Pulse:
        """One whose highest channel begins with the first sample of the first gulp."""
        return cls(identity, y, x, dm, width, snr, float(np.max(band.lead_samples(dm))))

    @property
    def end(self) -> float:
        """When it has gone by at the lowest centre frequency, samples from the first sample of the first gulp."""
        return self.start + self.width

    def signal(self, band: Band, first: int, samples: int) -> NDArray[np.float64]:
        """Height 1, in the samples from ``first``; axes (channel, sample)."""
        return dispersed_pulse(band, self.dm, self.width, self.start - first, samples)


def response(pulse: Pulse, band: Band, trials: Trials, sigma: NDArray[np.float64], gain: NDArray[np.float64]) -> float:
    """The greatest significance that a noiseless pulse of height 1 has, sigma.

    De-dispersion interpolates linearly between two samples, boxcars are sums, and both are divided by the noise of just
    this sum: so trials beside the pulse, and pulses between trials, lose what they lose in the search.

    Args:
        sigma: noise of sums over channels and samples; axes (dm, width).
        gain: value at the pulse's pixel after the spatial filter, for each channel; 0: the channel is missing.
    """
    weights = Weights.of(band, trials)
    signal = pulse.signal(band, -weights.reach, 2 * weights.reach + int(np.ceil(pulse.end)) + 2) * gain[:, np.newaxis]
    best = 0.0
    for dm in range(len(trials.dms)):
        total = np.zeros(signal.shape[1])
        for channel, series in enumerate(signal):
            delay = int(weights.delay[dm, channel])
            total += weights.near[dm, channel] * _later(series, delay)
            total += weights.far[dm, channel] * _later(series, delay + 1)
        sums = np.concatenate([[0.0], np.cumsum(total)])
        for place, width in enumerate(trials.widths):
            if sigma[dm, place] > 0.0:
                best = max(best, float(np.max(sums[width:] - sums[:-width])) / float(sigma[dm, place]))
    return best


def _later(series: NDArray[np.float64], samples: int) -> NDArray[np.float64]:
    """The series, later by so many samples; 0 before its begin."""
    later = np.zeros_like(series)
    later[samples:] = series[: len(series) - samples]
    return later


def add_pulse(
    cube: NDArray[np.float32],
    signal: NDArray[np.float64],
    profile: NDArray[np.float32] | None,
    y: int,
    x: int,
    amplitude: float,
) -> None:
    """Add a pulse to a cube in place.

    Args:
        cube: axes (channel, sample, y, x); a missing channel stays NaN.
        signal: axes (channel, sample), height 1.
        profile: of a point source, axes (channel, y, x), 1 in its middle (size // 2); None: one pixel.
        amplitude: of the brightest pixel, in units of the cube.
    """
    if profile is None:
        cube[:, :, y, x] += (amplitude * signal).astype(np.float32)
        return
    rows, columns = (
        _overlap(at, size, full) for at, size, full in zip((y, x), profile.shape[1:], cube.shape[2:], strict=True)
    )
    part = profile[:, rows[1], columns[1]]
    for channel, series in enumerate(signal):
        for sample in np.flatnonzero(series):
            cube[channel, sample, rows[0], columns[0]] += np.float32(amplitude * series[sample]) * part[channel]


def _overlap(at: int, size: int, full: int) -> tuple[slice, slice]:
    """Where a profile of some size lies in an image when its middle is at a pixel: in the image, and in itself."""
    first = at - size // 2
    low, high = max(0, first), min(full, first + size)
    return slice(low, high), slice(low - first, high - first)
