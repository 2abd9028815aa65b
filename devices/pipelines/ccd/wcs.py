"""Where the pixels of a mosaic are on the sky."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.ccd.detector import Geometry
from devices.pipelines.ccd.sections import AmpAxis


@dataclass(frozen=True)
class Placement:
    """Where a detector is, beside the place that it would have without gaps.

    Attributes:
        x, y: of its centre, unbinned pixels; the gaps before it, added up.
        rotation_degrees: about its centre, counter-clockwise.
    """

    x: float = 0.0
    y: float = 0.0
    rotation_degrees: float = 0.0


@dataclass(frozen=True)
class Sky:
    """Where a focal plane looks.

    Attributes:
        ra_degrees, dec_degrees: of the reference pixel.
        reference_pixel: column and row of the focal plane, unbinned, 1.0 the centre of the first one; gaps are counted.
        scale_arcsec: of an unbinned pixel along columns and rows; negative: against the axis (the first one of a sky
            with east to the left).
        rotation_degrees: of the sky against the pixels.
        axes: CTYPE1 and CTYPE2; the declination may come first.
        placements: of each detector, row by row; empty: there are no gaps.
    """

    ra_degrees: float = 0.0
    dec_degrees: float = 0.0
    reference_pixel: tuple[float, float] = (1.0, 1.0)
    scale_arcsec: tuple[float, float] = (1.0, 1.0)
    rotation_degrees: float = 0.0
    axes: tuple[str, str] = ("RA---TAN", "DEC--TAN")
    equinox_years: float = 2000.0
    placements: tuple[Placement, ...] = ()


@dataclass(frozen=True)
class Wcs:
    """Celestial coordinates of an image, as its header has them; degrees and pixels of the file from 1."""

    axes: tuple[str, str]
    values: tuple[float, float]
    pixel: tuple[float, float]
    matrix: NDArray[np.float64]
    equinox_years: float


def image_wcs(sky: Sky, geometry: Geometry, amp: int, axes: tuple[AmpAxis, AmpAxis]) -> Wcs:
    """The coordinates of an image whose pixels lie along `axes`, on the detector of `amp`.

    Raises:
        ValueError: placements for another number of detectors.
    """
    plane = geometry.focal_plane
    detectors = plane.detectors_x * plane.detectors_y
    if len(sky.placements) not in (0, detectors):
        raise ValueError(f"there are {len(sky.placements)} placements for {detectors} detectors")
    column, row = plane.detector(amp)
    placement = sky.placements[row * plane.detectors_x + column] if sky.placements else Placement()
    width, height = geometry.format.columns / plane.detectors_x, geometry.format.rows / plane.detectors_y
    centre = np.array([(column + 0.5) * width + 0.5, (row + 0.5) * height + 0.5])
    turned = _rotation(placement.rotation_degrees)
    # The pixel of this detector, as if there were no gaps, that would lie at the reference.
    reference = turned.T @ (np.array(sky.reference_pixel) - centre - (placement.x, placement.y)) + centre
    first, second = (axis.to_image(float(pixel)) for axis, pixel in zip(axes, reference, strict=True))
    swapped = sky.axes[0].upper().startswith("DEC")
    matrix = (
        _rotation(sky.rotation_degrees)
        @ np.diag(np.array(sky.scale_arcsec) / 3600.0)
        @ turned
        @ np.diag([axis.sign * axis.window.binning for axis in axes])
    )
    return Wcs(
        axes=sky.axes,
        values=(sky.dec_degrees, sky.ra_degrees) if swapped else (sky.ra_degrees, sky.dec_degrees),
        pixel=(first, second),
        matrix=matrix,
        equinox_years=sky.equinox_years,
    )


def _rotation(degrees: float) -> NDArray[np.float64]:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cosine, -sine], [sine, cosine]])
