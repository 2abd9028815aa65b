"""What one Channel Access name shows: the value of a record (``NAME``, ``NAME.VAL``) or a field of it (``NAME.EGU``).

A trailing ``$`` asks for a text whole, as an array of CHAR. Fields are made when a client asks, so a record that only
its value is read of costs nothing more.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from caproto import ChannelType

from servers.epics import dbr
from servers.epics.alarm import Alarm, Severity, Status
from servers.epics.filters import Filter, filter_of
from servers.epics.records import Facts, Kind, Reading, Record

SEVERITIES = tuple(severity.name for severity in Severity)
ENUM_LABEL_FIELDS = (
    "ZRST", "ONST", "TWST", "THST", "FRST", "FVST", "SXST", "SVST", "EIST", "NIST", "TEST", "ELST", "TVST", "TTST",
    "FTST", "FFST",
)  # fmt: skip
STRING, INT, CHAR, DOUBLE = ChannelType.STRING, ChannelType.INT, ChannelType.CHAR, ChannelType.DOUBLE
LONG, ENUM = ChannelType.LONG, ChannelType.ENUM

WHOLE = Filter()
TEXT_BYTES = 2  # of a character at most: Tango has latin-1, Channel Access is given UTF-8

Getter = Callable[[Record], Any]
Field = tuple[ChannelType, Sequence[str], Getter]  # native type, labels, value


class View(ABC):
    """One name as Channel Access serves it.

    Attributes:
        native: its type, which never depends on the value.
        count: elements at most.
        labels: of an ENUM, at present.
        is_value: whether this is the record's value, which may be put; a field is read-only.
    """

    is_value = False

    def __init__(
        self, name: str, record: Record, native: ChannelType, count: int, labels: Sequence[str], *, as_text: bool
    ) -> None:
        self.name, self.record, self._labels = name, record, labels
        self.native = CHAR if as_text else native
        self.count = max(count, TEXT_BYTES * record.text_limit) if as_text else count
        self.as_text = as_text

    @property
    def labels(self) -> Sequence[str]:
        return self._labels

    @abstractmethod
    def value(self, reading: Reading) -> Any:
        """What a client is given of a reading."""

    def passes(self, sent: Reading, reading: Reading) -> bool:
        """Whether a changed value is worth an update after the one that was sent."""
        return True

    def facts(self) -> Facts:
        return Facts()

    def payload(self, data_type: ChannelType, count: int, reading: Reading) -> tuple[bytes, int]:
        """The bytes of a reply and the number of elements in them.

        Args:
            data_type: any DBR type up to CTRL, STSACK_STRING or CLASS_NAME.
            count: elements wanted; 0 for all there are.
        """
        if data_type == ChannelType.CLASS_NAME:
            return dbr.string_bytes(record_type(self.record)), 1
        if data_type == ChannelType.STSACK_STRING:
            value, _ = dbr.encode(self.value(reading), STRING, self.labels)
            severity = int(reading.alarm.severity)
            head = b"".join(word.to_bytes(2, "big") for word in (int(reading.alarm.status), severity, 1, severity))
            return head + value[: dbr.STRING_BYTES], 1
        base = ChannelType(data_type % 7)
        shown = self.value(reading)
        if base is CHAR and self.native is CHAR and isinstance(shown, str):
            shown = _fitting(shown, self.count)
        value, length = dbr.encode(shown, base, self.labels)
        if 0 < count < length:
            value, length = value[: len(value) // length * count], count
        writable = self.is_value and self.record.handler is not None
        return dbr.metadata(reading, self.facts(), data_type, self.labels, writable) + value, length


class ValueView(View):
    is_value = True

    def __init__(self, name: str, record: Record, *, as_text: bool = False, wanted: Filter = WHOLE) -> None:
        native = dbr.native(record)
        self._filter, self._is_whole = wanted, wanted.is_whole or not record.rank
        is_long_text = record.kind is Kind.STRING and native is CHAR
        count = TEXT_BYTES * record.text_limit if is_long_text else record.max_length
        super().__init__(name, record, native, count, (), as_text=as_text)

    @property
    def labels(self) -> Sequence[str]:
        return dbr.labels_of(self.record)

    def value(self, reading: Reading) -> Any:
        return reading.value if self._is_whole else self._filter.part(reading.value)

    def passes(self, sent: Reading, reading: Reading) -> bool:
        return self._filter.passes(sent.value, reading.value)

    def payload(self, data_type: ChannelType, count: int, reading: Reading) -> tuple[bytes, int]:
        # Encoded data have no greatest length; clients made room for so many elements as the channel has.
        if isinstance(reading.value, np.ndarray) and reading.value.size > self.record.max_length:
            text = f"{reading.value.size} elements, Channel Access has at most {self.record.max_length}"
            alarm = Alarm(Severity.INVALID, Status.READ, text)
            reading = Reading(self.record.blank(), reading.timestamp_ns, alarm)
        return super().payload(data_type, count, reading)

    def facts(self) -> Facts:
        return self.record.facts


class FieldView(View):
    def __init__(self, name: str, record: Record, field: Field, *, as_text: bool = False) -> None:
        native, labels, self._get = field
        super().__init__(name, record, native, 1, labels, as_text=as_text)

    def value(self, reading: Reading) -> Any:
        return self._get(self.record)


def view(name: str, records: Callable[[str], Record | None]) -> View | None:
    """The view that a name asks for, or None when there is no such record or field.

    Args:
        name: ``RECORD``, ``RECORD.FIELD``, either with ``$``; ``RECORD.`` or ``RECORD.VAL`` with a filter.
        records: finds a record by its name.
    """
    as_text = name.endswith("$")
    base, _, field_name = (name[:-1] if as_text else name).partition(".")
    record = records(base)
    if record is None:
        return None
    if match := re.fullmatch(r"(?:VAL)?([{\[].*)", field_name):
        wanted = None if as_text else filter_of(match[1])
        return None if wanted is None else ValueView(name, record, wanted=wanted)
    if field_name in ("", "VAL"):
        return None if as_text and not _is_text(record) else ValueView(name, record, as_text=as_text)
    field = field_of(record, field_name)
    if field is None or (as_text and field[0] is not STRING):
        return None
    return FieldView(name, record, field, as_text=as_text)


def _fitting(text: str, most: int) -> str:
    """A text of at most so many bytes; one that is longer than its channel ends with its length."""
    raw = text.encode()
    if len(raw) <= most:
        return text
    mark = f"... ({len(raw)} bytes)"
    return raw[: max(0, most - len(mark))].decode("utf-8", "ignore") + mark


def _is_text(record: Record) -> bool:
    return record.kind is Kind.STRING and record.rank == 0


def field_of(record: Record, name: str) -> Field | None:
    """A field's type, labels and value; None when this kind of record has no such field."""
    number = LONG if record.kind.is_integer and dbr.native(record) is not DOUBLE else DOUBLE
    if name in COMMON:
        return COMMON[name]
    if name in ARRAY and record.rank:
        return ARRAY[name]
    if name in NUMBER and record.kind.is_number:
        return NUMBER[name]
    if name in BOUND and record.kind.is_number:
        return number, (), BOUND[name]
    labels = dbr.labels_of(record)
    if record.kind is Kind.BOOL and name in ("ZNAM", "ONAM"):
        return STRING, (), lambda _: labels[name == "ONAM"]
    if record.kind is Kind.ENUM and name in ENUM_LABEL_FIELDS:
        index = ENUM_LABEL_FIELDS.index(name)
        return STRING, (), lambda record: (*record.facts.labels, *[""] * 16)[index]
    return None


