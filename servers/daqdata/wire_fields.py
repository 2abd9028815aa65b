"""The fields of a serialized protobuf message, without taking them out of it.

Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

VARINT: Final = 0
FIXED64: Final = 1
LENGTH: Final = 2
FIXED32: Final = 5
MAX_NUMBER: Final = (1 << 29) - 1
_MAX_SHIFT: Final = 63


class Unusual(Exception):
    """A message in a form that protobuf must decide upon; never leaves the decoder."""


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends; raises Unusual."""
    try:
        value = data[at]
        if value < 0x80:
            return value, at + 1
        value &= 0x7F
        shift = 7
        while shift <= _MAX_SHIFT:
            at += 1
            byte = data[at]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, at + 1
            shift += 7
    except IndexError:
        raise Unusual("it ends within a number") from None
    raise Unusual("a number of more than 10 bytes")


def fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, wire type, begin and end of each field; of a number the begin is its value.

    Raises:
        Unusual: groups, or a field that ends outside.
    """
    while start < end:
        tag, start = varint(data, start)
        number, kind = tag >> 3, tag & 7
        if not 0 < number <= MAX_NUMBER:
            raise Unusual("a field of a number that none can have")
        if kind == VARINT:
            value, start = varint(data, start)
            yield number, kind, value, start
            if start > end:
                raise Unusual("a field that ends outside of its message")
            continue
        if kind == LENGTH:
            length, start = varint(data, start)
        elif kind == FIXED64:
            length = 8
        elif kind == FIXED32:
            length = 4
        else:
            raise Unusual("a group")
        begin, start = start, start + length
        if start > end:
            raise Unusual("a field that ends outside of its message")
        yield number, kind, begin, start
