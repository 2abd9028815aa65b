"""Stars in a frame: where they are, how bright, how wide, how round."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

#: FWHM of a Gaussian of sigma 1.
FWHM = 2.0 * math.sqrt(2.0 * math.log(2.0))


@dataclass(frozen=True)
class Star:
    """A star.

    Attributes:
        x, y: centre, pixels from 0.0, the centre of the first one.
        flux: adu above the background.
        peak: of its pixels, adu above the background.
        fwhm: mean of both axes, pixels.
        ellipticity: 1 - minor / major axis.
        angle_degrees: of the major axis, from x to y, -90 to 90.
        is_saturated: it has pixels at the limit; its numbers are worth little.
    """

    x: float
    y: float
    flux: float
    peak: float
    fwhm: float
    ellipticity: float
    angle_degrees: float
    is_saturated: bool


def background(frame: NDArray[Any], clip_sigmas: float = 3.0, most_rounds: int = 8) -> tuple[float, float]:
    """Level and noise of the sky, adu, by clipping what is far off."""
    values = np.asarray(frame, np.float32).reshape(-1)
    # A hundred thousand pixels tell the level to some thousandths of the noise.
    values = values[:: max(values.size // 100_000, 1)]
    for _ in range(most_rounds):
        level = float(np.median(values))
        sigma = 1.4826 * float(np.median(np.abs(values - level)))
        kept = values[np.abs(values - level) <= clip_sigmas * max(sigma, 1e-6)]
        if kept.size == values.size or not kept.size:
            break
        values = kept
    return float(np.median(values)), max(float(values.std(dtype=np.float64)), 1e-6)


def find_stars(
    frame: NDArray[Any],
    threshold_sigmas: float = 5.0,
    most: int = 200,
    least_pixels: int = 5,
    radius: int = 12,
    saturation_adu: float = 65535.0,
) -> list[Star]:
    """The stars of a frame, the brightest first; each fitted by a Gaussian.

    Cosmic rays and hot pixels are left away: they are sharper than any star, or smaller than `least_pixels`.

    Args:
        frame: (rows, columns), adu; bias need not be subtracted.
        threshold_sigmas: pixels above it, in a slightly smoothed frame, belong to a star.
        most: stars, by brightness; four times as many things are looked at.
        least_pixels: of a star above the threshold.
        radius: of the box around a star that is fitted, pixels.
        saturation_adu: where pixels saturate.

    Raises:
        ValueError: no frame of at least 8 x 8 pixels; a threshold that is not > 0.
    """
    if frame.ndim != 2 or min(frame.shape) < 8:
        raise ValueError(f"a frame of the shape {frame.shape} is not (rows, columns) of >= 8 x 8 px")
    if not threshold_sigmas > 0.0:
        raise ValueError(f"threshold_sigmas = {threshold_sigmas} is not > 0")
    level, noise = background(frame)
    sky = np.asarray(frame, np.float32) - np.float32(level)
    smooth = ndimage.gaussian_filter(sky, 1.0)
    # Noise that was smoothed by a Gaussian of sigma 1 px is smaller by 2 sqrt(pi).
    limit = threshold_sigmas * noise / (2.0 * math.sqrt(math.pi))
    labels, count = ndimage.label(smooth > limit)
    boxes = ndimage.find_objects(labels)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sums = np.bincount(labels.ravel(), weights=sky.ravel(), minlength=count + 1)
    order = [int(label) for label in np.argsort(sums[1:])[::-1] + 1 if sizes[label] >= least_pixels]
    tried = (
        _star(frame, sky, labels, label, boxes[label - 1], radius, saturation_adu, noise) for label in order[: 4 * most]
    )
    return sorted(islice((star for star in tried if star is not None), most), key=lambda star: -star.flux)


def _star(
    frame: NDArray[Any],
    sky: NDArray[np.float32],
    labels: NDArray[Any],
    label: int,
    box: tuple[slice, slice],
    radius: int,
    saturation_adu: float,
    noise: float,
) -> Star | None:
    inside = labels[box] == label
    pixels = np.where(inside, sky[box], -np.inf)
    row, column = np.unravel_index(int(pixels.argmax()), pixels.shape)
    row, column = int(row) + box[0].start, int(column) + box[1].start
    top, left = max(row - radius, 0), max(column - radius, 0)
    part = slice(top, row + radius + 1), slice(left, column + radius + 1)
    # Pixels of neighbours do not count.
    mine = (labels[part] == label) | (labels[part] == 0)
    cut = sky[part].astype(np.float64)
    y, x = np.mgrid[part[0].start : part[0].start + cut.shape[0], part[1].start : part[1].start + cut.shape[1]]
    peak = float(cut[row - top, column - left])
    is_saturated = bool((frame[box][inside] >= saturation_adu).any())
    begin = (peak, float(column), float(row), 1.5, 1.5, 0.0, 0.0)
    mx, my, mz = x[mine].astype(np.float64), y[mine].astype(np.float64), cut[mine]

    def off(values: NDArray[np.float64]) -> NDArray[np.float64]:
        difference: NDArray[np.float64] = _gaussian(values, mx, my) - mz
        return difference

    size = float(radius)
    fit = optimize.least_squares(
        off,
        begin,
        bounds=(
            (0.0, column - 3.0, row - 3.0, 0.1, 0.1, -np.inf, -np.inf),
            (np.inf, column + 3.0, row + 3.0, size, size, np.inf, np.inf),
        ),
        x_scale=(max(peak, 1.0), 1.0, 1.0, 1.0, 1.0, 1.0, max(noise, 1.0)),
        max_nfev=60,
    )
    height, cx, cy, sx, sy, shear, _ = fit.x
    inverse = np.array([[1.0 / sx**2, shear], [shear, 1.0 / sy**2]])
    values, vectors = np.linalg.eigh(inverse)
    if height <= 0.0 or values[0] <= 0.0:
        return None
    major, minor = 1.0 / math.sqrt(values[0]), 1.0 / math.sqrt(values[1])
    # Nothing that came through an atmosphere and optics is narrower than this; cosmic rays and hot pixels are.
    if FWHM * minor < 1.0 or major >= size:
        return None
    angle = math.degrees(math.atan2(vectors[1, 0], vectors[0, 0]))
    return Star(
        x=float(cx),
        y=float(cy),
        flux=2.0 * math.pi * float(height) * major * minor,
        peak=peak,
        fwhm=FWHM * math.sqrt(major * minor),
        ellipticity=1.0 - minor / major,
        angle_degrees=(angle + 90.0) % 180.0 - 90.0,
        is_saturated=is_saturated,
    )


def _gaussian(values: Any, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    height, cx, cy, sx, sy, shear, level = values
    dx, dy = x - cx, y - cy
    shape: NDArray[np.float64] = (
        height * np.exp(np.minimum(-0.5 * (dx * dx / sx**2 + dy * dy / sy**2) - shear * dx * dy, 50.0)) + level
    )
    return shape
