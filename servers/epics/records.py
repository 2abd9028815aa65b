"""A record: one value with time, severity and display facts, as EPICS sees it, free of any protocol.

The Tango side publishes Readings into records; the Channel Access and PVAccess servers listen to the records that a
client subscribes to, and take the newest Reading when they get to it. So a burst costs one swap per value, and nothing
is converted for a protocol that nobody listens to.
"""

from __future__ import annotations

import enum
import math
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from devices.core.errors import BadValueError, DiptychError, RangeError
from servers.epics.alarm import GOOD, UNDEFINED, Alarm, Bounds


class Kind(enum.Enum):
    """The type of one element, spelled as in a device description."""

    BOOL = "bool"
    UINT8 = "uint8"
    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    STRING = "string"
    ENUM = "enum"

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy type of one element; text has none."""
        return np.dtype({"bool": "?", "enum": "int32"}.get(self.value, self.value))

    @property
    def is_integer(self) -> bool:
        return self.value.lstrip("u").startswith("int")

    @property
    def is_float(self) -> bool:
        return self.value.startswith("float")

    @property
    def is_number(self) -> bool:
        return self.is_integer or self.is_float


@dataclass(frozen=True, slots=True)
class Reading:
    """A value, when the hardware gave it (nanoseconds since 1970), and its alarm. Immutable.

    Attributes:
        format: how to understand the value: of encoded bytes their format, of a colour image its layout.
    """

    value: Any
    timestamp_ns: int
    alarm: Alarm = GOOD
    format: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a panel shows about a value: unit, description, bounds. Replaced as a whole when one of them changes."""

    unit: str = ""
    description: str = ""
    precision: int | None = None
    limits: Bounds = (None, None)
    warning: Bounds = (None, None)
    alarm: Bounds = (None, None)
    hysteresis: float = 0.0
    archive_deadband: float = 0.0
    monitor_deadband: float = 0.0
    labels: tuple[str, ...] = ()

    @property
    def display_limits(self) -> tuple[float, float]:
        """The range to draw a value in; 0, 0 for none."""
        low, high = self.limits
        return (0.0, 0.0) if low is None or high is None else (low, high)

    @property
    def control_limits(self) -> tuple[float, float]:
        """What may be put, infinite on the side without a limit; 0, 0 for no limits."""
        low, high = self.limits
        if low is None and high is None:
            return 0.0, 0.0
        return -math.inf if low is None else low, math.inf if high is None else high

    @property
    def declared(self) -> dict[str, Any]:
        """What a device says of itself and its Tango configuration may not, as in its description."""
        return {
            "precision": self.precision,
            "hysteresis": self.hysteresis,
            "archive": {"absolute": self.archive_deadband},
            "change": {"absolute": self.monitor_deadband},
        }


@dataclass(slots=True)
class Put:
    """A client's request on its way: ``accepted`` when it was begun or refused, ``done`` at its end.

    For an attribute both come together; for an operation ``done`` is its end, however long it takes, with its result.

    Attributes:
        client: who asks, the same for all connections of a person or program.
    """

    value: Any
    client: str = ""
    accepted: Future[None] = field(default_factory=Future)
    done: Future[Any] = field(default_factory=Future)

    def accept(self) -> None:
        if not self.accepted.done():
            self.accepted.set_result(None)

    def finish(self, error: Exception | None = None, *, result: Any = None) -> None:
        """End the request; an error before ``accept`` is a refusal. Once only."""
        for future in (self.done, self.accepted):
            if future.done():
                continue
            if error is None:
                future.set_result(result if future is self.done else None)
            else:
                future.set_exception(error)


Listener = Callable[[], None]
PutHandler = Callable[[Put], None]


LARGE_BYTES = 256 << 10


def may_be_large(kind: Kind, rank: int, max_length: int) -> bool:
    """Whether an array of this type can have more than 256 kB; it would delay other values."""
    return bool(rank) and kind is not Kind.STRING and max_length * kind.dtype.itemsize > LARGE_BYTES


