"""What an image looks like at once: levels, noise and saturation of each amplifier, and the stars."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.ccd.deinterlace import assemble_rows, assembled_shape, trimmed
from devices.pipelines.ccd.detector import Geometry
from devices.pipelines.ccd.overscan import bias_levels, bias_region
from devices.pipelines.ccd.photon_transfer import photon_transfer
from devices.pipelines.ccd.stars import Star, find_stars
from devices.pipelines.ccd.statistics import Statistics, statistics

#: Pixels of an amplifier that its statistics are made of, evenly spread: good to some thousandths of the noise.
SAMPLE: Final = 100_000
#: Stars are looked for in squares of such an edge, px, so that large images need little memory; each has its own sky.
TILE: Final = 1024
#: Neighbouring squares share so much, px: a star's box.
MARGIN: Final = 16
MOST_STARS: Final = 200
#: Rows that are compared at once.
BAND: Final = 128
#: Edge of the part of each amplifier from which gain and read noise are taken, px.
SAMPLE_EDGE: Final = 256

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Levels:
    """Of each amplifier of an image; adu without the bias level, where overscan or underscan was read.

    Attributes:
        amp_bias, amp_noise: median and standard deviation of the overscan, adu; NaN where there is none.
        amp_mean, amp_median, amp_sigma: of the data, without what is far off, adu.
        amp_minimum, amp_maximum: of the data, adu.
        amp_saturated: pixels of the data at or above the limit. saturated_pixels: of all amplifiers.
    """

    amp_bias: Floats
    amp_noise: Floats
    amp_mean: Floats
    amp_median: Floats
    amp_sigma: Floats
    amp_minimum: Floats
    amp_maximum: Floats
    amp_saturated: NDArray[np.int64]
    saturated_pixels: int


def levels(amps: NDArray[Any], geometry: Geometry, saturation_adu: float = 65535.0) -> Levels:
    """Levels, noise and saturation of each amplifier, (amp, y, x) in the order of reading, adu."""
    bias, noise = _bias(amps, geometry)
    taken = np.nan_to_num(bias)
    data = trimmed(amps, geometry)
    step = max(1, math.isqrt(data[0].size // SAMPLE))
    found = [statistics(image[::step, ::step], saturation_adu) for image in data]
    saturated = np.array([_saturated(image, saturation_adu) for image in data], np.int64)
    return Levels(
        amp_bias=bias,
        amp_noise=noise,
        amp_mean=_each(found, "mean") - taken,
        amp_median=_each(found, "median") - taken,
        amp_sigma=_each(found, "sigma"),
        amp_minimum=data.min(axis=(1, 2)) - taken,
        amp_maximum=data.max(axis=(1, 2)) - taken,
        amp_saturated=saturated,
        saturated_pixels=int(saturated.sum()),
    )


@dataclass(frozen=True, eq=False)
class StarField:
    """The stars of an image; positions on the picture of all amplifiers, px from 1.0; the brightest star first.

    Attributes:
        stars: that were measured: of each square of 1024 px the brightest.
        star_flux, star_peak: adu above the sky. star_fwhm: px.
        fwhm, ellipticity: medians of the stars that are not saturated; NaN: there are none.
    """

    stars: int
    star_x: Floats
    star_y: Floats
    star_flux: Floats
    star_peak: Floats
    star_fwhm: Floats
    star_ellipticity: Floats
    fwhm: float
    ellipticity: float


def star_field(
    amps: NDArray[Any],
    geometry: Geometry,
    amp_bias: Floats,
    saturation_adu: float = 65535.0,
    gains: tuple[float, ...] = (),
) -> StarField:
    """The stars of all amplifiers together.

    Args:
        amps: (amp, y, x) in the order of reading, adu.
        amp_bias: adu; NaN counts as 0.
        gains: e-/adu; with them adu are those of the mean gain, and a star on the border of two amplifiers is one.
            Empty: all are alike.
    """
    stars = sorted(
        _stars(_Field(amps, geometry, np.nan_to_num(amp_bias), saturation_adu, gains)), key=lambda star: -star.flux
    )
    stars = stars[:MOST_STARS]
    good = [star for star in stars if not star.is_saturated]
    return StarField(
        stars=len(stars),
        star_x=_each(stars, "x") + 1.0,
        star_y=_each(stars, "y") + 1.0,
        star_flux=_each(stars, "flux"),
        star_peak=_each(stars, "peak"),
        star_fwhm=_each(stars, "fwhm"),
        star_ellipticity=_each(stars, "ellipticity"),
        fwhm=float(np.median(_each(good, "fwhm"))) if good else math.nan,
        ellipticity=float(np.median(_each(good, "ellipticity"))) if good else math.nan,
    )


@dataclass(frozen=True, eq=False)
class Transfer:
    """Of each amplifier; NaN where it cannot be told.

    Attributes:
        amp_gain: e-/adu. amp_read_noise: e-. amp_signal: of the flats, adu.
    """

    amp_gain: Floats
    amp_read_noise: Floats
    amp_signal: Floats


def sample(amps: NDArray[Any], geometry: Geometry) -> NDArray[np.float32]:
    """The middle of each amplifier without its bias level, (amp, row, column), adu: what gain and noise need."""
    data = trimmed(amps, geometry)
    rows, columns = (_middle(size) for size in data.shape[1:])
    level = np.nan_to_num(_bias(amps, geometry)[0]).astype(np.float32)
    middle: NDArray[np.float32] = np.subtract(data[:, rows, columns], level[:, None, None], dtype=np.float32)
    return middle


def _middle(size: int) -> slice:
    edge = min(size, SAMPLE_EDGE)
    return slice((size - edge) // 2, (size + edge) // 2)


def transfer(flats: tuple[NDArray[Any], NDArray[Any]], biases: tuple[NDArray[Any], NDArray[Any]]) -> Transfer:
    """Gain and read noise of each amplifier from samples, (amp, row, column), adu, of two flats and two biases."""
    rows = []
    for amp in range(flats[0].shape[0]):
        try:
            found = photon_transfer((flats[0][amp], flats[1][amp]), (biases[0][amp], biases[1][amp]))
        except ValueError:
            # No light, or too few pixels: the other amplifiers may have a gain all the same.
            rows.append((math.nan, math.nan, math.nan))
        else:
            rows.append((found.gain, found.read_noise, found.signal))
    return Transfer(*np.array(rows, np.float64).T)


def _saturated(image: NDArray[Any], saturation_adu: float) -> int:
    """Some rows at once, as the answers for all pixels need half as much memory as these."""
    bands = (image[first : first + BAND] for first in range(0, len(image), BAND))
    return sum(int(np.count_nonzero(band >= saturation_adu)) for band in bands)


def _bias(amps: NDArray[Any], geometry: Geometry) -> tuple[Floats, Floats]:
    if not (geometry.columns.overscan or geometry.columns.underscan):
        nothing = np.full(geometry.amps, np.nan)
        return nothing, nothing
    region = bias_region(amps, geometry)
    return bias_levels(amps, geometry)[:, 0], _each([statistics(each) for each in region], "sigma")


def _each(found: list[Statistics] | list[Star], name: str) -> Floats:
    return np.array([getattr(each, name) for each in found], np.float64)


def _stars(field: _Field) -> Iterator[Star]:
    """Of each square, positions on the whole picture from 0.0; each star once."""
    rows, columns = assembled_shape(field.geometry)
    most = max(4, MOST_STARS // (-(-rows // TILE) * -(-columns // TILE)))
    for row in range(0, rows, TILE):
        top, bottom = max(row - MARGIN, 0), min(row + TILE + MARGIN, rows)
        band = field.band(top, bottom)
        for column in range(0, columns, TILE):
            left, right = max(column - MARGIN, 0), min(column + TILE + MARGIN, columns)
            square = band[:, left:right]
            if min(square.shape) < 8:
                continue
            for star in find_stars(square, most=most, saturation_adu=field.full):
                x, y = star.x + left, star.y + top
                if column - 0.5 <= x < column + TILE - 0.5 and row - 0.5 <= y < row + TILE - 0.5:
                    yield replace(star, x=x, y=y)


class _Field:
    """The picture of all amplifiers, brought to one bias level and one gain, a few rows at a time."""

    def __init__(
        self, amps: NDArray[Any], geometry: Geometry, bias: Floats, saturation_adu: float, gains: tuple[float, ...]
    ) -> None:
        self.geometry = geometry
        self._amps, self._bias, self._saturation = amps, bias, saturation_adu
        self._gains = np.array(gains) / np.mean(gains) if gains else np.ones(geometry.amps)
        #: What a saturated pixel has, and no other one.
        self.full = float(((saturation_adu - bias) * self._gains).max())

    def band(self, top: int, bottom: int) -> NDArray[np.float32]:
        """Some rows of the picture, adu."""
        geometry = self.geometry
        band = np.empty((bottom - top, assembled_shape(geometry)[1]), np.float32)
        assemble_rows(self._amps, geometry, True, top, band)
        rows, columns = geometry.rows.data, geometry.columns.data
        for amp in range(geometry.amps):
            x, y = geometry.focal_plane.position(amp)
            begin, end = max(y * rows - top, 0), max((y + 1) * rows - top, 0)
            part = band[begin:end, x * columns : (x + 1) * columns]
            saturated = part >= self._saturation
            part -= np.float32(self._bias[amp])
            part *= np.float32(self._gains[amp])
            part[saturated] = self.full
        return band