def record_type(record: Record) -> str:
    """The EPICS record type that behaves most like this one (field RTYP)."""
    writable = record.handler is not None
    if record.rank:
        return "waveform"
    if record.kind is Kind.STRING:
        if record.text_limit >= dbr.STRING_BYTES:
            return "lso" if writable else "lsi"
        return "stringout" if writable else "stringin"
    if record.kind is Kind.BOOL:
        return "bo" if writable else "bi"
    if record.kind is Kind.ENUM and dbr.native(record) is ENUM:
        return "mbbo" if writable else "mbbi"
    if dbr.native(record) in (LONG, INT, CHAR):
        return "longout" if writable else "longin"
    return "ao" if writable else "ai"


def _time(record: Record) -> str:
    nanoseconds = record.reading.timestamp_ns
    stamp = datetime.fromtimestamp(nanoseconds // 1_000_000_000).astimezone()
    return f"{stamp:%Y-%m-%d %H:%M:%S}.{nanoseconds % 1_000_000_000 // 1000:06d}"


def _length(record: Record) -> int:
    value = record.reading.value
    return int(getattr(value, "size", None) or len(value))


def _set(bound: float | None) -> float:
    return math.nan if bound is None else bound


COMMON: dict[str, Field] = {
    "NAME": (STRING, (), lambda record: record.name),
    "RTYP": (STRING, (), record_type),
    "DESC": (STRING, (), lambda record: record.facts.description),
    "STAT": (STRING, (), lambda record: Status(record.reading.alarm.status).name),
    "SEVR": (ENUM, SEVERITIES, lambda record: int(record.reading.alarm.severity)),
    "AMSG": (STRING, (), lambda record: record.reading.alarm.message),
    "TIME": (STRING, (), _time),
    "UDF": (CHAR, (), lambda record: int(record.reading.alarm.status == Status.UDF)),
    "PROC": (CHAR, (), lambda record: 0),
    "DISP": (CHAR, (), lambda record: int(record.handler is None)),
    "EGU": (STRING, (), lambda record: record.facts.unit),
}
ARRAY: dict[str, Field] = {
    "NORD": (LONG, (), _length),
    "NELM": (LONG, (), lambda record: record.max_length),
    "FTVL": (STRING, (), lambda record: dbr.native(record).name.replace("INT", "SHORT")),
}
NUMBER: dict[str, Field] = {
    "PREC": (INT, (), lambda record: record.facts.precision or 0),
    "HYST": (DOUBLE, (), lambda record: record.facts.hysteresis),
    "ADEL": (DOUBLE, (), lambda record: record.facts.archive_deadband),
    "MDEL": (DOUBLE, (), lambda record: record.facts.monitor_deadband),
    "HHSV": (ENUM, SEVERITIES, lambda record: 2 * (record.facts.alarm[1] is not None)),
    "HSV": (ENUM, SEVERITIES, lambda record: 1 * (record.facts.warning[1] is not None)),
    "LSV": (ENUM, SEVERITIES, lambda record: 1 * (record.facts.warning[0] is not None)),
    "LLSV": (ENUM, SEVERITIES, lambda record: 2 * (record.facts.alarm[0] is not None)),
}
BOUND: dict[str, Getter] = {
    "HOPR": lambda record: record.facts.display_limits[1],
    "LOPR": lambda record: record.facts.display_limits[0],
    "DRVH": lambda record: record.facts.control_limits[1],
    "DRVL": lambda record: record.facts.control_limits[0],
    "HIHI": lambda record: _set(record.facts.alarm[1]),
    "HIGH": lambda record: _set(record.facts.warning[1]),
    "LOW": lambda record: _set(record.facts.warning[0]),
    "LOLO": lambda record: _set(record.facts.alarm[0]),
}
