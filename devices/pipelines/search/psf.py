"""Point-spread functions: what an image shows of a point source."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from devices.pipelines.search.band import Band


def gaussian_psf(band: Band, size: int, fwhm_px: float = 3.0) -> NDArray[np.float32]:
    """The beam of an array whose baselines are Gaussian in the uv plane; it widens with the wavelength.

    Args:
        size: of the images, pixels; the source is at ``size // 2``.
        fwhm_px: full width at half maximum at the highest frequency, pixels.
    Returns:
        Axes (channel, y, x), 1 at the source.
    """
    frequencies = np.asarray(band.frequencies_mhz)
    sigma = fwhm_px / 2.354820 * frequencies.max() / frequencies
    offset = np.arange(size) - size // 2
    line = np.exp(-0.5 * (offset / sigma[:, None]) ** 2)
    return np.asarray(line[:, :, None] * line[:, None, :], np.float32)


def unit_energy(psf: NDArray[np.floating], channels: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """A point-spread function as a matched filter: the noise of white pixels is the same before and after.

    Args:
        psf: axes (channel, y, x), or (y, x) for all channels; the source is at ``size // 2``.
        channels: of the band.
    Returns:
        The function with the sum of squares 1, axes (channel, y, x), and the square root of the sum before: how much
        a source gains; axis: channel.
    Raises:
        ValueError: another number of channels; not finite; 0 everywhere in a channel.
    """
    psf = np.asarray(psf, np.float64)
    psf = np.broadcast_to(psf, (channels, *psf.shape)) if psf.ndim == 2 else psf
    if psf.ndim != 3 or len(psf) != channels:
        raise ValueError(f"psf: shape {psf.shape}, not ({channels}, y, x) or (y, x)")
    gain = np.sqrt(np.sum(psf**2, axis=(1, 2)))
    if not np.isfinite(gain).all() or (gain == 0.0).any():
        raise ValueError("psf: each channel needs finite numbers that are not all 0")
    return np.asarray(psf / gain[:, None, None], np.float32), gain


def cropped(psf: NDArray[np.floating], energy: float) -> NDArray[np.floating]:
    """The smallest square about the source that has this part of the energy in every channel; axes as given."""
    if energy >= 1.0:
        return psf
    middle_y, middle_x = (length // 2 for length in psf.shape[-2:])
    squares = np.asarray(psf, np.float64) ** 2
    wanted = energy * squares.sum(axis=(-2, -1))
    for half in range(max(psf.shape[-2:])):
        rows = slice(max(0, middle_y - half), middle_y + half + 1)
        columns = slice(max(0, middle_x - half), middle_x + half + 1)
        if (squares[..., rows, columns].sum(axis=(-2, -1)) >= wanted).all():
            # The source stays at ``size // 2`` where the function ends on one side before it does on the other.
            same_y, same_x = middle_y - rows.start, middle_x - columns.start
            part = psf[..., rows, columns]
            if part.shape[-2] // 2 == same_y and part.shape[-1] // 2 == same_x:
                return part
    return psf


def extent_px(psf: NDArray[np.float32]) -> int:
    """Width of what is above a quarter of the peak, in any channel and direction, pixels; an odd number."""
    above = np.abs(psf).max(axis=0) > 0.25 * np.abs(psf).max()
    middle = np.array(above.shape) // 2
    return 1 + 2 * int(np.abs(np.argwhere(above) - middle).max())
