"""What the modules of a Cherenkov telescope see: the light of the night, stars, and flashes of air showers."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

PIXELS: Final = 32
#: Counts of a pixel of the dark sky, per s.
NIGHT_SKY_HZ: Final = 40_000.0
HOT_PIXELS: Final = 3
HOT: Final = 12.0  # times the light of the night
STARS: Final = 14
#: Of the brightest star, counts per s in all its pixels; the others are fainter as stars are: N(>S) ~ S^-1.5.
BRIGHTEST_HZ: Final = 3e6
SPOT_PIXELS: Final = 0.6  # sigma of the image of a star
#: Electronic noise of a pulse height, counts.
NOISE: Final = 9.0
#: Between modules the light of a shower comes up to so much apart, ns.
ARRIVAL_NS: Final = (2, 10)
SHOWERS: Final = 48  # different ones


class NightSky:
    """The sky over some modules; the same seed sees the same sky.

    Args:
        modules: how many.
        turn_deg_per_s: how quickly the field turns; the real one turns by up to 0.004 deg/s.
    """

    def __init__(self, modules: int, seed: int, turn_deg_per_s: float) -> None:
        self.random = np.random.default_rng(seed)
        self._turn = math.radians(turn_deg_per_s)
        # Seen from the centre of the field, pixels; also some that will turn into the field.
        self._places = self.random.uniform(-PIXELS * 0.65, PIXELS * 0.65, (STARS, 2))
        self._rates = BRIGHTEST_HZ * np.arange(1, STARS + 1) ** (-1.0 / 1.5)
        # Modules look next to each other: each sees the stars elsewhere.
        self._offsets = self.random.uniform(-3.0, 3.0, (modules, 2))
        self._dark = NIGHT_SKY_HZ * self.random.normal(1.0, 0.04, (modules, PIXELS, PIXELS))
        for dark in self._dark:
            dark.flat[self.random.choice(PIXELS * PIXELS, HOT_PIXELS, replace=False)] *= HOT

    def rates(self, module: int, time_s: float) -> NDArray[np.float64]:
        """Counts per s, (rows, columns)."""
        angle = self._turn * time_s
        cos, sin = math.cos(angle), math.sin(angle)
        turned = self._places @ np.array([[cos, sin], [-sin, cos]]) + self._offsets[module] + (PIXELS - 1) / 2
        axis = np.arange(PIXELS)
        rows = np.exp(-0.5 * ((axis - turned[:, :1]) / SPOT_PIXELS) ** 2)
        columns = np.exp(-0.5 * ((axis - turned[:, 1:]) / SPOT_PIXELS) ** 2)
        peaks = self._rates / (2.0 * math.pi * SPOT_PIXELS**2)
        stars = (rows * peaks[:, np.newaxis]).T @ columns
        total: NDArray[np.float64] = self._dark[module] + stars
        return total

    def image(self, module: int, time_s: float, exposure_s: float) -> NDArray[np.int64]:
        """Counts with their Poisson noise, (rows, columns)."""
        return self.random.poisson(self.rates(module, time_s) * exposure_s)


class Showers:
    """Flashes of air showers as all modules see them: ellipses, elsewhere and differently turned in each.

    Attributes:
        images: baseline-subtracted pulse heights, (showers, modules, rows, columns), int16.
        arrivals_ns: when the light comes to each module after the first one, (showers, modules).
    """

    def __init__(self, modules: int, random: np.random.Generator, count: int = SHOWERS) -> None:
        shape = (count, modules, 1, 1)
        lengths = random.uniform(2.0, 5.0, (count, 1, 1, 1))
        widths = lengths * random.uniform(0.2, 0.4, (count, 1, 1, 1))
        heights = 150.0 * random.pareto(1.7, (count, 1, 1, 1)) + 250.0  # many faint ones, few bright ones
        angles = random.uniform(0.0, math.pi, shape)
        centre_rows, centre_columns = random.uniform(6.0, PIXELS - 6.0, (2, *shape))
        rows = np.arange(PIXELS)[:, np.newaxis] - centre_rows
        columns = np.arange(PIXELS) - centre_columns
        along = rows * np.sin(angles) + columns * np.cos(angles)
        across = rows * np.cos(angles) - columns * np.sin(angles)
        light = (
            heights * random.uniform(0.5, 1.0, shape) * np.exp(-0.5 * ((along / lengths) ** 2 + (across / widths) ** 2))
        )
        noisy = random.normal(light, np.sqrt(NOISE**2 + light))
        self.images = np.clip(np.rint(noisy), -32768, 32767).astype("<i2")
        self.arrivals_ns = random.integers(ARRIVAL_NS[0], ARRIVAL_NS[1], (count, modules), endpoint=True)
        self.arrivals_ns[np.arange(count), random.integers(modules, size=count)] = 0
