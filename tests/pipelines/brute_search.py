"""A search in a few literal lines, for tests: noise of 1, no spatial filter, all samples of the past at hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.search.band import Band
from devices.pipelines.search.pulse import dispersed_pulse
from devices.pipelines.search.result import Voxels
from devices.pipelines.search.trials import Trials

BAND = Band.dsa110()
TRIALS = Trials((0.0, 213.7, 417.2, 814.4, 1589.8, 3103.3, 4847.0), (1, 2, 4, 8, 16))
SAMPLES = 25
LOOK_BACK = TRIALS.look_back(BAND)


def beam(size: int, y: float, x: float, fwhm_px: float = 3.0) -> NDArray[np.float64]:
    """A round beam of height 1; axes (y, x)."""
    pixel = np.arange(size)
    squared = (pixel[:, np.newaxis] - y) ** 2 + (pixel[np.newaxis, :] - x) ** 2
    return np.exp(-4.0 * np.log(2.0) * squared / fwhm_px**2)


def add_pulse(cube: NDArray[np.float32], y: float, x: float, dm: float, width: int, start: float, snr: float) -> None:
    """Into a cube of axes (channel, sample, y, x): a pulse that a search would find with about this significance."""
    channels, samples, size, _ = cube.shape
    series = snr / np.sqrt(channels * width) * dispersed_pulse(BAND, dm, width, start, samples)
    cube += (series[:, :, np.newaxis, np.newaxis] * beam(size, y, x)).astype(np.float32)


def search(recent: NDArray[np.float32], threshold: float, look_back: int = LOOK_BACK) -> Voxels:
    """Windows that end in the gulp, whose samples begin at ``look_back``; axes (channel, sample, y, x)."""
    channels, samples, _, _ = recent.shape
    found = []
    for dm, value in enumerate(TRIALS.dms):
        summed = np.zeros(recent.shape[1:])
        for channel, lead in enumerate(BAND.lead_samples(value)):
            whole, part = int(lead), lead - int(lead)
            for delay, weight in ((whole, 1.0 - part), (whole + 1, part)):
                summed[delay:] += weight * recent[channel, : samples - delay]
        running = np.concatenate([np.zeros((1, *summed.shape[1:])), np.cumsum(summed, axis=0)])
        for width, length in enumerate(TRIALS.widths):
            ends = np.arange(look_back + 1, samples + 1)
            snr = (running[ends] - running[ends - length]) / np.sqrt(channels * length)
            best = snr.argmax(axis=0)
            y, x = np.nonzero(snr.max(axis=0) >= threshold)
            when = best[y, x]
            found.append((y, x, np.full(len(y), dm), np.full(len(y), width), when + 1 - length, snr[when, y, x]))
    y, x, dm, width, sample, snr = (np.concatenate(axis) for axis in zip(*found, strict=True))
    order = np.argsort(-snr, kind="stable")
    whole = (axis[order].astype(np.int32) for axis in (y, x, dm, width, sample))
    return Voxels(*whole, snr[order].astype(np.float32))