class Record:
    """One process variable.

    Attributes:
        name: the full PV name.
        kind, rank, max_length: element type; 0 scalar, 1 array, 2 image (rows, columns); elements at most.
        text_limit: of a string, characters at most.
        handler: takes a put whose value was converted already; None for a read-only record.
        call: takes a put whose value are arguments by name; None for a record that runs no command.
        takes_anything: a put of any value runs it (a command without arguments).
        level: who may write, ``operator`` or ``expert``.
        is_dangerous: a put runs something that a person is to be asked about before.
        reads_only: a put runs something that changes nothing.
        period: s, the longest silence that the device promises; None when it speaks on change only.
        error: the record that shows the last refusal of this one.
        result: the record that shows the last result of a command.
    """

    __slots__ = (
        "_listeners", "_reading", "call", "error", "facts", "handler", "is_dangerous", "kind", "level", "max_length",
        "name", "period", "rank", "reads_only", "result", "takes_anything", "text_limit",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        kind: Kind,
        *,
        rank: int = 0,
        max_length: int = 1,
        text_limit: int = 4096,
        facts: Facts | None = None,
        value: Any = None,
        handler: PutHandler | None = None,
        takes_anything: bool = False,
        level: str = "operator",
        is_dangerous: bool = False,
        period: float | None = None,
    ) -> None:
        self.name, self.kind, self.rank = name, kind, rank
        self.max_length, self.text_limit = max(1, max_length), text_limit
        self.facts = facts or Facts()
        self.handler, self.takes_anything, self.level = handler, takes_anything, level
        self.is_dangerous, self.period = is_dangerous, period
        self.reads_only = False
        self.call: PutHandler | None = None
        self.error: Record | None = None
        self.result: Record | None = None
        self._listeners: tuple[Listener, ...] = ()
        if value is None:
            self.reading = Reading(self.blank(), 0, UNDEFINED)
        else:
            self.reading = Reading(value, time.time_ns())

    @property
    def reading(self) -> Reading:
        return self._reading

    @reading.setter
    def reading(self, reading: Reading) -> None:
        self._reading = reading

    @property
    def is_large(self) -> bool:
        return may_be_large(self.kind, self.rank, self.max_length)

    @property
    def source(self) -> Record:
        """The record whose Reading decides about this one's: itself, unless the value is derived."""
        return self

    def derive(self, reading: Reading) -> Reading:
        """This record's Reading that belongs to one of its source."""
        return reading

    def __repr__(self) -> str:
        return f"<Record {self.name} {self.kind.value} rank {self.rank}>"

    def blank(self) -> Any:
        """The value shown before there is one."""
        if self.rank:
            return () if self.kind is Kind.STRING else np.zeros((0,) * self.rank, self.kind.dtype)
        return "" if self.kind is Kind.STRING else self.kind.dtype.type(0).item()

    def publish(self, reading: Reading) -> None:
        """A value from the hardware."""
        self.reading = reading
        for listener in self._listeners:
            listener()

    def show(self, value: Any, alarm: Alarm = GOOD) -> None:
        """Publish a value that the mirror itself makes, stamped now."""
        self.publish(Reading(value, time.time_ns(), alarm))

    def mark(self, alarm: Alarm) -> None:
        """Change the alarm alone: the last value and its time stamp stay."""
        if self.reading.alarm != alarm:
            self.publish(replace(self.reading, alarm=alarm))

    def configure(self, facts: Facts) -> None:
        if facts != self.facts:
            self.facts = facts
            for listener in self._listeners:
                listener()

    def listen(self, listener: Listener) -> None:
        """Have ``listener`` called, in the publishing thread, after each change; it must return at once."""
        self._listeners = (*self._listeners, listener)

    def unlisten(self, listener: Listener) -> None:
        self._listeners = tuple(other for other in self._listeners if other != listener)

    def convert(self, raw: Any) -> Any:
        """A value as a client sent it (number, text, label, array) in this record's own type.

        Raises:
            BadValueError: it is not of this type.
            RangeError: it does not fit the type, the number of elements or the length of text.
        """
        if self.takes_anything:
            return raw
        if self.rank == 2:
            raise BadValueError(f"{self.name}: an image cannot be put")
        try:
            if self.kind is Kind.STRING:
                return self._texts(raw) if self.rank else self._text(raw)
            return self._array(raw) if self.rank else self._scalar(raw)
        except DiptychError:
            raise
        except (ValueError, TypeError, OverflowError) as error:
            raise BadValueError(f"{self.name} = {raw!r}: {error}") from None

    def _text(self, raw: Any) -> str:
        if isinstance(raw, np.ndarray | list | tuple):
            if len(raw) != 1:
                raise BadValueError(f"{self.name}: one text is wanted, not {len(raw)} values")
            raw = raw[0]
        if not isinstance(raw, str | int | float | np.generic):
            raise BadValueError(f"{self.name} = {raw!r} is not a text")
        text = str(raw)
        if len(text) > self.text_limit:
            raise RangeError(f"{self.name}: {len(text)} characters of text, more than {self.text_limit}")
        return text

    def _texts(self, raw: Any) -> list[str]:
        texts = [raw] if isinstance(raw, str) else list(raw)
        self._check_length(len(texts))
        return [self._text(text) for text in texts]

    def _array(self, raw: Any) -> np.ndarray[Any, Any]:
        values = [raw] if isinstance(raw, str) or np.ndim(raw) == 0 else raw
        self._check_length(len(values))
        if isinstance(values, np.ndarray) and np.can_cast(values.dtype, self.kind.dtype):
            return values.astype(self.kind.dtype, copy=False)
        return np.array([self._scalar(value) for value in values], self.kind.dtype)

    def _check_length(self, length: int) -> None:
        if length > self.max_length:
            raise RangeError(f"{self.name}: {length} elements, more than {self.max_length}")

    def _scalar(self, raw: Any) -> bool | int | float:
        if isinstance(raw, np.ndarray | list | tuple):
            if len(raw) != 1:
                raise BadValueError(f"{self.name}: one value is wanted, not {len(raw)}")
            raw = raw[0]
        if isinstance(raw, bytes):
            raw = raw.decode("utf-8", "replace")
        if isinstance(raw, str):
            raw = self._parse(raw.strip())
        if isinstance(raw, np.generic):
            raw = raw.item()
        if self.kind.is_float:
            return float(raw)
        if isinstance(raw, float) and not raw.is_integer():
            raise BadValueError(f"{self.name} = {raw!r} is not a whole number")
        number = int(raw)
        if self.kind is Kind.BOOL:
            return bool(number)
        if self.kind is Kind.ENUM:
            if not 0 <= number < max(1, len(self.facts.labels)):
                raise RangeError(f"{self.name} = {number} is outside 0 .. {len(self.facts.labels) - 1}")
            return number
        bounds = np.iinfo(self.kind.dtype)
        if not bounds.min <= number <= bounds.max:
            raise RangeError(f"{self.name} = {number} is outside {bounds.min} .. {bounds.max} of {self.kind.value}")
        return number

    def _parse(self, text: str) -> int | float:
        if text in self.facts.labels:
            return self.facts.labels.index(text)
        if self.kind is Kind.BOOL and text.lower() in BOOLEANS:
            return BOOLEANS[text.lower()]
        try:
            return float(text) if self.kind.is_float else int(text, 0)
        except ValueError:
            pass
        try:
            return float(text)
        except ValueError:
            choices = f"; the labels are {', '.join(self.facts.labels)}" if self.facts.labels else ""
            raise BadValueError(f"{self.name} = {text!r} is not a value of type {self.kind.value}{choices}") from None


BOOLEANS = {"off": 0, "on": 1, "false": 0, "true": 1, "no": 0, "yes": 1}
