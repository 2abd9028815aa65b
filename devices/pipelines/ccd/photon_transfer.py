"""Gain and read noise of an amplifier from two flats and two biases."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PhotonTransfer:
    """Of an amplifier.

    Attributes:
        gain: electrons for an adu, e-/adu. read_noise: e-. signal: mean of the flats without bias, adu.
    """

    gain: float
    read_noise: float
    signal: float


def photon_transfer(
    flats: tuple[NDArray[Any], NDArray[Any]],
    biases: tuple[NDArray[Any], NDArray[Any]],
    block: int = 64,
    clip_sigmas: float = 5.0,
) -> PhotonTransfer:
    """Gain and read noise from differences of equal frames, in which the pattern of the detector cancels out.

    The frames are looked at in blocks; the medians over the blocks are taken, so that cosmic rays, defects and edges of
    the light do not count. What differs in the levels of the two flats is scaled away.

    Args:
        flats: two frames of the same light, (rows, columns), adu; bias may be in them or, subtracted, not.
        biases: two frames without light, as large, treated in the same way.
        block: edge of a block, pixels.
        clip_sigmas: pixels of a difference that are farther off do not count.

    Raises:
        ValueError: shapes differ; frames smaller than 8 x 8; flats that have no more signal or noise than the biases.
    """
    shape = flats[0].shape
    if len(shape) != 2 or min(shape) < 8 or any(frame.shape != shape for frame in (*flats, *biases)):
        raise ValueError(f"frames {[frame.shape for frame in (*flats, *biases)]} are not of one shape of >= 8 x 8")
    first, second, zero, other_zero = (np.asarray(frame, np.float64) for frame in (*flats, *biases))
    rows, columns = (range(0, max(size // block, 1) * block, block) for size in shape)
    signals, variances, noises = [], [], []
    for row in rows:
        for column in columns:
            part = slice(row, row + block), slice(column, column + block)
            level = (_kept(zero[part], clip_sigmas).mean() + _kept(other_zero[part], clip_sigmas).mean()) / 2.0
            mean_1, mean_2 = (float(_kept(flat[part], clip_sigmas).mean() - level) for flat in (first, second))
            if mean_1 <= 0.0 or mean_2 <= 0.0:
                continue
            ratio = mean_1 / mean_2
            # var(a - r b) = S/g + N + r^2 (S/(r g) + N) with the first flat's signal S; N: variance of a bias, adu^2.
            noise = float(_kept(zero[part] - other_zero[part], clip_sigmas).var()) / 2.0
            total = float(_kept(first[part] - ratio * second[part], clip_sigmas).var())
            noises.append(noise)
            signals.append(mean_1)
            variances.append((total - (1.0 + ratio * ratio) * noise) / (1.0 + ratio))
    if not signals or np.median(variances) <= 0.0:
        raise ValueError("the flats have no more signal or noise than the biases")
    gain = float(np.median(signals) / np.median(variances))
    return PhotonTransfer(gain, gain * math.sqrt(float(np.median(noises))), float(np.median(signals)))


def _kept(pixels: NDArray[np.float64], clip_sigmas: float) -> NDArray[np.float64]:
    """Pixels that are not far off, by the median absolute deviation, which cosmic rays do not move."""
    off = np.abs(pixels - np.median(pixels))
    sigma = 1.4826 * float(np.median(off))
    return pixels[off <= clip_sigmas * sigma] if sigma > 0.0 else pixels
