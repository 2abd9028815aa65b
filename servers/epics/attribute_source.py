"""One Tango attribute as its records: read-back, set point, last refusal, and the companions of a value."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from devices.core.errors import BadValueError
from servers.epics import image_layout, names
from servers.epics.alarm import UNDEFINED, Alarm, Quality, Severity, Status, judge, judge_state
from servers.epics.declaration import AttributeSpec
from servers.epics.derived import Derived, Rule, of_value
from servers.epics.image_formats import decoded
from servers.epics.records import Facts, Kind, PutHandler, Reading, Record

SHORT_TEXT = 39  # bytes; served as a CA STRING
# s that an event may still be on its way when a read has brought a newer value (20 s was seen, while another server
# hung: Tango has one thread for all events).
OVERTAKEN_TIME = 30.0
UNBOUNDED = sys.maxsize  # pixels of a compressed image: too many for a protocol that must know how many at most


class AttributeSource:
    """Turns what Tango says about one attribute into Readings of its records.

    Attributes:
        readback: shows the value; of a write-only attribute it is the set point itself.
        setpoint: shows what was asked for; None when the attribute cannot be written.
        events: change events that were taken; a read during which one came may be older than what is shown.
        failed: the last try to get a value failed; it may have been for lack of time.
        has_events: False once the device said that it pushes none.
        is_subscribed: the first event has come.
        period: s, where one was chosen for this attribute: between two reads, and at least between two events shown.
        held: the newest event that waits for its time to be shown.
        next_time: when it is read or shown next, s of the monotonic clock.
        verify: the value is to be compared by a read.
    """

    def __init__(self, spec: AttributeSpec, prefix: str, put: Callable[[AttributeSource], PutHandler]) -> None:
        self.spec = spec
        self.events = 0
        self.has_events = True
        self.is_subscribed = False
        self.verify = self.failed = False
        self.period: float | None = None
        self.held: deque[Any] = deque(maxlen=1)
        self.next_time = 0.0
        self.quality = Quality.VALID
        self._columns = 0
        self._former: Any = None
        self._facts = spec.facts
        self._bound_by: Record | None = None
        self._doubt_until = 0.0
        self._newest_ns = 0
        self._ordered_from = 0.0
        handler = None if spec.access == "read" else put(self)
        self.setpoint: Record | None = None
        if spec.access == "read_write":
            self.setpoint = self._record(prefix, "", handler)
            self.readback = self._record(prefix, names.READBACK, None)
        else:
            self.readback = self._record(prefix, "", handler)
            self.setpoint = self.readback if spec.access == "write" else None
        self._companions = [companion for value in self._values() for companion in self._companions_of(value)]
        self.error: Record | None = None
        if self.setpoint is not None:
            self.error = Record(names.full(prefix, spec.base, names.ERROR), Kind.STRING, value="")
            self.setpoint.error = self.error

    @property
    def records(self) -> list[Record]:
        return [*self._values(), *self._companions, *([self.error] if self.error is not None else [])]

    @property
    def is_polled(self) -> bool:
        """Whether its value has to be asked for: always, or an array excepted, until the first event has come."""
        return not self.has_events or (not self.is_subscribed and self.spec.rank == 0)

    def take(self, answer: Any, *, is_event: bool = False) -> None:
        """Publish what an event or a read brought.

        Args:
            answer: a ``tango.DeviceAttribute`` without an error.
            is_event: it may have been pushed before a put was over, and then carries the former set value.
        """
        stamp = answer.time.tv_sec * 1_000_000_000 + answer.time.tv_usec * 1000 + answer.time.tv_nsec
        if self._is_overtaken(stamp, is_event):
            self.verify = True  # in case that only the device's clock was set back
            return
        self.failed = False
        quality = self.quality = Quality(int(answer.quality))
        if self.setpoint is not self.readback:
            reading = self._reading(answer.value, stamp, quality)
            if is_event or not self._is_shown(reading):
                self.readback.publish(reading)
        if self.setpoint is not None:
            asked = self._value(answer.w_value)
            if asked is None and self.setpoint is self.readback:
                asked = self._value(answer.value)
            if asked is not None and not (is_event and self._is_former(asked)):
                self._show_setpoint(asked, stamp)

    def accepted(self, value: Any, timestamp_ns: int, doubt: float) -> None:
        """The device took a put.

        Args:
            doubt: s for which an event with the former set value is not believed.
        """
        assert self.setpoint is not None
        self._former, self._doubt_until = self.setpoint.reading.value, time.monotonic() + doubt
        self._show_setpoint(value, timestamp_ns)

    def fail(self, message: str) -> None:
        """The device answers, but not with a value: the last one stays, INVALID."""
        self.failed = True
        self.readback.mark(Alarm(Severity.INVALID, Status.READ, message))

    def mark(self, alarm: Alarm) -> None:
        """The device is gone: every value keeps its last state with this alarm."""
        for value in self._values():
            value.mark(alarm)

    def adopt(self, spec: AttributeSpec, period: float | None) -> None:
        """The device was asked again: the same shape, maybe other facts, and a period that a site chose."""
        self.spec, self.period = spec, period
        self.configure(spec.facts)

    def configure(self, facts: Facts) -> None:
        """Adopt a changed attribute configuration; the severity follows with the device's next value."""
        self._facts = facts
        self.readback.configure(facts)
        self._narrow()

    def obey(self, bound: Record | None) -> None:
        """Show the value of another record as the highest that may be put, whenever it changes."""
        if bound is not self._bound_by:
            if self._bound_by is not None:
                self._bound_by.unlisten(self._narrow)
            self._bound_by = bound
            if bound is not None:
                bound.listen(self._narrow)
        self._narrow()

    def _narrow(self) -> None:
        if self.setpoint is None:
            return
        (low, high), bound = self._facts.limits, self._bound_by
        if bound is not None and bound.reading.alarm is not UNDEFINED:
            highest = float(bound.reading.value)
            high = highest if high is None else min(high, highest)
        self.setpoint.configure(replace(self._facts, limits=(low, high)))

    def _is_overtaken(self, stamp: int, is_event: bool) -> bool:
        """Whether an event is older than what a read, or the first event of a subscription, has brought before it.

        Those come beside the others and overtake them; nobody is to see the value go back. What is much older was on
        no way: devices may have a time of their own.
        """
        now = time.monotonic()
        if is_event and now < self._ordered_from and 0 < self._newest_ns - stamp < OVERTAKEN_TIME * 1e9:
            return True
        if not is_event or not self.is_subscribed:
            self._ordered_from = now + OVERTAKEN_TIME
        self._newest_ns = stamp
        return False

    def _is_former(self, asked: Any) -> bool:
        return time.monotonic() < self._doubt_until and _same(asked, self._former)

    def _values(self) -> list[Record]:
        return [self.readback] if self.setpoint in (None, self.readback) else [self.setpoint, self.readback]

    def _record(self, prefix: str, suffix: str, handler: PutHandler | None) -> Record:
        spec = self.spec
        return Record(
            names.full(prefix, spec.base, suffix),
            spec.kind,
            rank=1 if spec.is_text_image else spec.rank,
            max_length=spec.max_length,
            text_limit=spec.text_limit,
            facts=spec.facts,
            handler=handler,
            level=spec.level,
            period=spec.period if handler is None else None,
        )

    def _companions_of(self, value: Record) -> list[Derived]:
        spec = self.spec
        rules: dict[str, Rule] = {
            names.TEXT: of_value(str),
            names.LABEL: of_value(self._label),
            names.FORMAT: lambda reading: replace(reading, value=reading.format, format=""),
            names.IMAGE: decoded,
            names.WIDTH: lambda reading: replace(reading, value=self._size(reading)[1], format=""),
            names.HEIGHT: lambda reading: replace(reading, value=self._size(reading)[0], format=""),
        }
        companions = []
        for suffix in names.value_companions(spec.type_name, spec.rank, spec.facts.labels):
            name, rule = names.full(value.name, "", suffix), rules[suffix]
            if suffix in (names.WIDTH, names.HEIGHT):
                companions.append(Derived(name, Kind.INT32, value, rule))
            elif suffix == names.IMAGE:
                facts = Facts(description=spec.facts.description)
                companions.append(Derived(name, Kind.UINT8, value, rule, rank=2, max_length=UNBOUNDED, facts=facts))
            else:
                short = suffix == names.TEXT or all(len(label.encode()) <= SHORT_TEXT for label in spec.facts.labels)
                limit = SHORT_TEXT if short else spec.text_limit
                companions.append(Derived(name, Kind.STRING, value, rule, text_limit=limit))
        return companions

    def _label(self, index: Any) -> str:
        labels = self.readback.facts.labels
        return labels[int(index)] if 0 <= int(index) < len(labels) else str(index)

    def _size(self, reading: Reading) -> tuple[int, int]:
        """Rows and columns."""
        if self.spec.is_text_image:
            return len(reading.value) // max(1, self._columns), self._columns
        return image_layout.size(reading)

    def _reading(self, raw: Any, stamp: int, quality: Quality) -> Reading:
        shown, value, layout = self.readback.reading, self._value(raw), self.spec.colour
        if value is None:  # without a value an INVALID one keeps the last
            if quality is Quality.INVALID:
                return replace(shown, timestamp_ns=stamp, alarm=self._judge(quality, shown.value))
            value = self.readback.blank()
        elif self.spec.type_name == "encoded":
            layout = str(raw[0])
        elif layout:
            try:
                image_layout.check(value, layout)
            except BadValueError as error:
                return Reading(value, stamp, Alarm(Severity.INVALID, Status.READ, str(error)))
        return Reading(value, stamp, self._judge(quality, value), layout)

    def _is_shown(self, reading: Reading) -> bool:
        """Whether a value that was read is the one that is shown already: it is not sent again.

        What came by an event keeps the time of the event: many devices give a read the time of the read.
        """
        shown = self.readback.reading
        return (
            (reading.alarm, reading.format) == (shown.alarm, shown.format)
            and (self.is_subscribed or reading.timestamp_ns == shown.timestamp_ns)
            and _same(reading.value, shown.value)
        )

    def _judge(self, quality: Quality, value: Any) -> Alarm:
        if self.spec.type_name == "state" and quality is not Quality.INVALID and self.spec.rank == 0:
            return judge_state(value)
        facts = self.readback.facts
        return judge(quality, value, facts.warning, facts.alarm, facts.hysteresis)

    def _show_setpoint(self, value: Any, timestamp_ns: int) -> None:
        setpoint = self.setpoint
        assert setpoint is not None
        shown = setpoint.reading
        if shown.alarm.severity or not _same(shown.value, value):
            setpoint.publish(Reading(value, timestamp_ns))

    def _value(self, value: Any) -> Any:
        """A Tango value as a record has it; None stays None."""
        if value is None:
            return None
        if self.spec.type_name == "encoded":
            data = value[1]
            return np.frombuffer(data.encode("latin-1") if isinstance(data, str) else data, np.uint8)
        if self.spec.is_text_image:
            self._columns = len(value[0]) if len(value) else 0
            return tuple(text for row in value for text in row)
        if self.spec.rank:
            if self.spec.kind is Kind.STRING:
                return tuple(value)
            return np.asarray(value, self.spec.kind.dtype)
        return int(value) if self.spec.kind is Kind.ENUM else value


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    return bool(one == other) or (one != one and other != other)
