"""What lies around a candidate: a de-dispersed sequence of small images, and a dynamic spectrum."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Samples of a cut-out.
SAMPLES: Final = 25


def cut_out(
    recent: NDArray[np.float32],
    look_back: int,
    y: int,
    x: int,
    lead_samples: NDArray[np.float64],
    sample: int,
    width: int,
    size: int = 11,
    samples: int = SAMPLES,
    fill: float = 0.0,
) -> NDArray[np.float32]:
    """Images about a pixel, each channel delayed by its lead, so that the pulse is at once in all, and in the middle.

    Args:
        recent: the gulp and what came before it, without its baseline; axes (channel, look_back + sample, y, x).
        look_back: samples before the gulp's first.
        y, x: the pixel, in the middle of the result, which has it at ``size // 2``.
        lead_samples: of the DM, `Band.lead_samples`; between two samples it is interpolated; axis: channel.
        sample: first sample of the pulse at the lowest frequency, counted from the gulp's first.
        width: of the pulse, samples; the middle of its ``width`` is in the middle of the result.
        size: of the images, pixels; odd.
        samples: of the result.
        fill: what stands outside of the image, before and after what is kept, and for missing channels (NaN): the
            baseline.
    Returns:
        Axes (channel, sample, y, x); y is declination and x right ascension, as in the cube.
    Raises:
        ValueError: the size is even or below 1; the pixel is outside; leads for another number of channels.
    """
    channels, kept, rows, columns = recent.shape
    if size < 1 or size % 2 == 0:
        raise ValueError(f"size = {size} px: an odd number from 1 up, so that the source is in the middle")
    if not (0 <= y < rows and 0 <= x < columns):
        raise ValueError(f"pixel (y, x) = ({y}, {x}) is outside of the image of {rows} x {columns}")
    if len(lead_samples) != channels:
        raise ValueError(f"{len(lead_samples)} leads for {channels} channels")
    out = np.full((channels, samples, size, size), fill, np.float32)
    half = size // 2
    top, bottom = max(y - half, 0), min(y + half + 1, rows)
    left, right = max(x - half, 0), min(x + half + 1, columns)
    first = look_back + sample + (width - samples) // 2
    inside = (slice(top - y + half, bottom - y + half), slice(left - x + half, right - x + half))
    for channel, lead in enumerate(lead_samples):
        whole = math.floor(lead)
        part = np.float32(lead - whole)
        times = np.arange(first - whole, first - whole + samples)
        there = np.flatnonzero((times - (part > 0) >= 0) & (times < kept))
        if not len(there):
            continue
        span = slice(int(times[there[0]]), int(times[there[-1]]) + 1)
        image = recent[channel, span, top:bottom, left:right]
        if part > 0:
            earlier = recent[channel, span.start - 1 : span.stop - 1, top:bottom, left:right]
            image = (1 - part) * image + part * earlier
        target = out[channel, there[0] : there[-1] + 1]
        target[(slice(None), *inside)] = np.where(np.isfinite(image), image, np.float32(fill))
    return out


def beam_reach(beam_px: float) -> int:
    """How far from the pixel a beam is summed, pixels."""
    return math.ceil(1.5 * beam_px)


def dynamic_spectrum(cube: NDArray[np.float32], y: int, x: int, beam_px: float = 3.0) -> NDArray[np.float32]:
    """The sum over the beam about a pixel, in each channel and sample; white noise stays as it is.

    Args:
        cube: axes (channel, sample, y, x): all that is kept, where it shows the sweep, or a cut-out, where it does not.
        y, x: the pixel.
        beam_px: full width of the beam at half maximum, pixels.
    Returns:
        Axes (channel, sample); NaN for a channel that is missing.
    """
    rows, columns = cube.shape[2:]
    reach = beam_reach(beam_px)
    top, left = max(y - reach, 0), max(x - reach, 0)
    part = cube[:, :, top : y + reach + 1, left : x + reach + 1]
    dy = np.arange(top, min(y + reach + 1, rows)) - y
    dx = np.arange(left, min(x + reach + 1, columns)) - x
    falls = -4.0 * math.log(2.0) / beam_px**2
    weights = np.exp(falls * (dy[:, np.newaxis] ** 2 + dx[np.newaxis, :] ** 2))
    return np.asarray(np.einsum("ctyx,yx->ct", part, weights / np.sqrt(np.sum(weights**2))), np.float32)
