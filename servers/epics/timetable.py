"""When the attributes of one device are read, and when events that come too often are shown."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterable, Iterator
from typing import Any

from servers.epics.alarm import Quality
from servers.epics.attribute_source import AttributeSource
from servers.epics.event_flow import ASK_PERIOD_S


class Timetable:
    """Attributes whose times fall together are read together; devices differ in phase, so that not all ask at once."""

    def __init__(self) -> None:
        self._period = 1.0
        self._phase = random.random()  # noqa: S311
        self._next_read = self._asks_from = 0.0
        self._paced: list[AttributeSource] = []

    def begin(self, attributes: Iterable[AttributeSource], period: float) -> None:
        """Take other attributes, or the same with other periods; all that are polled are due.

        Args:
            period: s between two reads, of attributes without a period of their own.
        """
        self._period, self._paced = period, []
        for attribute in attributes:
            attribute.next_time = 0.0
            if attribute.period is not None:
                self._paced.append(attribute)
        self._next_read = 0.0
        self.pause(ASK_PERIOD_S)  # who begins has just read everything

    def look_again(self) -> None:
        """An attribute turned out to be polled."""
        self._next_read = 0.0

    def to_read(
        self, attributes: Iterable[AttributeSource], now: float, *, are_held_up: bool = False
    ) -> list[AttributeSource]:
        """What is to be read at this time.

        Args:
            are_held_up: events are; so all that are no arrays are asked for, not more often than ``pause`` said.
        """
        asks = are_held_up and now >= self._asks_from
        if now < self._next_read and not asks:
            return []
        polled = [each for each in attributes if each.is_polled or (are_held_up and each.spec.rank == 0)]
        asked = [each for each in polled if asks or not (are_held_up and each.has_events)]
        due = [attribute for attribute in asked if attribute.next_time <= now]
        for attribute in due:
            attribute.next_time = self._after(now, attribute.period or self._period)
        self._next_read = min((attribute.next_time for attribute in asked), default=math.inf)
        if len(asked) < len(polled):
            self._next_read = min(self._next_read, self._asks_from)
        return due

    def rest(self, took: float) -> None:
        """The last read took so long, s: a device is asked for half of its time at most."""
        self._next_read = max(self._next_read, time.monotonic() + took)

    def pause(self, seconds: float) -> None:
        """Ask for nothing that comes by events for so long."""
        self._asks_from = time.monotonic() + seconds

    def hold(self, attribute: AttributeSource, answer: Any, is_event: bool) -> bool:
        """Keep a value until its time has come; True when somebody has to look after it. In any thread."""
        changes = Quality(int(answer.quality)) is not attribute.quality
        if changes:
            attribute.next_time = 0.0  # an alarm does not wait
        is_first = not attribute.held
        attribute.held.append((answer, is_event))
        return is_first or changes

    def to_show(self, now: float) -> Iterator[tuple[AttributeSource, Any, bool]]:
        """The held values whose time has come, each with whether it came by an event."""
        for attribute in self._paced:
            if attribute.held and attribute.next_time <= now:
                assert attribute.period is not None
                attribute.next_time = now + attribute.period
                try:
                    answer, is_event = attribute.held.pop()
                except IndexError:  # an error event came just now
                    continue
                yield attribute, answer, is_event

    def next_due(self) -> float:
        """When something is due by itself, s of the monotonic clock."""
        return min([self._next_read, *(attribute.next_time for attribute in self._paced if attribute.held)])

    def _after(self, now: float, period: float) -> float:
        return (math.floor((now - self._phase) / period) + 1) * period + self._phase
