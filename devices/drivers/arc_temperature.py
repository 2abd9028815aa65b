"""Temperature sensors of ARC utility boards: 12-bit counts to Celsius and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import RangeError

COUNTS: Final = 4096
ABSOLUTE_ZERO_C: Final = -273.15

#: Lake Shore's published curve of DT-670 diodes at 10 uA: K, V.
_DT670_K: Final = (
    30.0, 40.0, 50.0, 60.0, 70.0, 77.35, 90.0, 100.0, 110.0, 120.0, 130.0, 140.0, 150.0, 160.0, 170.0, 180.0, 190.0,
    200.0, 210.0, 220.0, 230.0, 240.0, 250.0, 260.0, 270.0, 280.0, 290.0, 300.0, 310.0, 320.0, 330.0, 340.0, 350.0,
)  # fmt: skip
_DT670_V: Final = (
    1.106244, 1.089024, 1.073099, 1.056862, 1.040183, 1.027594, 1.005244, 0.986974, 0.968209, 0.949000, 0.929390,
    0.909416, 0.889114, 0.868518, 0.847659, 0.826560, 0.805242, 0.783720, 0.762007, 0.740115, 0.718054, 0.695834,
    0.673462, 0.650949, 0.628302, 0.605528, 0.582637, 0.559639, 0.536542, 0.513361, 0.490106, 0.466760, 0.443371,
)  # fmt: skip
#: Ends of the range of 1N4148 diodes: counts, K. Between them their voltage falls evenly with temperature.
_1N4148_COUNTS: Final = (2600.0, 3417.0)
_1N4148_K: Final = (311.0, 77.0)
#: 1N914: K as a polynomial of V, lowest power first.
_1N914: Final = (471.3507, -581.5675, 558.4024, -786.8676, 628.3720, -219.7995)


def volts(counts: float) -> float:
    """At the sensor."""
    return 6.0 / COUNTS * (counts - COUNTS / 2) / 2.0


def _dt670(counts: float) -> float:
    found = float(np.interp(-volts(counts), [-v for v in _DT670_V], _DT670_K, left=math.nan, right=math.nan))
    return found + ABSOLUTE_ZERO_C


def _ad590(counts: float) -> float:
    return 0.16012 * counts - 599.5


def _1n4148(counts: float) -> float:
    return float(np.interp(counts, _1N4148_COUNTS, _1N4148_K, left=math.nan, right=math.nan)) + ABSOLUTE_ZERO_C


def _1n914(counts: float) -> float:
    v = volts(counts)
    return sum(factor * v**power for power, factor in enumerate(_1N914)) + ABSOLUTE_ZERO_C if 0 < v < 1.2 else math.nan


#: Curve -> Celsius of counts, by its number: 0 DT670, 1 AD590, 2 1N4148, 3 1N914.
CURVES: Final[tuple[Callable[[float], float], ...]] = (_dt670, _ad590, _1n4148, _1n914)


def celsius(counts: float, curve: int) -> float:
    """Of a sensor; NaN: it is outside its curve (broken, or not there)."""
    found = CURVES[curve](counts)
    return found if found >= ABSOLUTE_ZERO_C else math.nan


def counts(celsius_wanted: float, curve: int) -> int:
    """Of a set point: those whose temperature is nearest.

    Raises:
        RangeError: the sensor cannot measure it.
    """
    table = _table(curve)
    lowest, highest = np.nanmin(table), np.nanmax(table)
    if not lowest <= celsius_wanted <= highest:
        raise RangeError(
            f"temperature = {celsius_wanted} C is outside [{lowest:.1f}, {highest:.1f}] C of the sensor (curve {curve})"
        )
    return int(np.nanargmin(np.abs(table - celsius_wanted)))


def coldest(curve: int) -> int:
    """Counts of the lowest temperature of a sensor: as a set point it heats nothing."""
    return int(np.nanargmin(_table(curve)))


@lru_cache
def _table(curve: int) -> NDArray[np.float64]:
    return np.array([celsius(count, curve) for count in range(COUNTS)])
