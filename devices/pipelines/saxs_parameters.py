"""What a SAXS curve says in a few numbers: integrals over q, invariant, correlation length, radius of gyration."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NAN = float("nan")
FEWEST_GUINIER_BINS = 5
LEAST_SIGNIFICANCE = 4.0
"""A curve falls when its slope is so many standard deviations from 0; noise alone has hundreds of ranges to do so."""


class IntegralParameters(NamedTuple):
    """Integrals of I(q): sums of I dq, of I q dq and of I q^2 dq; counts nm^-1, nm^-2, nm^-3."""

    i0: float
    i1: float
    i2: float

    @property
    def invariant(self) -> float:
        return self.i2

    @property
    def correlation_length(self) -> float:
        """I1 / I2, nm; NaN where there is no intensity."""
        return self.i1 / self.i2 if self.i2 else NAN


def integral_parameters(
    q: NDArray[np.float64], intensity: NDArray[np.float64], q_start: float = 0.0, q_stop: float = 0.0
) -> IntegralParameters:
    """The integrals over the bins from the first with q >= q_start to the last before q >= q_stop.

    Args:
        q: bin centres at equal distances, (bins,), nm^-1.
        intensity: (bins,); NaN is left out.
        q_start, q_stop: nm^-1; both 0: all bins. A band without bins has the integrals 0.
    """
    if len(q) < 2:
        return IntegralParameters(0.0, 0.0, 0.0)
    stop = q_stop if (q_start, q_stop) != (0.0, 0.0) else math.inf
    band = slice(int(np.searchsorted(q, q_start)), int(np.searchsorted(q, stop)))
    width = float(q[1] - q[0])
    at, counts = q[band], np.nan_to_num(intensity[band], nan=0.0) * width
    return IntegralParameters(float(counts.sum()), float(counts @ at), float(counts @ (at * at)))


class GuinierFit(NamedTuple):
    """The Guinier approximation of a curve's beginning.

    Args:
        radius_of_gyration: nm, and its standard deviation.
        forward_intensity: I(0), and its standard deviation.
        q_stop: the end of the range used, nm^-1.
    """

    radius_of_gyration: float
    radius_sigma: float
    forward_intensity: float
    forward_sigma: float
    q_stop: float


def guinier_fit(
    q: NDArray[np.float64],
    intensity: NDArray[np.float64],
    sigma: NDArray[np.float64],
    q_start: float = 0.0,
    largest_product: float = 1.3,
) -> GuinierFit | None:
    """Fit ln I = ln I(0) - Rg^2 q^2 / 3 from q_start to q Rg = `largest_product`; None when the curve has no such part.

    The end of the range depends on the result: lines are fitted to all ranges at once, and the shortest one that
    reaches the product counts, or the whole curve when none does. Ranges whose slope might be noise do not count.

    Source: A. Guinier, G. Fournet, Small-Angle Scattering of X-rays, 1955.
    """
    good = (q >= q_start) & np.isfinite(intensity) & (intensity > 0.0) & (sigma > 0.0) & np.isfinite(sigma)
    if np.count_nonzero(good) < FEWEST_GUINIER_BINS:
        return None
    x, y, weight = q[good] ** 2, np.log(intensity[good]), (intensity[good] / sigma[good]) ** 2
    line = _lines(x, y, weight)
    with np.errstate(invalid="ignore", divide="ignore"):
        falls = line.slope < -LEAST_SIGNIFICANCE * line.slope_sigma
        reaches = falls & (-3.0 * line.slope * x >= largest_product**2)
    falls[: FEWEST_GUINIER_BINS - 1] = reaches[: FEWEST_GUINIER_BINS - 1] = False
    last = int(np.argmax(reaches)) if reaches.any() else len(x) - 1
    if not falls[last]:
        return None
    radius, forward = math.sqrt(-3.0 * line.slope[last]), math.exp(line.offset[last])
    return GuinierFit(
        radius_of_gyration=radius,
        radius_sigma=1.5 * float(line.slope_sigma[last]) / radius,
        forward_intensity=forward,
        forward_sigma=forward * float(line.offset_sigma[last]),
        q_stop=math.sqrt(x[last]),
    )


class _Lines(NamedTuple):
    """Straight lines through the first 1, 2, ... points; all (points,)."""

    slope: NDArray[np.float64]
    slope_sigma: NDArray[np.float64]
    offset: NDArray[np.float64]
    offset_sigma: NDArray[np.float64]


def _lines(x: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64]) -> _Lines:
    """Weighted by 1 / variance; NaN where points do not make a line."""
    # From the first point on and in units of the range, so that short ranges far from 0 lose no digits.
    origin, unit = x[0], float(x[-1] - x[0]) or 1.0
    u = (x - origin) / unit
    total, first, second = (np.cumsum(weight * power) for power in (np.ones_like(u), u, u * u))
    level, moment = np.cumsum(weight * y), np.cumsum(weight * u * y)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        determinant = total * second - first * first
        determinant = np.where(determinant > 1e-12 * total * second, determinant, np.nan)
        slope = (total * moment - first * level) / determinant
        offset = (second * level - first * moment) / determinant
        # At x = 0, which is -origin / unit from there.
        zero = -origin / unit
        variance = (second - 2.0 * zero * first + zero * zero * total) / determinant
        return _Lines(slope / unit, np.sqrt(total / determinant) / unit, offset + slope * zero, np.sqrt(variance))
