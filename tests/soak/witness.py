"""What one subscriber has seen of one PV, and whether all of it was right."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.soak import values


class Witness:
    """Takes the updates of one subscription, from one thread at a time.

    Args:
        number: which the PV's values carry.
        fault: called with a text when a value is wrong.
    """

    def __init__(self, pv: str, rack: int, number: int, fault: Callable[[str], None]) -> None:
        self.pv, self.rack, self.number = pv, rack, number
        self.is_open = True
        self.updates = 0
        self.sequence = -1
        self.severity = -1
        self.began_at = float("inf")  # s, monotonic: the first update
        self.link_at = 0.0  # s, monotonic: the last one that was INVALID, LINK
        self._fault = fault

    def take(self, value: Any, severity: int | None, *, is_link: bool) -> None:
        """An update; None for what it leaves as it was."""
        if not self.is_open:
            return
        now = time.monotonic()
        self.began_at = min(self.began_at, now)
        self.updates += 1
        if is_link:
            self.link_at = now
        if value is not None:
            self._judge(value)
        if severity is not None:
            self.severity = severity

    def shows(self, sequence: int) -> bool:
        """Whether the newest value is this one, and good."""
        return self.sequence == sequence and self.severity == 0

    def _judge(self, value: Any) -> None:
        try:
            sequence, number = values.read(value)
        except ValueError as error:
            self._fault(f"{self.pv}: {error}")
            return
        if number != self.number:
            self._fault(f"{self.pv}: value {value!r} is of number {number}, not of {self.number}")
        elif sequence < self.sequence:
            self._fault(f"{self.pv}: value {sequence} after {self.sequence}")
        else:
            self.sequence = sequence
