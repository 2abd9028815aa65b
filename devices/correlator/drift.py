"""Where the pixels of a gulp lie in the sky, and how far the sky moves over them from gulp to gulp."""

from __future__ import annotations

import math

from devices.correlator.gulp import Gulp
from devices.correlator.properties import CorrelatorProperties


class Drift:
    """The pointing of one gulp after the other.

    Attributes:
        sky_px: by how many pixels (y, x) the sky has moved since the first gulp.
    """

    def __init__(self, given: CorrelatorProperties) -> None:
        self._given = given
        self.sky_px = (0.0, 0.0)

    def since(self, gulp: Gulp, follows: bool) -> tuple[float, float]:
        """By how many pixels (y, x) the sky moved since the gulp before."""
        return (0.0, 0.0)

    def sky_of(self, gulp: Gulp, y: int, x: int) -> tuple[float, float]:
        """Right ascension and declination of a pixel, deg, J2000; NaN: the nodes gave no pointing."""
        return (math.nan, math.nan)
