"""Upper and lower edge of pin, fibre and loop, column by column."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from devices.pipelines.loop.sighting import Sighting

#: How far beside pin and loop the edges are looked for, and beside the fibre, pixels.
BESIDE: Final = 6.0
BESIDE_FIBER: Final = 16.0


def edges(picture: Image.Image, seen: Sighting) -> tuple[NDArray[np.float32], float]:
    """Edges (edge, column), pixels, NaN where there is nothing; and the fibre's thickness, pixels, 0 if not seen."""
    found = np.full((2, picture.width), np.nan, np.float32)
    if seen.pin is None and not seen.is_loop:
        return found, 0.0
    end, upper, lower = seen.pin or (0.0, seen.tip[1], seen.tip[1])
    last = int(min(np.ceil(seen.tip[0]) if seen.is_loop else end + 2.0, picture.width))
    columns = np.arange(last)
    left, _, top, bottom = seen.box if seen.is_loop else (end, end, upper, lower)
    middle = np.interp(columns, [end, left], [(upper + lower) / 2, (top + bottom) / 2])
    reach = np.full(last, BESIDE_FIBER)
    reach[: int(end) + 1] = 0.7 * (lower - upper) + BESIDE
    reach[int(left) :] = 0.5 * (bottom - top) + BESIDE
    first = int(max((middle - reach).min() - 2, 0))
    band = picture.crop((0, first, last, int(min((middle + reach).max() + 3, picture.height))))
    grey = np.asarray(band, np.float32)
    rows = np.arange(first, first + grey.shape[0], dtype=np.float32)[:, None] + np.float32(0.5)
    light = _light(grey)
    dark = gaussian_filter(light - grey, (1.0, 1.5), mode="nearest", truncate=3.0)
    dark[np.abs(rows - middle) > reach] = 0.0
    level = 0.5 * dark.max(0)
    noise = 1.4826 * float(np.median(np.abs(np.diff(grey[:2].ravel())))) / 2.0**0.5
    over = dark > level
    some = np.flatnonzero(level > max(1.5 * noise / 4.0, 2.0))
    found[0, some] = first + over.argmax(0)[some]
    found[1, some] = first + len(over) - over[::-1].argmax(0)[some]
    fiber = found[:, int(end) + 5 : max(int(left) - 5, int(end) + 5)]
    widths = fiber[1] - fiber[0]
    widths = widths[np.isfinite(widths)]
    return found, float(np.median(widths)) if len(widths) else 0.0


def _light(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """The light above and below the band, from its first and last rows."""
    above, below = grey[:3].mean(), grey[-3:].mean()
    return np.linspace(above, below, len(grey), dtype=np.float32)[:, None]
