"""The data types of the model: what may be published, put, passed and returned."""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from devices.core.errors import BadValueError, RangeError

#: Texts longer than this are refused unless a declaration says otherwise, characters.
DEFAULT_TEXT_LIMIT = 4096
#: The longest spectrum of an argument that declares no length of its own, elements.
DEFAULT_ARGUMENT_LENGTH = 65536


class Kind(enum.StrEnum):
    """The element types; the text is the one of the device description."""

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
    STATE = "state"
    ENCODED = "encoded"


INTEGERS = frozenset(k for k in Kind if "int" in k)
FLOATS = frozenset({Kind.FLOAT32, Kind.FLOAT64})
NUMBERS = INTEGERS | FLOATS


class DeviceState(enum.Enum):
    """The states of a device, in Tango's order and with Tango's names."""

    ON = 0
    OFF = 1
    CLOSE = 2
    OPEN = 3
    INSERT = 4
    EXTRACT = 5
    MOVING = 6
    STANDBY = 7
    FAULT = 8
    INIT = 9
    RUNNING = 10
    ALARM = 11
    DISABLE = 12
    UNKNOWN = 13


@dataclass(frozen=True, slots=True)
class Encoded:
    """Bytes with the name of their format, e.g. ``("image/jpeg", b"...")``."""

    format: str
    data: bytes


def label(member: enum.Enum) -> str:
    """The text of an enumeration member: its value when that is a text, otherwise its name."""
    return member.value if isinstance(member.value, str) else member.name


