"""The sky moves over the pixels between gulps; older images follow it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.search.padding import quick_length

#: Images are continued by their edges, so that the transform does not join opposite ones, pixels.
MARGIN = 16
#: Lines that are transformed together: they stay in a processor's cache.
LINES = 128

Shift = tuple[float, float]


def shifted(images: NDArray[np.float32], shift_px: Shift, fill: float = 0.0) -> NDArray[np.float32]:
    """Move images by fractions of pixels, by phases of their Fourier transform: noise stays white.

    Args:
        images: axes (..., y, x), finite.
        shift_px: (y, x): what was at x is at x + shift.
        fill: for pixels that were outside of the image.
    """
    for axis, shift in ((-2, shift_px[0]), (-1, shift_px[1])):
        images = _along(images, shift, axis, fill)
    return images


def interpolated(maps: NDArray[np.float32], shift_px: Shift, fill: float) -> NDArray[np.float32]:
    """Move smooth maps, which may have NaN, between their pixels; arguments as those of `shifted`."""
    for axis, shift in ((-2, shift_px[0]), (-1, shift_px[1])):
        whole = math.floor(shift)
        part = np.float32(shift - whole)
        near = _along(maps, whole, axis, fill)
        maps = near if not part else (1 - part) * near + part * _along(maps, whole + 1, axis, fill)
    return maps


def _along(images: NDArray[np.float32], shift: float, axis: int, fill: float) -> NDArray[np.float32]:
    size = images.shape[axis]
    if not shift:
        return images
    moved = np.full_like(images, fill)
    whole = math.ceil(abs(shift))
    if whole >= size:
        return moved
    lines, out = np.moveaxis(images, axis, -1), np.moveaxis(moved, axis, -1)
    keep = slice(whole, None) if shift > 0 else slice(None, size - whole)
    if shift == round(shift):
        source = slice(None, size - whole) if shift > 0 else slice(whole, None)
        out[..., keep] = lines[..., source]
        return moved
    flat = np.ascontiguousarray(lines).reshape(-1, size)
    result = np.empty_like(flat)
    turn = _Turn(size, shift)
    for first in range(0, len(flat), LINES):
        turn(flat[first : first + LINES], result[first : first + LINES])
    out[..., keep] = result.reshape(lines.shape)[..., keep]
    return moved


class _Turn:
    """Multiplies the transforms of lines, continued by their ends, by a phase."""

    def __init__(self, size: int, shift: float) -> None:
        # Its transforms take half the time of scipy's; it takes seconds to import, and few need it.
        import torch

        self._length = quick_length(size + 2 * (MARGIN + math.ceil(abs(shift))))
        self._margin, self._fft = (self._length - size) // 2, torch.fft
        phase = torch.exp(-2j * math.pi * torch.fft.rfftfreq(self._length, dtype=torch.float64) * shift)
        phase[-1] = math.cos(math.pi * shift)
        self._phase = phase.to(torch.complex64)
        self._lines = torch.zeros((LINES, self._length))
        self._spectra = torch.zeros((LINES, len(phase)), dtype=torch.complex64)

    def __call__(self, lines: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        count, size = lines.shape
        continued, spectra = self._lines[:count], self._spectra[:count]
        values = continued.numpy()
        inner = slice(self._margin, self._margin + size)
        values[:, inner] = lines
        values[:, : inner.start], values[:, inner.stop :] = lines[:, :1], lines[:, -1:]
        self._fft.rfft(continued, out=spectra)
        spectra.mul_(self._phase)
        self._fft.irfft(spectra, self._length, out=continued)
        out[:] = values[:, inner]
