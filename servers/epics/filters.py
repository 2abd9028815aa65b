"""Channel filters: ``PV.{"arr":{"s":1,"e":5}}`` or ``PV.[1:5]`` for a part of an array, ``PV.{"dbnd":{"d":0.5}}``.

Source:
    EPICS base, "Field Modifiers and Channel Filters" (filters.dbd.pod): ``arr`` with start, increment and end, which is
    included (negative ones count from the end); ``dbnd`` with a dead-band that is absolute, or per cent of the value
    sent last.
"""

from __future__ import annotations

import functools
import logging
import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from devices.core.json_text import read_json_text

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Filter:
    """What a client wants of a value: a part of the array, and changes beyond a dead-band only."""

    start: int = 0
    increment: int = 1
    end: int = -1
    deadband: float = 0.0
    is_relative: bool = False

    @property
    def is_whole(self) -> bool:
        return (self.start, self.increment, self.end) == (0, 1, -1)

    def part(self, values: Any) -> Any:
        """The elements from ``start`` to ``end``, both included; of an image, row by row."""
        stop = self.end + 1 or None  # -1 is the last one
        flat = values.ravel() if isinstance(values, np.ndarray) else values
        return flat[self.start : stop : self.increment]

    def passes(self, sent: Any, value: Any) -> bool:
        """Whether a number is worth an update after the one that was sent."""
        if not self.deadband or not isinstance(sent, int | float) or not isinstance(value, int | float):
            return True
        band = abs(sent) * self.deadband / 100 if self.is_relative else self.deadband
        return not abs(value - sent) <= band


@functools.lru_cache(1000)
def filter_of(text: str) -> Filter | None:
    """The filter of a text ``{"arr":{"s":1}}`` or ``[1:5]``; None, and one line in the log, for any other."""
    try:
        return _parsed(text)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        log.warning("channel filter %.200s: %s; there are arr and dbnd", text, error)
        return None


def _parsed(text: str) -> Filter:
    if text.startswith("["):
        match = re.fullmatch(r"\[(-?\d*)(?::(-?\d*))?(?::(-?\d*))?\]", text)
        if match is None:
            raise ValueError("not [START:END] or [START:INCREMENT:END]")
        first, *others = (part for part in match.groups() if part is not None)
        start, end = int(first or 0), int((others or [first])[-1] or -1)
        increment = int(others[0] or 1) if len(others) == 2 else 1
        return _checked(Filter(start, increment, end))
    # JSON5 has bare keys.
    wanted = read_json_text(re.sub(r"([{,]\s*)([A-Za-z]+)\s*:", r'\1"\2":', text.replace("'", '"')))
    if not isinstance(wanted, dict) or set(wanted) - {"arr", "dbnd"}:
        raise ValueError("unknown")
    array, band = wanted.get("arr", {}), wanted.get("dbnd", {})
    if set(array) - {"s", "i", "e"} or set(band) - {"d", "m", "abs", "rel"}:
        raise ValueError("unknown parameter")
    width = float(band.get("d", band.get("abs", band.get("rel", 0.0))))
    is_relative = band.get("m") == "rel" or "rel" in band
    return _checked(Filter(int(array.get("s", 0)), int(array.get("i", 1)), int(array.get("e", -1)), width, is_relative))


def _checked(made: Filter) -> Filter:
    if made.increment < 1 or not 0 <= made.deadband < math.inf:
        raise ValueError("an increment is at least 1, a dead-band not negative")
    return made
