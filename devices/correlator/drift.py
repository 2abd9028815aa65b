"""Where the pixels of a gulp lie in the sky, and how far the sky moves over them from gulp to gulp."""

from __future__ import annotations

import math

from devices.correlator.gulp import Gulp
from devices.pipelines.sky import SkyGrid, drift_px

SECONDS_PER_DAY = 86400.0
NOWHERE = (math.nan, math.nan)


class Drift:
    """The pointing of one gulp after the other.

    Args:
        size: of images, pixels.
        is_ignored: the sky is taken to stand still.

    Attributes:
        sky_px: by how many pixels (y, x) the sky has moved since the first gulp.
    """

    def __init__(self, size: int, is_ignored: bool) -> None:
        self._size, self._is_ignored = size, is_ignored
        self._before_mjd = math.nan
        self._grid: tuple[float, SkyGrid | None] = (math.nan, None)
        self.sky_px = (0.0, 0.0)

    def since(self, gulp: Gulp) -> tuple[float, float]:
        """By how many pixels (y, x) the sky moved since the gulp before; 0 where the nodes do not say where it is."""
        passed_s = (gulp.mjd - self._before_mjd) * SECONDS_PER_DAY
        self._before_mjd = gulp.mjd
        if self._is_ignored or math.isnan(passed_s) or not _is_pointed(gulp):
            return (0.0, 0.0)
        moved = drift_px(gulp.uv_diag_m, gulp.dec_deg, passed_s)
        self.sky_px = (self.sky_px[0] + moved[0], self.sky_px[1] + moved[1])
        return moved

    def sky_of(self, gulp: Gulp, y: int, x: int) -> tuple[float, float]:
        """Right ascension and declination of a pixel, deg, ICRS; NaN: the nodes gave no pointing."""
        if not _is_pointed(gulp):
            return NOWHERE
        mjd, grid = self._grid
        if grid is None or mjd != gulp.mjd:
            grid = SkyGrid(gulp.mjd, gulp.uv_diag_m, gulp.dec_deg, self._size)
            self._grid = (gulp.mjd, grid)
        return grid.ra_dec_deg(y, x)


def _is_pointed(gulp: Gulp) -> bool:
    return math.isfinite(gulp.uv_diag_m) and math.isfinite(gulp.dec_deg)
