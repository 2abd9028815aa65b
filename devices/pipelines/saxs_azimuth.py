"""Intensity against azimuth: the sub-pixels of a frame in sectors around the beam, for a band of q."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from devices.pipelines.saxs_geometry import Geometry, Polarization, plane_numbers, polarization_map, q_map


@dataclass(frozen=True, eq=False)
class AzimuthProfile:
    """The mean of a frame by azimuth; all arrays (bins,).

    Args:
        phi: centres of the sectors, rad, -pi to pi, 0 to the right and growing downwards.
        intensity: mean per pixel; NaN where no pixel contributes.
        sigma: its standard deviation by Poisson statistics.
    """

    phi: NDArray[np.float64]
    intensity: NDArray[np.float64]
    sigma: NDArray[np.float64]


class AzimuthIntegrator:
    """Integrates frames of one geometry, with one mask and one band of q, by azimuth.

    The number of sectors follows from the bin width: `pixels_per_bin` and the largest radius in mm.

    Args:
        mask: (rows, columns), other than 0 = masked; None masks nothing.
        q_start, q_stop: pixels whose centre is outside do not count, nm^-1; both 0: all count.
    """

    def __init__(
        self,
        geometry: Geometry,
        mask: NDArray[Any] | None = None,
        polarization: Polarization | None = None,
        q_start: float = 0.0,
        q_stop: float = 0.0,
    ) -> None:
        if mask is not None and mask.shape != geometry.image_size:
            raise ValueError(f"mask has the shape {mask.shape}, the geometry {geometry.image_size} (rows, columns)")
        valid = np.ones(geometry.image_size, np.bool_) if mask is None else mask.astype(np.bool_) == 0
        if (q_start, q_stop) != (0.0, 0.0):
            q = q_map(geometry)
            valid &= (q >= q_start) & (q <= q_stop)
        self.geometry = geometry
        self._valid = np.flatnonzero(valid.ravel())
        rows, columns, row, column, pixel_mm = plane_numbers(geometry)[:5]
        radius_mm, phi = _extent(rows, columns, row, column, pixel_mm, geometry.oversampling)
        self._scale = radius_mm / (phi * geometry.pixels_per_bin)
        self.bins = int(2.0 * math.pi * self._scale) + 1
        self._offsets, self._labels, self._shares, self._counts = _entries(
            columns, row, column, geometry.oversampling, self._scale, self.bins, self._valid
        )
        self._gain = None if polarization is None else 1.0 / polarization_map(geometry, polarization)[valid]

    def integrate(self, image: NDArray[Any]) -> AzimuthProfile:
        """The mean by azimuth of a frame, (rows, columns) of the geometry; pixels that are not finite count as masked.

        Raises:
            ValueError: the frame has another shape.
        """
        if image.shape != self.geometry.image_size:
            raise ValueError(f"image has the shape {image.shape}, the geometry {self.geometry.image_size}")
        pixels = image.ravel()[self._valid].astype(np.float64)
        counts = self._counts
        lost = ~np.isfinite(pixels)
        if lost.any():
            pixels[lost] = 0.0
            counts = counts - _sums(lost.astype(np.float64), self._offsets, self._labels, self._shares, self.bins)
        if self._gain is not None:
            pixels *= self._gain
        sums = _sums(pixels, self._offsets, self._labels, self._shares, self.bins)
        with np.errstate(divide="ignore", invalid="ignore"):
            intensity = sums / counts
            sigma = self.geometry.oversampling * np.sqrt(sums) / counts
        return AzimuthProfile((np.arange(self.bins, dtype=np.float64) + 0.5) / self._scale - math.pi, intensity, sigma)


def _extent(
    rows: int, columns: int, row: float, column: float, pixel_mm: float, oversampling: int
) -> tuple[float, float]:
    """The largest radius, mm, and the largest azimuth, rad, of a sub-pixel."""
    edge = 0.5 / oversampling
    y, x = np.array([edge - row, rows - edge - row]), np.array([edge - column, columns - edge - column])
    radius = float(np.hypot(*np.meshgrid(y, x)).max()) * pixel_mm
    # The azimuth is largest just below the horizontal on the left of the beam, or in a corner if that is not there.
    below = (np.arange(rows * oversampling) + 0.5) / oversampling - row
    lowest = below[below >= 0.0]
    largest = max(math.atan2(yy, xx) for yy in (*y, *(lowest[:1])) for xx in x)
    # A frame beside the beam has no such sub-pixel, perhaps no azimuth above 0: sectors as if it were all around.
    return radius, largest if largest > math.pi / 2.0 else math.pi


@njit(cache=True, nogil=True)
def _entries(
    columns: int,
    row: float,
    column: float,
    oversampling: int,
    scale: float,
    bins: int,
    valid: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.uint16], NDArray[np.float64]]:
    """The bins of each valid pixel and its sub-pixels in them, pixel after pixel; and all sub-pixels by bin."""
    most = oversampling * oversampling
    offsets = np.zeros(valid.size + 1, np.int64)
    labels = np.empty(valid.size * most, np.int32)
    shares = np.empty(valid.size * most, np.uint16)
    counts = np.zeros(bins)
    used = 0
    for k in range(valid.size):
        i, j = valid[k] // columns, valid[k] % columns
        begin = used
        for a in range(oversampling):
            y = (i * oversampling + a + 0.5) / oversampling - row
            for b in range(oversampling):
                x = (j * oversampling + b + 0.5) / oversampling - column
                label = min(int((math.atan2(y, x) + math.pi) * scale), bins - 1)
                counts[label] += 1.0
                entry = begin
                while entry < used and labels[entry] != label:
                    entry += 1
                if entry == used:
                    labels[entry] = label
                    shares[entry] = 0
                    used += 1
                shares[entry] += 1
        offsets[k + 1] = used
    return offsets, labels[:used].copy(), shares[:used].copy(), counts


@njit(cache=True, nogil=True)
def _sums(
    pixels: NDArray[np.float64],
    offsets: NDArray[np.int64],
    labels: NDArray[np.int32],
    shares: NDArray[np.uint16],
    bins: int,
) -> NDArray[np.float64]:
    sums = np.zeros(bins)
    for k in range(pixels.size):
        for entry in range(offsets[k], offsets[k + 1]):
            sums[labels[entry]] += shares[entry] * pixels[k]
    return sums
