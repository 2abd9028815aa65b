"""The sky moves over the pixels between gulps; older images follow it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import fft

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
    padded = quick_length(size + 2 * (MARGIN + whole))
    margin = (padded - size) // 2
    phase = np.exp(-2j * np.pi * np.fft.fftfreq(padded) * shift).astype(np.complex64)
    phase[padded // 2] = phase[padded // 2].real
    flat = np.ascontiguousarray(lines).reshape(-1, size)
    result = np.empty_like(flat)
    for first in range(0, len(flat), LINES):
        result[first : first + LINES] = _turned(flat[first : first + LINES], margin, padded, phase)
    out[..., keep] = result.reshape(lines.shape)[..., keep]
    return moved


def _turned(lines: NDArray[np.float32], margin: int, padded: int, phase: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Multiply the transforms of lines, continued by their ends, by a phase."""
    half, size = -(-len(lines) // 2), lines.shape[1]
    # Two lines are the real and the imaginary part of one, which a phase leaves apart.
    both = np.empty((half, padded), np.complex64)
    inner = both[:, margin : margin + size]
    inner.real, inner.imag = lines[:half], lines[-half:]
    both[:, :margin], both[:, margin + size :] = inner[:, :1], inner[:, -1:]
    spectrum = fft.fft(both, axis=1, overwrite_x=True)
    spectrum *= phase
    turned = fft.ifft(spectrum, axis=1, overwrite_x=True)[:, margin : margin + size]
    result = np.empty_like(lines)
    result[:half], result[-half:] = turned.real, turned.imag
    return result
