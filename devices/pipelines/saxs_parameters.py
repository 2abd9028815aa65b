"""What a SAXS curve says in a few numbers: integrals over q, invariant, correlation length, radius of gyration."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

NAN = float("nan")
MOST_GUINIER_ROUNDS = 20
FEWEST_GUINIER_BINS = 5


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

    The end of the range depends on the result, so it is found in a few rounds from the first bins on.

    Source: A. Guinier, G. Fournet, Small-Angle Scattering of X-rays, 1955.
    """
    good = (q >= q_start) & np.isfinite(intensity) & (intensity > 0.0) & (sigma > 0.0)
    x, y, weight = q[good] ** 2, np.log(intensity[good]), intensity[good] / sigma[good]
    count = min(FEWEST_GUINIER_BINS, len(x))
    best: GuinierFit | None = None
    for _ in range(MOST_GUINIER_ROUNDS):
        if count < FEWEST_GUINIER_BINS:
            return best
        fit = _line(x[:count], y[:count], weight[:count])
        if fit is None:
            return best
        (slope, offset), covariance = fit
        if slope >= 0.0:
            return best
        radius = math.sqrt(-3.0 * slope)
        stop = largest_product / radius
        forward = math.exp(offset)
        best = GuinierFit(
            radius,
            1.5 * math.sqrt(covariance[0, 0]) / radius,
            forward,
            forward * math.sqrt(covariance[1, 1]),
            float(math.sqrt(x[count - 1])),
        )
        wanted = max(int(np.searchsorted(x, stop * stop)), FEWEST_GUINIER_BINS)
        if wanted in (count, len(x) + 1):
            return best
        count = min(wanted, len(x))
    return best


def _line(x: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64]) -> tuple[Any, Any] | None:
    """Slope and offset of a weighted straight line, and their covariance for weights 1 / sigma."""
    design = np.column_stack((x, np.ones_like(x))) * weight[:, np.newaxis]
    normal = design.T @ design
    if not np.isfinite(normal).all() or np.linalg.cond(normal) > 1e14:
        return None
    covariance = np.linalg.inv(normal)
    return covariance @ (design.T @ (y * weight)), covariance
