"""Headers of images, decoded by their layout: the bytes between the numbers are those of the header before.

A header is a ``google.protobuf.Struct`` of numbers, or of such objects. Its bytes differ from one image to the next in
the 8 bytes of each number only, so a layout is learnt once, and then one ``unpack`` gives all numbers and one
comparison tells that it was the right layout.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf.struct_pb2 import Struct

from servers.daqdata.wire_fields import FIXED64, LENGTH, Unusual, fields

#: Of a message's layouts, by length of the header: senders write the keys in any order.
MAX_LAYOUTS: Final = 256

#: Struct.fields, the key and the value of its entries; Value.number_value, Value.struct_value.
FIELDS: Final = 1
KEY: Final = 1
VALUE: Final = 2
NUMBER: Final = 2
OBJECT: Final = 5


@dataclass(frozen=True)
class Layout:
    """Where the numbers of a header are.

    Args:
        pack: text and numbers in turn, text first and last.
        text: the bytes that are no numbers.
        entries: for each object of the header its key (None: the header itself), the keys of its numbers, and which of
            all numbers they are.
    """

    pack: struct.Struct
    text: tuple[bytes, ...]
    entries: tuple[tuple[str | None, tuple[str, ...], slice], ...]

    @classmethod
    def learn(cls, header: bytes) -> Layout:
        """Raises Unusual: there is more in it than numbers and objects of numbers."""
        numbers: list[tuple[str | None, str, int]] = []
        for key, number, start, end in _values(header, 0, len(header)):
            if number is not None:
                numbers.append((None, key, number))
                continue
            if start == end:
                raise Unusual("an empty object")
            for inner, place, _, _ in _values(header, start, end):
                if place is None:
                    raise Unusual("an object in an object")
                numbers.append((key, inner, place))
        if len({each[:2] for each in numbers}) < len(numbers):
            raise Unusual("a key stands there twice")
        form, last = "<", 0
        for *_, place in numbers:
            form += f"{place - last}sd"
            last = place + 8
        pack = struct.Struct(f"{form}{len(header) - last}s")
        entries: list[tuple[str | None, tuple[str, ...], slice]] = []
        first = 0
        for index in range(1, len(numbers) + 1):
            if index == len(numbers) or numbers[index][0] != numbers[first][0]:
                entries.append(
                    (numbers[first][0], tuple(each[1] for each in numbers[first:index]), slice(first, index))
                )
                first = index
        return cls(pack, pack.unpack(header)[::2], tuple(entries))

    def read(self, header: bytes) -> dict[str, Any] | None:
        """The header; None when it is of another layout."""
        parts = self.pack.unpack(header)
        if parts[::2] != self.text:
            return None
        numbers = parts[1::2]
        found: dict[str, Any] = {}
        for key, names, which in self.entries:
            values = zip(names, numbers[which], strict=True)
            if key is None:
                found.update(values)
            else:
                found[key] = dict(values)
        return found


@dataclass
class HeaderDecoder:
    """Decodes headers of few layouts quickly, and any other with protobuf."""

    _layouts: dict[int, list[Layout]] = field(default_factory=dict)
    _count: int = 0

    def decode(self, header: bytes) -> dict[str, Any]:
        """A Struct as a dictionary; numbers are floats.

        Raises:
            google.protobuf.message.DecodeError: it is no Struct.
        """
        known = self._layouts.get(len(header), ())
        for layout in known:
            if (found := layout.read(header)) is not None:
                return found
        try:
            layout = Layout.learn(header)
        except (Unusual, UnicodeDecodeError):
            return struct_dict(Struct.FromString(header))
        if self._count >= MAX_LAYOUTS:  # a sender of ever new keys shall not fill the memory
            self._layouts.clear()
            self._count = 0
        self._layouts.setdefault(len(header), []).append(layout)
        self._count += 1
        found = layout.read(header)
        assert found is not None
        return found


def struct_dict(header: Struct) -> dict[str, Any]:
    """A Struct of any content; NaN and infinities as floats, which JSON has not."""
    return {key: _value(value) for key, value in header.fields.items()}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return struct_dict(value.struct_value)
    if kind == "list_value":
        return [_value(each) for each in value.list_value.values]
    return None if kind in ("null_value", None) else getattr(value, kind)


def _values(data: bytes, start: int, end: int) -> Iterator[tuple[str, int | None, int, int]]:
    """The entries of a Struct: key, place of the number, begin and end of the object when it is one."""
    for number, kind, begin, stop in fields(data, start, end):
        if (number, kind) != (FIELDS, LENGTH):
            raise Unusual("a field that Struct has not")
        entry = list(fields(data, begin, stop))
        if [each[:2] for each in entry] != [(KEY, LENGTH), (VALUE, LENGTH)]:
            raise Unusual("an entry without key or value, or in another order")
        key = data[entry[0][2] : entry[0][3]].decode()
        inner = list(fields(data, entry[1][2], entry[1][3]))
        if len(inner) != 1:
            raise Unusual("a value that is none, or two")
        number, kind, begin, stop = inner[0]
        if (number, kind) == (NUMBER, FIXED64):
            yield key, begin, 0, 0
        elif (number, kind) == (OBJECT, LENGTH):
            yield key, None, begin, stop
        else:
            raise Unusual("a value that is neither number nor object")
