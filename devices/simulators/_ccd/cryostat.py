"""The cold behind a simulated detector."""

from __future__ import annotations

import math
import time

HEATER_TIME_S = 30.0
"""In which the detector comes e times nearer to where it goes, s."""


class Cryostat:
    """A cold head and a heater at the detector.

    Attributes:
        target_c: where the heater brings it; None: the heater is off.
    """

    def __init__(self, cold_c: float, begin_c: float = 20.0) -> None:
        self.cold_c = cold_c
        self.target_c: float | None = None
        self._celsius = begin_c
        self._advanced = time.monotonic()

    @property
    def heats(self) -> bool:
        return self.target_c is not None and self.target_c > self.cold_c

    @property
    def celsius(self) -> float:
        """Of the detector, now."""
        now = time.monotonic()
        goal = self.target_c if self.target_c is not None and self.heats else self.cold_c
        self._celsius += (goal - self._celsius) * -math.expm1(-(now - self._advanced) / HEATER_TIME_S)
        self._advanced = now
        return self._celsius

    def heat(self, target_c: float | None) -> None:
        """From now on, towards another temperature; None: off."""
        self.celsius  # noqa: B018 - up to now by the old target
        self.target_c = target_c
