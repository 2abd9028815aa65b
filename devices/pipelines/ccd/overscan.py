"""Bias levels from the overscan of each amplifier, and frames without them."""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.ccd.deinterlace import trimmed
from devices.pipelines.ccd.detector import Geometry

Method = Literal["mean", "median", "mean_by_row", "median_by_row", "fit"]
METHODS: Final[tuple[Method, ...]] = ("mean", "median", "mean_by_row", "median_by_row", "fit")


def bias_region(amps: NDArray[Any], geometry: Geometry) -> NDArray[Any]:
    """The pixels without light beside the data, (amp, row, column): the overscan, or else the underscan; a view.

    Raises:
        ValueError: neither was read.
    """
    columns, rows = geometry.columns, geometry.rows
    data_rows = slice(rows.underscan, rows.underscan + rows.data)
    if columns.overscan:
        return amps[:, data_rows, columns.underscan + columns.data :]
    if columns.underscan:
        return amps[:, data_rows, : columns.underscan]
    raise ValueError("no columns of overscan or underscan were read: there is no bias level")


def bias_levels(
    amps: NDArray[Any], geometry: Geometry, method: Method = "median", degree: int = 3, skip: int = 0
) -> NDArray[np.float64]:
    """The bias level of each row of data, (amp, row), adu.

    Args:
        amps: (amp, y, x) in the order of reading, adu.
        method: mean, median: one for the amplifier. mean_by_row, median_by_row. fit: a Legendre polynomial along
            the medians of the rows; those that are off by more than 4 sigma do not count.
        degree: of the polynomial.
        skip: columns next to the data that do not count: charge that came late is in them.

    Raises:
        ValueError: there is no overscan and no underscan; `skip` leaves none of it; an unknown method; a bad degree.
    """
    if method not in METHODS:
        raise ValueError(f"method = {method!r} is none of {', '.join(METHODS)}")
    region = bias_region(amps, geometry)
    if not 0 <= skip < region.shape[2]:
        raise ValueError(f"skip = {skip} columns is outside [0, {region.shape[2] - 1}] columns")
    region = region[:, :, skip:] if geometry.columns.overscan else region[:, :, : region.shape[2] - skip]
    if method in ("mean", "median"):
        level = (np.mean if method == "mean" else np.median)(region, axis=(1, 2))
        return np.repeat(level[:, None], region.shape[1], axis=1)
    if method == "mean_by_row":
        return np.asarray(np.mean(region, axis=2), np.float64)
    by_row: NDArray[np.float64] = np.median(region, axis=2)
    return by_row if method == "median_by_row" else np.stack([_fitted(levels, degree) for levels in by_row])


def subtract_overscan(
    amps: NDArray[Any], geometry: Geometry, method: Method = "median", degree: int = 3, skip: int = 0
) -> NDArray[np.float32]:
    """The data without the bias level, (amp, row, column), adu, trimmed; arguments as for `bias_levels`."""
    levels = bias_levels(amps, geometry, method, degree, skip).astype(np.float32)
    data: NDArray[np.float32] = np.subtract(trimmed(amps, geometry), levels[:, :, None], dtype=np.float32)
    return data


def _fitted(levels: NDArray[np.float64], degree: int) -> NDArray[np.float64]:
    if not 0 <= degree < levels.size:
        raise ValueError(f"degree = {degree} is outside [0, {levels.size - 1}]")
    rows = np.arange(levels.size, dtype=np.float64)
    kept = np.ones(levels.size, np.bool_)
    fit = np.polynomial.Legendre.fit(rows, levels, degree)
    for _ in range(5):
        off = levels - fit(rows)
        sigma = 1.4826 * float(np.median(np.abs(off[kept])))
        inside = np.abs(off) <= 4.0 * max(sigma, 1e-9)
        if np.array_equal(inside, kept) or inside.sum() <= degree:
            break
        kept = inside
        fit = np.polynomial.Legendre.fit(rows[kept], levels[kept], degree, domain=[0.0, rows[-1] or 1.0])
    fitted: NDArray[np.float64] = fit(rows)
    return fitted
