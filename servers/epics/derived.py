"""A record whose value follows from that of another: the width of an image, the label of a number, decoded pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from devices.core.errors import DiptychError
from servers.epics.alarm import Alarm, Severity, Status
from servers.epics.records import Kind, Listener, Reading, Record

Rule = Callable[[Reading], Reading]


def of_value(function: Callable[[Any], Any]) -> Rule:
    """The rule that looks at the value alone; time and alarm are those of the source."""
    return lambda reading: replace(reading, value=function(reading.value), format="")


class Derived(Record):
    """Computed when somebody asks, once for each Reading of the source, so the two always belong together.

    Args:
        source: the record it follows.
        rule: makes the Reading from the source's; a DiptychError leaves the last value, INVALID with the reason.
    """

    __slots__ = ("_made", "_rule", "_source")

    def __init__(self, name: str, kind: Kind, source: Record, rule: Rule, **more: Any) -> None:
        super().__init__(name, kind, **more)
        self._source, self._rule = source, rule
        #: The last Reading of the source, what was made of it, and whether it could be.
        self._made: tuple[Reading | None, Reading, bool] = (None, self._reading, True)

    @property
    def source(self) -> Record:
        return self._source

    @property
    def reading(self) -> Reading:
        return self.derive(self._source.reading)

    @reading.setter
    def reading(self, reading: Reading) -> None:
        self._reading = reading  # the blank one of the constructor

    def derive(self, reading: Reading) -> Reading:
        origin, made, succeeded = self._made
        if origin is reading:
            return made
        time, alarm = reading.timestamp_ns, reading.alarm
        if alarm.status is Status.UDF:
            made, succeeded = replace(self._reading, timestamp_ns=time, alarm=alarm), True
        elif succeeded and origin is not None and origin.value is reading.value and origin.format == reading.format:
            # Only time or alarm changed: the value stays the same object, and is not sent again.
            made = replace(made, timestamp_ns=time, alarm=alarm)
        else:
            try:
                made, succeeded = self._rule(reading), True
            except DiptychError as error:
                if alarm.severity is not Severity.INVALID:
                    alarm = Alarm(Severity.INVALID, Status.READ, str(error))
                made, succeeded = replace(made, timestamp_ns=time, alarm=alarm), False
        self._made = reading, made, succeeded
        return made

    def listen(self, listener: Listener) -> None:
        self._source.listen(listener)

    def unlisten(self, listener: Listener) -> None:
        self._source.unlisten(listener)
