"""What the pixels of an amplifier are like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Statistics:
    """Of pixels; adu.

    Attributes:
        mean, median, sigma: without the pixels clipped.
        minimum, maximum: of all.
        saturated: pixels at or above the limit.
        clipped: pixels left away for mean, median and sigma.
        pixels: all.
    """

    mean: float
    median: float
    sigma: float
    minimum: float
    maximum: float
    saturated: int
    clipped: int
    pixels: int


def statistics(
    pixels: NDArray[Any], saturation_adu: float = 65535.0, clip_sigmas: float = 4.0, most_rounds: int = 5
) -> Statistics:
    """Statistics of pixels of any shape, adu; stars and cosmic rays are clipped.

    Args:
        pixels: integers or floats.
        saturation_adu: at or above it a pixel counts as saturated; such ones are clipped.
        clip_sigmas: pixels that are farther from the median are clipped, again and again.
        most_rounds: of clipping.

    Raises:
        ValueError: there are no pixels.
    """
    if not pixels.size:
        raise ValueError("there are no pixels")
    values = pixels.reshape(-1)
    saturated = int(np.count_nonzero(values >= saturation_adu))
    minimum, maximum = float(values.min()), float(values.max())
    kept = values[values < saturation_adu] if 0 < saturated < values.size else values
    median = float(np.median(kept))
    for _ in range(most_rounds):
        sigma = float(kept.std(dtype=np.float64))
        inside = np.abs(kept - np.float64(median)) <= clip_sigmas * sigma
        if inside.all():
            break
        kept = kept[inside]
        median = float(np.median(kept))
    return Statistics(
        mean=float(kept.mean(dtype=np.float64)),
        median=median,
        sigma=float(kept.std(dtype=np.float64)),
        minimum=minimum,
        maximum=maximum,
        saturated=saturated,
        clipped=values.size - kept.size,
        pixels=values.size,
    )


def amp_statistics(amps: NDArray[Any], saturation_adu: float = 65535.0, clip_sigmas: float = 4.0) -> list[Statistics]:
    """`statistics` of each amplifier's pixels, (amp, y, x)."""
    return [statistics(image, saturation_adu, clip_sigmas) for image in amps]
