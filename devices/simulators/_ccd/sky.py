"""The light that falls onto the simulated detector."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from devices.simulators._ccd.settings import CameraSettings

ROWS = 64
"""Rows that are made at once, few enough to stay in the processor's cache."""


def make_sky(settings: CameraSettings) -> NDArray[np.float32]:
    """Electrons per second of each pixel, (rows, columns), the same however many amplifiers read them."""
    if settings.scene in ("dark", "test"):
        return np.zeros((settings.rows, settings.columns), np.float32)
    random = np.random.default_rng((settings.seed, 1))
    return _flat(settings, random) if settings.scene == "flat" else _stars(settings, random)


def _flat(settings: CameraSettings, random: np.random.Generator) -> NDArray[np.float32]:
    """An even light with vignetting, and pixels that differ by 1 %."""
    light = np.empty((settings.rows, settings.columns), np.float32)
    y = np.linspace(-1.0, 1.0, settings.rows, dtype=np.float32)[:, np.newaxis]
    x = np.linspace(-1.0, 1.0, settings.columns, dtype=np.float32)
    response = np.float32(1.0) + np.float32(0.01) * random.standard_normal((2 * ROWS, settings.columns), np.float32)
    for first in range(0, settings.rows, ROWS):
        part = light[first : first + ROWS]
        vignetting = np.float32(1) - np.float32(0.05) * (x * x + y[first : first + ROWS] ** 2)
        start = int(random.integers(ROWS))
        np.multiply(vignetting, response[start : start + part.shape[0]], out=part)
        part *= np.float32(settings.flat_e_s)
    return light


def _stars(settings: CameraSettings, random: np.random.Generator) -> NDArray[np.float32]:
    rows, columns = settings.rows, settings.columns
    sky = np.full((rows, columns), settings.sky_e_s, np.float32)
    sigma = settings.fwhm_px / 2.3548
    reach = math.ceil(5 * sigma)
    number = round(settings.stars_per_mpix * rows * columns / 1e6)
    places = zip(
        random.uniform(0, rows, number),
        random.uniform(0, columns, number),
        # Each magnitude fainter has some 2.5 times as many stars.
        2000.0 * random.uniform(1e-3, 1.0, number) ** -1.0,
        strict=True,
    )
    for y, x, flux_e_s in places:
        y0, x0 = max(0, int(y) - reach), max(0, int(x) - reach)
        y1, x1 = min(rows, int(y) + reach + 1), min(columns, int(x) + reach + 1)
        dy = np.exp(-0.5 * ((np.arange(y0, y1) + 0.5 - y) / sigma) ** 2)
        dx = np.exp(-0.5 * ((np.arange(x0, x1) + 0.5 - x) / sigma) ** 2)
        sky[y0:y1, x0:x1] += (flux_e_s / (2 * math.pi * sigma**2) * np.outer(dy, dx)).astype(np.float32)
    return sky
