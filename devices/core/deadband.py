"""Dead-bands: which readings are worth an event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from devices.core.reading import Reading

#: Longer spectra, and images, are not compared: each publication is an event.
COMPARED_ELEMENTS = 4096


@dataclass(frozen=True)
class Deadband:
    """When a reading is sent: any of the three that is given decides; none given: whenever the value differs.

    Attributes:
        absolute: smallest change, in the attribute's unit.
        relative: smallest change, per cent of the value sent last.
        period: longest silence, s; an equal value is sent again after it.
    """

    absolute: float | None = None
    relative: float | None = None
    period: float | None = None

    def passes(self, sent: Reading[Any] | None, reading: Reading[Any]) -> bool:
        """Whether ``reading`` is to be sent, when ``sent`` was the last one that was."""
        if sent is None or sent.quality is not reading.quality or sent.reason != reading.reason:
            return True
        if self.period is not None and reading.timestamp - sent.timestamp >= self.period:
            return True
        old, new = sent.value, reading.value
        if isinstance(new, np.ndarray) or isinstance(old, np.ndarray):
            return self._array_passes(np.asarray(old), np.asarray(new))
        if old == new:
            return False
        if isinstance(new, bool) or not isinstance(new, int | float) or not isinstance(old, int | float):
            return True
        if self.absolute is None and self.relative is None:
            return True
        change = abs(new - old)
        return (self.absolute is not None and change >= self.absolute) or (
            self.relative is not None and change >= abs(old) * self.relative / 100.0
        )

    def _array_passes(self, old: np.ndarray[Any, Any], new: np.ndarray[Any, Any]) -> bool:
        if self.absolute is None and self.relative is None:
            return new.size > COMPARED_ELEMENTS or not np.array_equal(old, new, equal_nan=new.dtype.kind == "f")
        if old.shape != new.shape:
            return True
        before, after = old.astype(float), new.astype(float)
        if (np.isnan(before) != np.isnan(after)).any():
            return True
        with np.errstate(invalid="ignore"):
            # An infinity that stays gives NaN, which is no change.
            change = np.abs(after - before)
        changed = change > 0
        return bool(
            (self.absolute is not None and (change >= self.absolute)[changed].any())
            or (self.relative is not None and (change >= np.abs(before) * self.relative / 100.0)[changed].any())
        )
