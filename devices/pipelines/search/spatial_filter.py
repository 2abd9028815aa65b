"""The spatial matched filter: every image is correlated with the point-spread function of its channel."""

from __future__ import annotations

import itertools
from typing import Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from devices.pipelines.search.padding import padded_length, padded_psf


class Correlate(Protocol):
    """Correlates images with the function of a channel; what lies outside of an image is 0."""

    def __call__(self, images: NDArray[np.float32], channel: int) -> NDArray[np.float32]:
        """Axes (sample, y, x), in and out."""
        ...


class FourierCorrelation:
    """By Fourier transforms, padded so that nothing wraps round; it may be called in several threads at once.

    Args:
        psf: axes (channel, y, x).
        size: of the images, (y, x).
    """

    def __init__(self, psf: NDArray[np.float32], size: tuple[int, int]) -> None:
        # Its transforms take two thirds of the time of scipy's; it takes seconds to import.
        import torch

        self._torch = torch
        self._size = size
        self._padded = (padded_length(size[0], psf.shape[1]), padded_length(size[1], psf.shape[2]))
        planes = (torch.from_numpy(padded_psf(plane, self._padded)) for plane in psf)
        self._spectra = [torch.fft.fft2(plane).conj().resolve_conj() for plane in planes]

    def __call__(self, images: NDArray[np.float32], channel: int) -> NDArray[np.float32]:
        fft, rows, columns = self._torch.fft, *self._size
        out = np.empty_like(images)
        # Two images are the real and the imaginary part of one, which the function, being real, leaves apart.
        both = self._torch.zeros(self._padded, dtype=self._torch.complex64)
        spectrum = self._torch.empty_like(both)
        values = both.numpy()
        inside = values[:rows, :columns]
        for first in range(0, len(images), 2):
            pair = images[first : first + 2]
            values[rows:], values[:rows, columns:] = 0.0, 0.0
            inside.real, inside.imag = pair[0], pair[-1]
            fft.fft2(both, out=spectrum)
            spectrum.mul_(self._spectra[channel])
            fft.ifft2(spectrum, out=both)
            out[first] = inside.real
            if len(pair) == 2:
                out[first + 1] = inside.imag
        return out


class DirectCorrelation:
    """By its definition.

    Args:
        psf: axes (channel, y, x).
    """

    def __init__(self, psf: NDArray[np.float32]) -> None:
        self._psf = np.ascontiguousarray(psf)

    def __call__(self, images: NDArray[np.float32], channel: int) -> NDArray[np.float32]:
        out = np.zeros_like(images)
        for image, correlated in zip(images, out, strict=True):
            _correlate(np.ascontiguousarray(image), self._psf[channel], correlated)
        return out


@njit(cache=True, nogil=True)
def _correlate(image, psf, out):  # type: ignore[no-untyped-def]
    rows, columns = image.shape
    for j in range(psf.shape[0]):
        dy = j - psf.shape[0] // 2
        for i in range(psf.shape[1]):
            dx = i - psf.shape[1] // 2
            weight = psf[j, i]
            for y in range(max(0, -dy), min(rows, rows - dy)):
                for x in range(max(0, -dx), min(columns, columns - dx)):
                    out[y, x] += weight * image[y + dy, x + dx]


class SpatialFilter:
    """Correlation, divided by what the edges of the image leave of the function: white noise is the same everywhere.

    Args:
        psf: of unit energy; axes (channel, y, x).
        size: of the images, (y, x).
        use_fft: by Fourier transforms.
    """

    def __init__(self, psf: NDArray[np.float32], size: tuple[int, int], use_fft: bool = True) -> None:
        self._correlate: Correlate = FourierCorrelation(psf, size) if use_fft else DirectCorrelation(psf)
        self.scale = edge_scale(psf, size)

    def __call__(self, images: NDArray[np.float32], channel: int) -> NDArray[np.float32]:
        """Filter images of a channel; axes (sample, y, x)."""
        out = self._correlate(images, channel)
        out *= self.scale[channel]
        return out


def edge_scale(psf: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """One over the root of the function's energy that is inside of the image; axes (channel, y, x)."""
    # A sum over a rectangle of the function, whose corners move with the pixel: from a table of sums.
    (channels, height, width), (rows, columns) = psf.shape, size
    sums = np.zeros((channels, height + 1, width + 1))
    sums[:, 1:, 1:] = np.cumsum(np.cumsum(np.asarray(psf, np.float64) ** 2, axis=1), axis=2)
    top, bottom = _inside(rows, height)
    left, right = _inside(columns, width)
    energy = np.zeros((channels, rows, columns))
    for (y, sign_y), (x, sign_x) in itertools.product(((bottom, 1), (top, -1)), ((right, 1), (left, -1))):
        energy += sign_y * sign_x * sums[:, y[:, None], x[None, :]]
    return np.asarray(1.0 / np.sqrt(np.maximum(energy, 1e-6)), np.float32)


def _inside(size: int, extent: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For every pixel of a line, which part of a function of ``extent`` pixels, centred on it, is inside."""
    pixel = np.arange(size)
    first = np.clip(extent // 2 - pixel, 0, extent)
    return first, np.clip(size - pixel + extent // 2, 0, extent)
