"""The strongest peak of a SAXS curve: the ring that an operator looks at first."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SIGNIFICANT = 8.0
"""A peak stands out of its surroundings by so many standard deviations; noise alone spans about 7 in 1000 bins."""

ROUNDING = 1e-9
"""What stands out by a smaller part of the intensity is an error of rounding."""

SHARP = 0.25
"""A ring is narrower than this part of its q; the glow around a beam stop, often the highest maximum, is wider."""


def strongest_peak(q: NDArray[Any], intensity: NDArray[Any], sigma: NDArray[Any]) -> float | None:
    """The position of the sharp peak that rises highest above its surroundings; None when there is none.

    It is the centroid of what lies above half its height, so it is finer than a bin.

    Args:
        q: bin centres, (bins,), ascending, nm^-1.
        intensity: (bins,), any unit; NaN where there is no value.
        sigma: its standard deviation, (bins,), same unit.
    Returns:
        nm^-1.
    """
    valid = np.isfinite(intensity) & np.isfinite(sigma)
    q, intensity, sigma = q[valid], intensity[valid], sigma[valid]
    if len(q) < 3:
        return None
    least = np.maximum(SIGNIFICANT * sigma, ROUNDING * np.abs(intensity))
    from scipy.signal import find_peaks  # half a second and half of SciPy, for processes that only know the class

    peaks, found = find_peaks(intensity, prominence=least, width=0.0, rel_height=0.5)
    index = np.arange(len(q))
    left, right = np.interp(found["left_ips"], index, q), np.interp(found["right_ips"], index, q)
    strength = np.where(right - left < SHARP * q[peaks], found["prominences"], 0.0)
    if not strength.any():
        return None
    best = int(strength.argmax())
    top = slice(int(np.ceil(found["left_ips"][best])), int(np.floor(found["right_ips"][best])) + 1)
    above = (intensity[top] - found["width_heights"][best]) / found["prominences"][best]
    if not above.sum() > 0.0:  # a peak as high as the smallest numbers there are
        return None
    return float(np.average(q[top], weights=above))
