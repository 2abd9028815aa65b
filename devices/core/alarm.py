"""The one judge of alarms: what a value means against its bounds."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from devices.core.reading import Quality

#: A pair (low, high); None where there is no bound.
Range = tuple[float | None, float | None]


class Judgement(NamedTuple):
    """A quality, and the bound that decided it: "LOLO", "LOW", "HIGH", "HIHI", or "" for none."""

    quality: Quality
    bound: str = ""


VALID = Judgement(Quality.VALID)
NOT_A_NUMBER = Judgement(Quality.INVALID)


def judge(
    value: Any,
    warning: Range | None = None,
    alarm: Range | None = None,
    hysteresis: float = 0.0,
    previous: str = "",
) -> Judgement:
    """Judge a number or an array against its bounds.

    A value equal to a bound is already beyond it, as in Tango and in EPICS. A scalar NaN is INVALID; in an array any
    element decides and NaN is ignored unless all are NaN. Once beyond ``previous`` (a bound's name), the value must
    come back by ``hysteresis`` before that bound lets go.

    Args:
        value: a number, or an array of any shape, in the attribute's unit.
        warning: the bounds (LOW, HIGH).
        alarm: the bounds (LOLO, HIHI).
        hysteresis: >= 0, in the attribute's unit.
        previous: the bound of the judgement before this one.
    """
    if isinstance(value, np.ndarray):
        if value.size == 0:
            return VALID
        if value.dtype.kind == "f":
            finite = value[~np.isnan(value)] if np.isnan(value).any() else value
            if finite.size == 0:
                return NOT_A_NUMBER
            least, most = float(finite.min()), float(finite.max())
        elif warning is None and alarm is None:
            return VALID
        else:
            least, most = float(value.min()), float(value.max())
    else:
        least = most = float(value)
        if math.isnan(least):
            return NOT_A_NUMBER
    for bounds, names, quality in (
        (alarm, ("LOLO", "HIHI"), Quality.ALARM),
        (warning, ("LOW", "HIGH"), Quality.WARNING),
    ):
        if bounds is None:
            continue
        low, high = bounds
        # A bound is held by hysteresis when it, or a worse one on its side, decided before.
        held_low = previous == names[0] or (previous == "LOLO" and names[0] == "LOW")
        held_high = previous == names[1] or (previous == "HIHI" and names[1] == "HIGH")
        if low is not None and (least <= low or (held_low and least < low + hysteresis)):
            return Judgement(quality, names[0])
        if high is not None and (most >= high or (held_high and most > high - hysteresis)):
            return Judgement(quality, names[1])
    return VALID
