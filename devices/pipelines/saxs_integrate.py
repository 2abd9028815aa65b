"""Azimuthal integration of SAXS frames: one frame in, the intensity against q out.

Every pixel is split into sub-pixels, and a radial bin takes from a pixel the fraction of its sub-pixels that lie in
the bin. The fractions are kept as integer counts, so the sums over an integer frame are exact and depend neither on the
order of the pixels nor on the machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.saxs_geometry import LANES, Geometry, Polarization, pixel_bins, polarization_map
from devices.pipelines.saxs_scatter import scatter

KEPT_INTEGRATORS = 8


@dataclass(frozen=True, eq=False)
class Profile:
    """The azimuthal mean of a frame; all arrays (bins,).

    Args:
        q: bin centres, nm^-1.
        intensity: mean per pixel, in the unit of the frame (counts); NaN where no pixel contributes.
        sigma: its standard deviation by Poisson statistics; NaN where the intensity is NaN or negative.
    """

    q: NDArray[np.float64]
    intensity: NDArray[np.float64]
    sigma: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Layer:
    """Up to four consecutive bins of every valid pixel, in pixel order.

    The speed comes from its size: 7 bytes are read per pixel, 4 of an int32 frame, 2 of `first` and 1 of `pattern`.
    """

    first: NDArray[np.integer[Any]]
    pattern: NDArray[np.integer[Any]]
    weights: NDArray[np.float64]


class Integrator:
    """Integrates frames of one geometry with one mask; made once, used for every frame, from any thread."""

    def __init__(
        self, geometry: Geometry, mask: NDArray[Any] | None = None, polarization: Polarization | None = None
    ) -> None:
        """Tabulate the radial bins of every pixel.

        Args:
            mask: (rows, columns) of the geometry, row 0 at the top; other than 0 = masked; None masks nothing.
            polarization: divide every pixel by what this polarization lets through.
        Raises:
            ValueError: the mask has another shape than the geometry.
        """
        if mask is None:
            mask = np.zeros(geometry.image_size, np.bool_)
        _check_shape("mask", mask, geometry)
        self.geometry = geometry
        self.mask: NDArray[np.bool_] = mask.astype(np.bool_)
        self.polarization = polarization
        valid = ~self.mask
        edges = np.flatnonzero(np.diff(valid.ravel().view(np.int8), prepend=0, append=0))
        self._starts, self._stops = edges[::2].copy(), edges[1::2].copy()
        self._gain = None if polarization is None else 1.0 / polarization_map(geometry, polarization)[valid]
        self._layers: list[_Layer] = []
        span = 1
        while len(self._layers) * LANES < span:
            first, shares, self._counts, span = pixel_bins(geometry, valid, len(self._layers))
            patterns, pattern = np.unique(shares, return_inverse=True)
            weights = patterns.astype("<u8").view("<u2").reshape(-1, LANES).astype(np.float64)
            first_type = np.uint16 if geometry.bins <= 1 << 16 else np.uint32
            pattern_type = np.min_scalar_type(max(len(patterns) - 1, 0))
            self._layers.append(_Layer(first.astype(first_type), pattern.astype(pattern_type), weights))

    def integrate(self, image: NDArray[Any], *, spread: bool = False) -> Profile:
        """The azimuthal mean of a frame.

        Args:
            image: (rows, columns) of the geometry, integer or real; pixels that are not finite count as masked.
            spread: whether sigma is how much the pixels of a bin differ, instead of their counting error.
        Returns:
            The profile. With S the sum over a bin and A its area in pixels, intensity = S / A, sigma = sqrt(S) / A by
            Poisson; as spread, the square root of the mean of (pixel - intensity)^2 in the bin.
        Raises:
            ValueError: the frame has another shape, or is not made of real numbers.
        """
        _check_shape("image", image, self.geometry)
        if image.dtype.kind not in "iuf":
            raise ValueError(f"image of type {image.dtype} is not made of integer or real numbers")
        counts = self._counts
        if image.dtype.kind == "f":
            if image.dtype not in (np.float32, np.float64):
                image = image.astype(np.float64)
            lost = ~np.isfinite(image)
            if lost.any():
                image = np.where(lost, 0.0, image)
                counts = counts - self._sums(lost.view(np.uint8), None).astype(np.int64)
        sums = self._sums(image, self._gain)
        with np.errstate(divide="ignore", invalid="ignore"):
            intensity = sums / counts
            if spread:
                gain = None if self._gain is None else self._gain**2
                squares = self._sums(np.square(image, dtype=np.float64), gain) / counts
                sigma = np.sqrt(np.maximum(squares - intensity**2, 0.0))
            else:
                sigma = self.geometry.oversampling * np.sqrt(sums) / counts
        return Profile(self.geometry.q(), intensity, sigma)

    def _sums(self, image: NDArray[Any], gain: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """The sum of sub-pixels x value x gain in every bin, (bins,)."""
        pixels = np.ascontiguousarray(image, image.dtype.newbyteorder("=")).reshape(-1)
        lanes = np.zeros((2 * self.geometry.bins, LANES))
        for layer in self._layers:
            scatter(pixels, self._starts, self._stops, layer.first, layer.pattern, layer.weights, gain, lanes)
        lanes = lanes[: self.geometry.bins] + lanes[self.geometry.bins :]
        sums = lanes[:, 0].copy()
        for lane in range(1, LANES):
            sums[lane:] += lanes[:-lane, lane]
        return sums


def integrate_image(
    image: NDArray[Any], mask: NDArray[Any] | None, geometry: Geometry, polarization: Polarization | None = None
) -> Profile:
    """The azimuthal mean of a frame, for a process pool: the tables of the last few calibrations are kept.

    Args:
        image: (rows, columns) of the geometry, integer or real.
        mask: (rows, columns), other than 0 = masked; None masks nothing. It is compared by content.
    Raises:
        ValueError: the frame or the mask does not fit the geometry.
    """
    masked = np.zeros(geometry.image_size, np.bool_) if mask is None else mask.astype(np.bool_, copy=False)
    for integrator in _integrators:
        if (
            integrator.geometry == geometry
            and integrator.polarization == polarization
            and np.array_equal(integrator.mask, masked)
        ):
            return integrator.integrate(image)
    integrator = Integrator(geometry, masked, polarization)
    _integrators.insert(0, integrator)
    del _integrators[KEPT_INTEGRATORS:]
    return integrator.integrate(image)


_integrators: list[Integrator] = []


def _check_shape(name: str, array: NDArray[Any], geometry: Geometry) -> None:
    if array.shape != geometry.image_size:
        shape = " x ".join(str(n) for n in array.shape)
        rows, columns = geometry.image_size
        raise ValueError(f"{name} has the shape {shape}, the geometry {rows} x {columns} (rows x columns)")