@dataclass(frozen=True)
class DataType:
    """An element type with its greatest shape: () a scalar, (n,) a spectrum, (rows, columns) an image."""

    kind: Kind
    shape: tuple[int, ...] = ()
    enum_class: type[enum.Enum] | None = field(default=None, compare=False)
    labels: tuple[str, ...] = ()
    text_limit: int = DEFAULT_TEXT_LIMIT

    @classmethod
    def of(cls, python_type: Any, shape: Sequence[int] = (), text_limit: int = DEFAULT_TEXT_LIMIT) -> DataType:
        """The data type of a declaration: ``float``, ``numpy.uint16``, an ``enum.Enum`` class, ``list[float]`` ...

        Raises:
            TypeError: the model has no such type.
        """
        shape = tuple(shape)
        origin = typing.get_origin(python_type)
        if origin is typing.Annotated:
            return cls.of(typing.get_args(python_type)[0], shape, text_limit)
        if len(shape) > 2 or any(n < 1 for n in shape):
            raise TypeError(f"{shape} is not a shape of the model: (), (n,) or (rows, columns)")
        if python_type is np.ndarray or origin is np.ndarray:
            # numpy.ndarray, ndarray[Any, Any] and ndarray[Any, dtype[X]]: the first two leave the element type open.
            inner = next(iter(typing.get_args((typing.get_args(python_type) or (Any,))[-1])), float)
            return cls.of(inner, shape or (DEFAULT_ARGUMENT_LENGTH,), text_limit)
        if origin in (list, tuple, Sequence):
            return cls.of(typing.get_args(python_type)[0], shape or (DEFAULT_ARGUMENT_LENGTH,), text_limit)
        if origin is typing.Literal:
            choices = typing.get_args(python_type)
            if not all(isinstance(choice, str) for choice in choices):
                raise TypeError(f"{python_type} is not a type of the model: its choices are not texts")
            return cls(Kind.STRING, shape, None, tuple(choices), text_limit)
        if isinstance(python_type, types.GenericAlias):
            raise TypeError(f"{python_type} is not a type of the model")
        if isinstance(python_type, type) and issubclass(python_type, enum.Enum):
            if python_type is DeviceState:
                return cls(Kind.STATE, shape, python_type, tuple(m.name for m in python_type))
            return cls(Kind.ENUM, shape, python_type, tuple(label(m) for m in python_type))
        simple = {bool: Kind.BOOL, int: Kind.INT64, float: Kind.FLOAT64, str: Kind.STRING}
        if python_type in simple:
            return cls(simple[python_type], shape, text_limit=text_limit)
        if python_type in (Encoded, bytes):
            return cls(Kind.ENCODED, shape)
        try:
            if python_type in (None, types.NoneType):
                raise TypeError("numpy would take it for a float64")
            return cls(Kind(np.dtype(python_type).name), shape)
        except (TypeError, ValueError):
            raise TypeError(f"{python_type!r} is not a type of the model") from None

    @property
    def is_number(self) -> bool:
        return self.kind in NUMBERS

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy type of an array of this kind (numbers and bool only)."""
        return np.dtype(self.kind.value)

    def convert(self, value: Any, name: str, *, copy: bool = True) -> Any:
        """The value in the form that readings hold: Python scalars, read-only arrays, tuples of texts or members.

        Raises:
            BadValueError: wrong type or number of dimensions.
            RangeError: a number that does not fit, a text that is too long, an array that is too large.
        """
        if not self.shape:
            return self._scalar(value, name)
        if self.is_number or self.kind is Kind.BOOL:
            return self._array(value, name, copy)
        if isinstance(value, str | bytes) or not isinstance(value, Sequence | np.ndarray):
            raise BadValueError(f"{name} = {value!r} is not a list")
        if len(self.shape) == 2:
            row_type = DataType(self.kind, self.shape[1:], self.enum_class, self.labels, self.text_limit)
            rows = tuple(row_type.convert(row, f"{name}[{i}]") for i, row in enumerate(value))
            if len({len(row) for row in rows}) > 1:
                raise BadValueError(f"the rows of {name} differ in length")
        else:
            rows = tuple(self._scalar(item, f"{name}[{i}]") for i, item in enumerate(value))
        if len(rows) > self.shape[0]:
            raise RangeError(f"{name} has {len(rows)} elements, at most {self.shape[0]} are allowed")
        return rows

    def _array(self, value: Any, name: str, copy: bool) -> np.ndarray[Any, Any]:
        try:
            raw = np.asarray(value)
            if self.kind in INTEGERS and raw.dtype.kind in "fO" and not isinstance(value, np.ndarray):
                # numpy makes float64 of a list with numbers on both sides of 2**63, and their last digits are lost.
                exact = np.array(value, dtype=object)
                raw = np.array([self._scalar(item, name) for item in exact.flat], self.dtype).reshape(exact.shape)
            if raw.size and raw.dtype.kind not in "biuf":
                raise TypeError
            if raw.size == 0 and raw.ndim == 1:
                # JSON has one empty list for an image of no rows.
                raw = raw.reshape((0,) * len(self.shape))
            if self.kind in INTEGERS and raw.dtype != self.dtype and raw.size:
                self._check_integers(raw, name)
            if self.kind is Kind.BOOL and raw.dtype != self.dtype and not np.isin(raw, (0, 1)).all():
                raise BadValueError(f"{name} holds numbers other than 0 and 1, bool is expected")
            with np.errstate(over="raise"):
                array = np.array(raw, dtype=self.dtype, copy=True if copy else None, order="C")
        except FloatingPointError:
            raise RangeError(f"{name} holds a number beyond {np.finfo(self.dtype).max:g} of {self.kind}") from None
        except (TypeError, ValueError, OverflowError) as error:
            if isinstance(error, RangeError | BadValueError):
                raise
            raise BadValueError(f"{name} is not an array of {self.kind}") from None
        if array.ndim != len(self.shape):
            raise BadValueError(f"{name} has {array.ndim} dimensions, {len(self.shape)} are expected")
        if any(n > most for n, most in zip(array.shape, self.shape, strict=True)):
            raise RangeError(f"{name} has the shape {array.shape}, at most {self.shape} is allowed")
        array.flags.writeable = False
        return array

    def _check_integers(self, raw: np.ndarray[Any, Any], name: str) -> None:
        if raw.dtype.kind == "f" and not (np.isfinite(raw).all() and (raw == np.trunc(raw)).all()):
            raise BadValueError(f"{name} holds numbers that are not whole, {self.kind} is expected")
        info = np.iinfo(self.dtype)
        low, high = int(raw.min()), int(raw.max())
        if low < info.min or high > info.max:
            bad = low if low < info.min else high
            raise RangeError(f"{name} holds {bad}, outside [{info.min}, {info.max}] of {self.kind}")

    def _scalar(self, value: Any, name: str) -> Any:
        kind = self.kind
        if isinstance(value, np.generic):
            value = value.item()
        if kind in FLOATS:
            if isinstance(value, int | float):
                return self._float(value, name)
        elif kind is Kind.BOOL:
            if isinstance(value, bool) or (isinstance(value, int | float) and value in (0, 1)):
                return bool(value)
        elif kind in INTEGERS:
            if isinstance(value, int | float):
                return self._integer(value, name)
        elif kind is Kind.STRING:
            if isinstance(value, str):
                return self._text(value, name)
        elif kind is Kind.ENCODED:
            if isinstance(value, Encoded):
                return value
            if isinstance(value, bytes):
                return Encoded("", value)
        else:
            return self.member(value, name)
        raise BadValueError(f"{name} = {value!r} is not a {kind}")

    def _float(self, value: float, name: str) -> float:
        try:
            if self.kind is Kind.FLOAT64:
                return float(value)
            with np.errstate(over="raise"):
                return float(np.float32(value))
        except (OverflowError, FloatingPointError):
            most = np.finfo(self.dtype).max
            raise RangeError(f"{name} = {value!r:.40} is outside [{-most:g}, {most:g}] of {self.kind}") from None

    def _integer(self, value: float, name: str) -> int:
        if value != value or value in (float("inf"), float("-inf")) or int(value) != value:
            raise BadValueError(f"{name} = {value!r} is not a whole number")
        info = np.iinfo(self.dtype)
        if not info.min <= value <= info.max:
            raise RangeError(f"{name} = {value} is outside [{info.min}, {info.max}] of {self.kind}")
        return int(value)

    def _text(self, value: str, name: str) -> str:
        if len(value) > self.text_limit:
            raise RangeError(f"{name} has {len(value)} characters, at most {self.text_limit} are allowed")
        if "\0" in value:
            raise BadValueError(f"{name} holds a NUL character")
        if self.labels and value not in self.labels:
            raise RangeError(f"{name} = {value!r} is none of {', '.join(self.labels)}")
        return value

    def member(self, value: Any, name: str) -> enum.Enum:
        """The enumeration member for a member, an index or a label.

        Raises:
            RangeError: there is no such member; the text lists the labels.
        """
        assert self.enum_class is not None
        members = tuple(self.enum_class)
        if isinstance(value, self.enum_class):
            return value
        if isinstance(value, str):
            for member, text in zip(members, self.labels, strict=True):
                if text == value:
                    return member
            for member, text in zip(members, self.labels, strict=True):
                if text.casefold() == value.strip().casefold():
                    return member
        elif isinstance(value, int | float) and value in range(len(members)):
            return members[int(value)]
        raise RangeError(f"{name} = {value!r} is none of {', '.join(self.labels)}")

    def index(self, member: enum.Enum) -> int:
        """The position of an enumeration member, as Tango and EPICS count it."""
        assert self.enum_class is not None
        return tuple(self.enum_class).index(member)

    def to_json(self, value: Any) -> Any:
        """The value as JSON holds it: numbers, texts, lists; enumeration members by label."""
        if isinstance(value, enum.Enum):
            return label(value) if self.kind is not Kind.STATE else value.name
        if isinstance(value, np.ndarray):
            return value.tolist()
        if isinstance(value, tuple):
            return [self.to_json(item) for item in value]
        if isinstance(value, Encoded):
            return {"format": value.format, "bytes": len(value.data)}
        return value
