"""The log of attributes that fail: one line when that begins, not one for each read."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping

log = logging.getLogger(__name__)

REPEAT_PERIOD = 60.0  # s; the same failure of the same attribute, over and again, is logged once in this time
NAMES = 5  # attributes that a line names


class FailureLog:
    """What was logged of one device.

    Args:
        device: its name.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._present: dict[str, str] = {}
        self._logged: dict[tuple[str, str], float] = {}

    def report(self, failures: Mapping[str, str]) -> None:
        """Log what is new, attributes that fail alike in one line.

        Args:
            failures: attribute -> ``REASON: text``; only another reason is another failure.
        """
        now = time.monotonic()
        new: dict[str, list[str]] = {}
        for name, text in failures.items():
            reason = text.partition(":")[0]
            if self._present.get(name) == reason:
                continue
            self._present[name] = reason
            if now - self._logged.get((name, reason), -math.inf) > REPEAT_PERIOD:
                self._logged[name, reason] = now
                new.setdefault(text, []).append(name)
        for text, names in new.items():
            more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
            log.warning("%s: no value of %s%s: %s", self._device, ", ".join(names[:NAMES]), more, text)

    def forget(self, name: str) -> None:
        """The attribute has a value again."""
        self._present.pop(name, None)
