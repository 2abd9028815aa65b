"""Tango values as a person types and reads them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import tango

from devices.core.errors import BadValueError
from servers.facility.spelling import did_you_mean

LINE_LIMIT: Final = 2000

_KIND = tango.CmdArgType
_TRUE, _FALSE = ("true", "on", "yes", "1"), ("false", "off", "no", "0")
_INTEGERS = frozenset(
    {
        _KIND.DevUChar,
        _KIND.DevShort,
        _KIND.DevUShort,
        _KIND.DevLong,
        _KIND.DevULong,
        _KIND.DevLong64,
        _KIND.DevULong64,
    }
)
_FLOATS = frozenset({_KIND.DevFloat, _KIND.DevDouble})
_ARRAYS: Final = {
    _KIND.DevVarBooleanArray: _KIND.DevBoolean,
    _KIND.DevVarCharArray: _KIND.DevUChar,
    _KIND.DevVarShortArray: _KIND.DevShort,
    _KIND.DevVarUShortArray: _KIND.DevUShort,
    _KIND.DevVarLongArray: _KIND.DevLong,
    _KIND.DevVarULongArray: _KIND.DevULong,
    _KIND.DevVarLong64Array: _KIND.DevLong64,
    _KIND.DevVarULong64Array: _KIND.DevULong64,
    _KIND.DevVarFloatArray: _KIND.DevFloat,
    _KIND.DevVarDoubleArray: _KIND.DevDouble,
    _KIND.DevVarStringArray: _KIND.DevString,
}


def parse(
    name: str,
    words: Sequence[str],
    kind: tango.CmdArgType,
    data_format: tango.AttrDataFormat,
    labels: Sequence[str] = (),
) -> Any:
    """A value for an attribute, from the words of a command line.

    Args:
        name: of the attribute, for the error text.
        words: one for a scalar; for a spectrum several, or one JSON list; for an image one JSON list of rows.
        kind: the Tango type of an element.
        data_format: scalar, spectrum or image.
        labels: of an enumeration.

    Raises:
        BadValueError: names the word that is not of the type.
    """
    if data_format == tango.AttrDataFormat.SCALAR:
        return _element(name, " ".join(words), kind, labels)
    items = _items(name, words)
    if data_format == tango.AttrDataFormat.SPECTRUM:
        return [_element(name, item, kind, labels) for item in items]
    rows = [[_element(name, item, kind, labels) for item in _row(name, row)] for row in items]
    if len({len(row) for row in rows}) > 1:
        raise BadValueError(f"{name}: the rows of an image have one length, not {sorted({len(row) for row in rows})}")
    return rows


def parse_argument(name: str, words: Sequence[str], kind: tango.CmdArgType) -> Any:
    """A value for the argument of a command, whose type says whether it is an array."""
    if kind in _ARRAYS:
        return parse(name, words, _ARRAYS[kind], tango.AttrDataFormat.SPECTRUM)
    return parse(name, words, kind, tango.AttrDataFormat.SCALAR)


def show(value: Any, labels: Sequence[str] = ()) -> str:
    """A value as text: numbers with all their digits, an enumeration by label, arrays as JSON lists."""
    if labels and np.ndim(value) == 0:
        return labels[int(value)] if 0 <= int(value) < len(labels) else str(int(value))
    if labels:
        value = [show(item, labels) for item in value]
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, str | tango.DevState):
        return str(value)
    text = json.dumps(value, default=str)
    return text if len(text) <= LINE_LIMIT else f"{text[:LINE_LIMIT]}... ({np.shape(value)})"


def _items(name: str, words: Sequence[str]) -> list[Any]:
    if len(words) == 1 and words[0].lstrip().startswith("["):
        try:
            items = json.loads(words[0])
        except ValueError as error:
            raise BadValueError(f"{name}: {words[0]} is not a JSON list: {error}") from None
        return _row(name, items)
    return list(words) if len(words) > 1 else words[0].split(",")


def _row(name: str, items: Any) -> list[Any]:
    if not isinstance(items, list):
        raise BadValueError(f"{name}: {items} is not a list")
    return items


def _element(name: str, item: Any, kind: tango.CmdArgType, labels: Sequence[str]) -> Any:
    text = item if isinstance(item, str) else json.dumps(item)
    if kind == _KIND.DevString:
        return text
    if kind == _KIND.DevEnum:
        return _enumeration(name, text, labels)
    if kind == _KIND.DevBoolean:
        if text.casefold() not in _TRUE + _FALSE:
            raise BadValueError(f"{name}: {text} is neither true nor false")
        return text.casefold() in _TRUE
    if kind in _INTEGERS:
        return _number(name, text, lambda word: int(word, 0), "a whole number")
    if kind in _FLOATS:
        return _number(name, text, float, "a number")
    raise BadValueError(f"{name}: a value of the type {kind} cannot be given as text")


def _number(name: str, text: str, convert: Callable[[str], float], wanted: str) -> float:
    try:
        return convert(text.strip())
    except ValueError:
        raise BadValueError(f"{name}: {text} is not {wanted}") from None


def _enumeration(name: str, text: str, labels: Sequence[str]) -> int:
    folded = [label.casefold() for label in labels]
    if text.casefold() in folded:
        return folded.index(text.casefold())
    if text.isdecimal() and int(text) < max(len(labels), 1):
        return int(text)
    raise BadValueError(f"{name}: {text} is not one of its labels{did_you_mean(text, labels)}")
