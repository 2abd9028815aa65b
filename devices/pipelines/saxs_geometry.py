"""Where a pixel of a SAXS detector lies: its scattering vector q, and the radial bins of its sub-pixels.

Frames are (rows, columns) as the detector writes them, row 0 at the top. The calibration follows Fit2D: the beam centre
is counted in pixels from the bottom edge and from the left edge, and a pixel i spans i to i + 1. A tilted detector is
turned about the point where the beam hits it, by the tilt angle, in the plane that the tilt rotation names.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numba import njit
from numpy.typing import NDArray

#: The "Angstrom star" of the X-ray wavelength tables, in nm: calibrations of this family of programs are given in it.
ANGSTROM_STAR_NM = 0.100001495

LANES = 4
"""Consecutive radial bins that one entry of `pixel_bins` covers."""

MAX_PIXELS = 1 << 26
MAX_BINS = 1 << 20
MAX_OVERSAMPLING = 20


@dataclass(frozen=True)
class Polarization:
    """The polarization of the beam: the fraction in the plane at `angle_degrees` (0: horizontal), between 0 and 1."""

    fraction: float = 0.95
    angle_degrees: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.fraction <= 1.0:
            raise ValueError(f"fraction = {self.fraction} is outside [0, 1]")
        if not math.isfinite(self.angle_degrees):
            raise ValueError(f"angle_degrees = {self.angle_degrees} is not a finite angle")


@dataclass(frozen=True)
class Geometry:
    """Detector, beam and radial binning of one measurement.

    Args:
        beam_center: (y from the bottom edge, x from the left edge), px; it may lie outside the frame.
        distance_mm: sample to the point where the beam hits the detector, along the beam.
        image_size: (rows, columns).
        pixel_um: pitch of the square pixels.
        tilt_degrees: angle between the detector and the plane across the beam, inside (-90, 90).
        tilt_rotation_degrees: rotation of the tilt plane.
        wavelength_angstrom: in Angstrom star.
        oversampling: sub-pixels per axis, 1 to 20.
        pixels_per_bin: width of a radial bin, px (at the edge of the frame; bins are equal in q).
    Raises:
        ValueError: a value is outside its bounds, or the tilted detector reaches behind the sample.
    """

    beam_center: tuple[float, float]
    distance_mm: float
    image_size: tuple[int, int] = (1043, 981)
    pixel_um: float = 172.0
    tilt_degrees: float = 0.0
    tilt_rotation_degrees: float = 0.0
    wavelength_angstrom: float = 1.54
    oversampling: int = 3
    pixels_per_bin: float = 1.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not np.all(np.isfinite(getattr(self, field.name))):
                raise ValueError(f"{field.name} = {getattr(self, field.name)} is not finite")
        for name, unit in (
            ("distance_mm", "mm"),
            ("pixel_um", "um"),
            ("wavelength_angstrom", "Angstrom"),
            ("pixels_per_bin", "px"),
        ):
            if getattr(self, name) <= 0.0:
                raise ValueError(f"{name} = {getattr(self, name)} {unit} is not > 0")
        rows, columns = self.image_size
        if min(rows, columns) < 1 or rows * columns > MAX_PIXELS:
            raise ValueError(f"image_size = {rows} x {columns} px is outside 1 to {MAX_PIXELS} px")
        if not 1 <= self.oversampling <= MAX_OVERSAMPLING:
            raise ValueError(f"oversampling = {self.oversampling} is outside [1, {MAX_OVERSAMPLING}]")
        if not -90.0 < self.tilt_degrees < 90.0:
            raise ValueError(f"tilt_degrees = {self.tilt_degrees} degrees is outside (-90, 90)")
        tilt_x, tilt_y = self._tilt
        along_beam = [self.distance_mm + tilt_x * x - tilt_y * y for x, y in self._corners(edge_px=0.0)]
        if min(along_beam) <= 0.0:
            raise ValueError(
                f"tilt_degrees = {self.tilt_degrees} degrees at distance_mm = {self.distance_mm} mm puts a corner of "
                f"the detector {-min(along_beam):.1f} mm behind the sample"
            )
        if not (math.isfinite(self._q_max) and self._q_max > 0.0):
            raise ValueError(f"distance_mm = {self.distance_mm} mm gives no range of q over the frame")
        if self._radius_px / self.pixels_per_bin >= MAX_BINS:
            raise ValueError(
                f"pixels_per_bin = {self.pixels_per_bin} px gives more than {MAX_BINS} bins over "
                f"a radius of {self._radius_px:.0f} px"
            )

    @property
    def bins(self) -> int:
        """How many radial bins there are, from q = 0 to the farthest sub-pixel."""
        return int(self._q_max * self.bins_per_q) + 1

    @cached_property
    def bins_per_q(self) -> float:
        """Radial bins per nm^-1: the largest radius holds one bin per `pixels_per_bin`."""
        return self._radius_px / (self.pixels_per_bin * self._q_max)

    def q(self) -> NDArray[np.float64]:
        """The centres of the radial bins, (bins,), nm^-1."""
        return (np.arange(self.bins, dtype=np.float64) + 0.5) / self.bins_per_q

    @property
    def _tilt(self) -> tuple[float, float]:
        """Distance along the beam gained per mm of x and lost per mm of y on the detector."""
        rotation = math.radians(self.tilt_rotation_degrees)
        sine = math.sin(math.radians(self.tilt_degrees))
        return sine * math.cos(rotation), sine * math.sin(rotation)

    @property
    def _origin(self) -> tuple[float, float]:
        """(row, column) where the beam hits, px from the top left corner."""
        return self.image_size[0] - self.beam_center[0], self.beam_center[1]

    @property
    def _q_factor(self) -> float:
        return 4.0 * math.pi / (self.wavelength_angstrom * ANGSTROM_STAR_NM)

    def _corners(self, edge_px: float) -> list[tuple[float, float]]:
        """(x, y) of the four corners of the frame moved inwards by `edge_px`, mm."""
        row, column = self._origin
        pixel_mm = self.pixel_um / 1000.0
        return [
            ((x - column) * pixel_mm, (y - row) * pixel_mm)
            for y in (edge_px, self.image_size[0] - edge_px)
            for x in (edge_px, self.image_size[1] - edge_px)
        ]

    @cached_property
    def _radius_px(self) -> float:
        """The farthest sub-pixel: always one in a corner."""
        corners = self._corners(edge_px=0.5 / self.oversampling)
        return max(math.hypot(x, y) for x, y in corners) / (self.pixel_um / 1000.0)

    @cached_property
    def _q_max(self) -> float:
        """The largest q of a sub-pixel: in a corner too, as rings of equal q are convex in front of the sample."""
        corners = self._corners(edge_px=0.5 / self.oversampling)
        return max(_q(x, y, self.distance_mm, *self._tilt, self._q_factor) for x, y in corners)


def q_map(geometry: Geometry) -> NDArray[np.float64]:
    """The scattering vector at the centre of every pixel, (rows, columns), nm^-1."""
    return _sub_pixel_q(*plane_numbers(geometry), 1)


def bin_labels(geometry: Geometry) -> NDArray[np.int32]:
    """The radial bin of every sub-pixel, (rows * oversampling, columns * oversampling), 0 to bins - 1."""
    q = _sub_pixel_q(*plane_numbers(geometry), geometry.oversampling)
    return np.minimum(q * geometry.bins_per_q, geometry.bins - 1).astype(np.int32)


def polarization_map(geometry: Geometry, polarization: Polarization) -> NDArray[np.float64]:
    """What a polarized beam scatters into each pixel, relative to an unpolarized one's forward direction.

    Args:
        polarization: fraction and plane of the polarization.
    Returns:
        The factor at each pixel centre, (rows, columns), no unit, 0 to 1; intensities are divided by it.
    """
    row, column = geometry._origin
    rows, columns = geometry.image_size
    pixel_mm = geometry.pixel_um / 1000.0
    x = (np.arange(columns) + 0.5 - column)[np.newaxis, :] * pixel_mm
    y = (np.arange(rows) + 0.5 - row)[:, np.newaxis] * pixel_mm
    tilt_x, tilt_y = geometry._tilt
    along = tilt_x * x - tilt_y * y
    radius_squared = x * x + y * y
    across_squared = radius_squared - along * along
    sine_squared = across_squared / (across_squared + (geometry.distance_mm + along) ** 2)
    plane = math.radians(polarization.angle_degrees - 90.0)
    out_of_plane = (y * math.cos(plane) - x * math.sin(plane)) ** 2
    # At the beam itself the azimuth has no meaning, and the scattering angle is 0: the factor is 1.
    out_of_plane = np.divide(out_of_plane, radius_squared, out=np.zeros_like(along), where=radius_squared > 0.0)
    fraction = polarization.fraction
    loss = fraction * out_of_plane + (1.0 - fraction) * (1.0 - out_of_plane)
    factor: NDArray[np.float64] = 1.0 - sine_squared * loss
    return factor


def pixel_bins(
    geometry: Geometry, valid: NDArray[np.bool_], layer: int = 0
) -> tuple[NDArray[np.int32], NDArray[np.uint64], NDArray[np.int64], int]:
    """How the sub-pixels of every valid pixel fall into radial bins.

    Args:
        valid: the pixels that count, (rows, columns).
        layer: which group of `LANES` bins of each pixel: a pixel that spans more has entries in the next layers.
    Returns:
        first: the lowest bin of each valid pixel's group in pixel order, (valid,).
        shares: its sub-pixels in the bins first to first + 3, 16 bits each from the lowest up, (valid,); 0 for none.
        counts: all sub-pixels of valid pixels per bin, (bins,).
        span: the largest number of bins that a pixel spans.
    """
    return _pixel_bins(
        *plane_numbers(geometry), geometry.oversampling, geometry.bins_per_q, geometry.bins, valid, layer
    )


def plane_numbers(geometry: Geometry) -> tuple[int, int, float, float, float, float, float, float, float]:
    """The numbers of a geometry as the compiled loops take them: px, then mm, then nm^-1."""
    return (
        *geometry.image_size,
        *geometry._origin,
        geometry.pixel_um / 1000.0,
        geometry.distance_mm,
        *geometry._tilt,
        geometry._q_factor,
    )


# All compiled functions that call each other stand in one file: numba's cache on disk sees changes of that file only.


@njit(cache=True, nogil=True)
def _q(x: float, y: float, distance: float, tilt_x: float, tilt_y: float, q_factor: float) -> float:
    """q of a point of the detector plane (mm), without angles, so nothing cancels near the beam.

    With u = sin(tilt) (x cos(rot) - y sin(rot)) and e = d + u the way from the sample is l^2 = r^2 - u^2 + e^2 and
    cos(2 theta) = e / l, hence sin^2(theta) = (l - e) / 2l = (r^2 - u^2) / (2l (l + e)).
    """
    u = tilt_x * x - tilt_y * y
    e = distance + u
    across_squared = max(x * x + y * y - u * u, 0.0)
    way = math.sqrt(across_squared + e * e)
    return q_factor * math.sqrt(across_squared / (2.0 * way * (way + e)))


@njit(cache=True, nogil=True)
def _sub_pixel_q(
    rows: int,
    columns: int,
    row: float,
    column: float,
    pixel_mm: float,
    distance: float,
    tilt_x: float,
    tilt_y: float,
    q_factor: float,
    oversampling: int,
) -> NDArray[np.float64]:
    q = np.empty((rows * oversampling, columns * oversampling))
    for i in range(rows * oversampling):
        y = ((i + 0.5) / oversampling - row) * pixel_mm
        for j in range(columns * oversampling):
            x = ((j + 0.5) / oversampling - column) * pixel_mm
            q[i, j] = _q(x, y, distance, tilt_x, tilt_y, q_factor)
    return q


@njit(cache=True, nogil=True)
def _pixel_bins(
    rows: int,
    columns: int,
    row: float,
    column: float,
    pixel_mm: float,
    distance: float,
    tilt_x: float,
    tilt_y: float,
    q_factor: float,
    oversampling: int,
    bins_per_q: float,
    bins: int,
    valid: NDArray[np.bool_],
    layer: int,
) -> tuple[NDArray[np.int32], NDArray[np.uint64], NDArray[np.int64], int]:
    total = valid.sum()
    first = np.zeros(total, np.int32)
    shares = np.zeros(total, np.uint64)
    counts = np.zeros(bins, np.int64)
    labels = np.empty(oversampling * oversampling, np.int64)
    widest = 0
    k = 0
    for i in range(rows):
        for j in range(columns):
            if not valid[i, j]:
                continue
            n = 0
            for a in range(oversampling):
                y = ((i * oversampling + a + 0.5) / oversampling - row) * pixel_mm
                for b in range(oversampling):
                    x = ((j * oversampling + b + 0.5) / oversampling - column) * pixel_mm
                    labels[n] = min(int(_q(x, y, distance, tilt_x, tilt_y, q_factor) * bins_per_q), bins - 1)
                    n += 1
            lowest = labels.min()
            widest = max(widest, labels.max() - lowest + 1)
            start = lowest + LANES * layer
            share = np.uint64(0)
            for label in labels:
                counts[label] += 1
                if 0 <= label - start < LANES:
                    share += np.uint64(1) << np.uint64(16 * (label - start))
            if share != 0:
                first[k] = start
                shares[k] = share
            k += 1
    return first, shares, counts, widest
