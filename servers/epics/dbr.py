"""Channel Access data: a record's value and facts as DBR bytes, and a client's DBR bytes as a Python value.

Big-endian throughout, as on the wire.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from caproto import DBR_TYPES, ChannelType, native_type

from devices.core.errors import BadValueError
from servers.epics.names import fits_ca_enum
from servers.epics.records import Facts, Kind, Reading, Record

STRING_BYTES = 40  # of a DBR_STRING, with its NUL
UNIT_BYTES = 7  # of 8: a C client reads on to the NUL
EPICS_EPOCH = 631152000  # s, Unix time of 1990-01-01
BOOL_LABELS = ("Off", "On")

DTYPES: dict[ChannelType, np.dtype[Any]] = {
    ChannelType.INT: np.dtype(">i2"),
    ChannelType.FLOAT: np.dtype(">f4"),
    ChannelType.ENUM: np.dtype(">u2"),
    ChannelType.CHAR: np.dtype("u1"),
    ChannelType.LONG: np.dtype(">i4"),
    ChannelType.DOUBLE: np.dtype(">f8"),
}
NATIVE: dict[Kind, ChannelType] = {
    Kind.UINT8: ChannelType.CHAR,
    Kind.INT16: ChannelType.INT,
    Kind.UINT16: ChannelType.LONG,
    Kind.INT32: ChannelType.LONG,
    Kind.UINT32: ChannelType.DOUBLE,
    Kind.INT64: ChannelType.DOUBLE,
    Kind.UINT64: ChannelType.DOUBLE,
    Kind.FLOAT32: ChannelType.FLOAT,
    Kind.FLOAT64: ChannelType.DOUBLE,
}
STS, TIME, GR = 1, 2, 3  # a DBR type is 7 x its category + its native type; 4 is CTRL
# The padding that puts the value on its own alignment: STRING, INT, FLOAT, ENUM, CHAR, LONG, DOUBLE.
_STS = [struct.Struct(f">HH{pad}x") for pad in (0, 0, 0, 0, 1, 0, 4)]
_TIME = [struct.Struct(f">HHII{pad}x") for pad in (0, 2, 0, 2, 3, 0, 4)]
_ENUM = struct.Struct(">HHH" + "26s" * 16)
_SCALARS = {ChannelType.DOUBLE: struct.Struct(">d"), ChannelType.FLOAT: struct.Struct(">f")}


def native(record: Record) -> ChannelType:
    """The Channel Access type of a record; it never depends on the value."""
    if record.kind is Kind.STRING:
        return ChannelType.CHAR if record.rank == 0 and record.text_limit >= STRING_BYTES else ChannelType.STRING
    if record.kind is Kind.BOOL:
        return ChannelType.CHAR if record.rank else ChannelType.ENUM
    if record.kind is Kind.ENUM:
        return ChannelType.ENUM if record.rank == 0 and fits_ca_enum(record.facts.labels) else ChannelType.LONG
    return NATIVE[record.kind]


def labels_of(record: Record) -> Sequence[str]:
    return BOOL_LABELS if record.kind is Kind.BOOL and not record.facts.labels else record.facts.labels


def string_bytes(text: str) -> bytes:
    """A DBR_STRING: at most 39 bytes, whole characters, NUL-padded. ``NAME$`` gives what is cut here."""
    raw = text.encode()
    if len(raw) >= STRING_BYTES:
        raw = raw[: STRING_BYTES - 1].decode("utf-8", "ignore").encode()
    return raw.ljust(STRING_BYTES, b"\0")


def encode(value: Any, requested: ChannelType, labels: Sequence[str] = ()) -> tuple[bytes, int]:
    """A value as bytes of a native DBR type.

    Args:
        value: number, text, list of texts, or array of any shape (an image is sent row by row).
        requested: one of the seven native types.
        labels: of an enumeration, for DBR_STRING.
    Returns:
        The bytes and the number of elements.
    """
    if requested is ChannelType.STRING:
        texts = [_text(element, labels) for element in _elements(value)]
        return b"".join(map(string_bytes, texts)), len(texts)
    if isinstance(value, str):
        return _text_as_numbers(value, requested)
    packer = _SCALARS.get(requested)
    if packer is not None and isinstance(value, int | float):
        try:
            return packer.pack(value), 1
        except OverflowError:
            return packer.pack(float("inf") if value > 0 else float("-inf")), 1
    array = np.atleast_1d(np.asarray([float(text or 0) for text in value] if _is_texts(value) else value)).ravel()
    return _fitted(array, DTYPES[requested]).tobytes(), array.size


def _text_as_numbers(text: str, requested: ChannelType) -> tuple[bytes, int]:
    if requested is ChannelType.CHAR:
        raw = text.encode() or b"\0"  # a monitor reply without any element means "cancelled" to a client
        return raw, len(raw)
    try:
        number = float(text or 0)
    except ValueError:
        number = 0.0
    return _fitted(np.array([number]), DTYPES[requested]).tobytes(), 1


def _fitted(array: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """The array in another type; what does not fit an integer type becomes its nearest bound, NaN becomes 0."""
    if dtype.kind in "iu" and not np.can_cast(array.dtype, dtype):
        bounds = np.iinfo(dtype)
        array = np.clip(np.nan_to_num(array, posinf=bounds.max, neginf=bounds.min), bounds.min, bounds.max)
    with np.errstate(over="ignore"):
        return array.astype(dtype)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], str)


def _elements(value: Any) -> Sequence[Any]:
    if isinstance(value, np.ndarray):
        return value.ravel().tolist()
    return value if isinstance(value, list | tuple) else (value,)


def _text(value: Any, labels: Sequence[str]) -> str:
    if isinstance(value, str):
        return value
    if labels and 0 <= int(value) < len(labels):
        return labels[int(value)]
    return f"{value:.15g}" if isinstance(value, float) else str(int(value) if isinstance(value, bool) else value)


def decode(data: Any, data_type: ChannelType, record: Record) -> Any:
    """What a client put, as a Python value for ``Record.convert``.

    Args:
        data: as caproto parsed it: texts (bytes) for DBR_STRING, otherwise an array in wire order.
    Raises:
        BadValueError: this DBR type cannot be put.
    """
    if data_type not in DBR_TYPES or data_type >= ChannelType.PUT_ACKT:
        raise BadValueError(f"{record.name}: DBR type {int(data_type)} cannot be put")
    base = native_type(data_type)
    if base is ChannelType.STRING:
        texts = [_decoded(bytes(element)) for element in data]
        return texts if record.rank else (texts[0] if texts else "")
    array = np.asarray(data)
    if base is ChannelType.CHAR and record.kind is Kind.STRING:
        return _decoded(array.tobytes())
    values = array.astype(array.dtype.newbyteorder("="))
    return values if record.rank or len(values) != 1 else values[0].item()


def _decoded(raw: bytes) -> str:
    raw = raw.partition(b"\0")[0]
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def metadata(reading: Reading, facts: Facts, data_type: int, labels: Sequence[str], writable: bool) -> bytes:
    """The bytes of a DBR_STS, TIME, GR or CTRL structure that stand before the value.

    Display and control limits 0, 0 mean none, an infinite one none on that side; an
    alarm bound that is not set is NaN, or 0 in an integer type.

    Source:
        EPICS base, db_access.h; GR_STRING and CTRL_STRING are laid out as STS_STRING there.
    """
    category, base = divmod(data_type, 7)
    head = (reading.alarm.status, reading.alarm.severity)
    if category == 0:
        return b""
    if category == TIME:
        seconds, nanoseconds = divmod(reading.timestamp_ns, 1_000_000_000)
        return _TIME[base].pack(*head, max(0, seconds - EPICS_EPOCH), nanoseconds)
    if category == STS or base == ChannelType.STRING:
        return _STS[base].pack(*head)
    if base == ChannelType.ENUM:
        shown = [label.encode() for label in labels[:16]]
        return _ENUM.pack(*head, len(shown), *(shown + [b""] * (16 - len(shown))))
    dtype = DTYPES[ChannelType(base)]
    bounds = _bounds(facts, writable)[: 6 if category == GR else 8]
    limits = _fitted(np.array(bounds), dtype).tobytes()
    unit = facts.unit.encode()[:UNIT_BYTES].decode("utf-8", "ignore").encode()
    if dtype.kind == "f":
        return struct.pack(">HHh2x8s", *head, facts.precision or 0, unit) + limits
    return struct.pack(">HH8s", *head, unit) + limits + (b"\0" if base == ChannelType.CHAR else b"")


def _bounds(facts: Facts, writable: bool) -> list[float]:
    display = facts.display_limits
    control = facts.control_limits if writable else (0.0, 0.0)
    upper_to_lower = (display[1], display[0], facts.alarm[1], facts.warning[1], facts.warning[0], facts.alarm[0])
    return [np.nan if bound is None else bound for bound in (*upper_to_lower, control[1], control[0])]
