"""Slices of a frame: the mean over some rows or columns, against the scattering vector in or across the sample's plane.

For grazing incidence (GISAXS). Positions are counted from the bottom edge (rows) and from the left edge (columns).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.saxs_geometry import ANGSTROM_STAR_NM, Geometry


@dataclass(frozen=True)
class SliceCut:
    """Which part of a frame a slice is.

    Args:
        direction: ``x`` for rows (one value per column), ``y`` for columns (one value per row).
        plane: the axis of the curve: ``InPlane`` q_h, ``Vertical`` q_v.
        position: px, from the bottom for rows, from the left for columns, 1 is the first.
        margin: px on both sides.
        incident_degrees: angle of incidence.
    """

    direction: Literal["x", "y"]
    plane: Literal["InPlane", "Vertical"]
    position: int
    margin: int = 0
    incident_degrees: float = 0.0


@dataclass(frozen=True, eq=False)
class SliceProfile:
    """A slice; all arrays (columns,) for rows and (rows,) for columns.

    Args:
        q: nm^-1.
        intensity: mean per pixel; NaN where all is masked.
        sigma: its standard deviation by Poisson statistics.
    """

    q: NDArray[np.float64]
    intensity: NDArray[np.float64]
    sigma: NDArray[np.float64]


class SliceIntegrator:
    """Cuts one slice out of frames of one geometry.

    Args:
        mask: (rows, columns), other than 0 = masked; None masks nothing.
    Raises:
        ValueError: the slice is outside of the frame.
    """

    def __init__(self, geometry: Geometry, cut: SliceCut, mask: NDArray[Any] | None = None) -> None:
        if mask is not None and mask.shape != geometry.image_size:
            raise ValueError(f"mask has the shape {mask.shape}, the geometry {geometry.image_size} (rows, columns)")
        across = geometry.image_size[0 if cut.direction == "x" else 1]
        start, stop = cut.position - 1 - cut.margin, cut.position + cut.margin
        if stop <= 0 or start >= across:
            raise ValueError(f"CutPosition = {cut.position} px is outside [1, {across}]")
        window = slice(max(start, 0), min(stop, across))
        if cut.direction == "x":  # counted from the bottom
            window = slice(across - window.stop, across - window.start)
        self.geometry, self.cut = geometry, cut
        self._window = (window, slice(None)) if cut.direction == "x" else (slice(None), window)
        self._axis = 0 if cut.direction == "x" else 1
        valid = np.ones(geometry.image_size, np.bool_) if mask is None else mask.astype(np.bool_) == 0
        self._valid = valid[self._window]
        self.q = self._q()

    def integrate(self, image: NDArray[Any]) -> SliceProfile:
        """The slice of a frame, (rows, columns) of the geometry; pixels that are not finite count as masked.

        Raises:
            ValueError: the frame has another shape.
        """
        if image.shape != self.geometry.image_size:
            raise ValueError(f"image has the shape {image.shape}, the geometry {self.geometry.image_size}")
        pixels = image[self._window].astype(np.float64)
        valid = self._valid & np.isfinite(pixels)
        area = valid.sum(axis=self._axis)
        sums = np.where(valid, pixels, 0.0).sum(axis=self._axis)
        with np.errstate(divide="ignore", invalid="ignore"):
            return SliceProfile(self.q, sums / area, np.sqrt(sums) / area)

    def _q(self) -> NDArray[np.float64]:
        geometry = self.geometry
        rows, columns = geometry.image_size
        count, center = (
            (columns, geometry.beam_center[1]) if self.cut.direction == "x" else (rows, rows - geometry.beam_center[0])
        )
        angle = np.arctan((np.arange(count) - center) * geometry.pixel_um / 1000.0 / geometry.distance_mm)
        wavenumber = 2.0 * math.pi / (geometry.wavelength_angstrom * ANGSTROM_STAR_NM)
        if self.cut.plane == "Vertical":
            q: NDArray[np.float64] = -wavenumber * (np.sin(angle) + math.sin(math.radians(self.cut.incident_degrees)))
        else:
            q = 2.0 * wavenumber * np.sin(angle / 2.0)
        return q
