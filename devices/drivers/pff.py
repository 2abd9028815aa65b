"""PFF, the file format of PANOSETI frames: a JSON header, a blank line, ``*`` and the raw pixels, frame after frame.

Numbers of a header have fixed widths, so that all frames of a file have one length, and frame ``i`` is found without an
index. One number may still grow by a digit (nanoseconds of a clock that runs free): such frames are found by their
marks.

Source: the PANOSETI file format as its recorder hashpipe writes it; data products of github.com/panoseti.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import ProtocolError, UnknownNameError

#: Between header and pixels: the end of the JSON's blank line, and the mark of an image.
MARK: Final = b"\n\n*"
MAX_HEADER_BYTES: Final = 4096
QUABOS: Final = 4
FIELDS: Final = ("pkt_num", "pkt_tai", "pkt_nsec", "tv_sec", "tv_usec")
_numbers = operator.itemgetter(*FIELDS)


@dataclass(frozen=True)
class Product:
    """A data product.

    Args:
        shape: (rows, columns).
        dtype: of the pixels, little-endian.
        is_movie: images of all four quabos at a fixed rate; otherwise pulse heights, at events.
        has_quabos: the header has an entry for each quabo; otherwise the frame is one quabo's.
    """

    name: str
    shape: tuple[int, int]
    dtype: str
    is_movie: bool
    has_quabos: bool

    @cached_property
    def image_bytes(self) -> int:
        return self.shape[0] * self.shape[1] * self.bytes_per_pixel

    @cached_property
    def bytes_per_pixel(self) -> int:
        return np.dtype(self.dtype).itemsize


PRODUCTS: Final[Mapping[str, Product]] = MappingProxyType(
    {
        each.name: each
        for each in (
            Product("img16", (32, 32), "<u2", True, True),
            Product("img8", (32, 32), "u1", True, True),
            Product("ph256", (16, 16), "<i2", False, False),
            Product("ph1024", (32, 32), "<i2", False, True),
        )
    }
)


def product(name: str) -> Product:
    """The data product of a name; raises UnknownNameError."""
    try:
        return PRODUCTS[name]
    except KeyError:
        raise UnknownNameError(f"{name!r} is no data product; there are {', '.join(PRODUCTS)}") from None


class Stamp(NamedTuple):
    """When a packet was made and when it came, as a header tells it.

    Args:
        pkt_num: 16 bits, counted by each quabo and mode.
        pkt_tai: low 10 bits of the TAI seconds of the White Rabbit clock.
        pkt_nsec: ns within that second; 1e9 and more when the clock is not disciplined.
        tv_sec, tv_usec: the recorder's clock, s and us since 1970.
    """

    pkt_num: int
    pkt_tai: int
    pkt_nsec: int
    tv_sec: int
    tv_usec: int


@dataclass(frozen=True)
class RawFrame:
    """One frame as it stands in a file.

    Args:
        product: what it is.
        header: its JSON, without the blank line.
        pixels: row by row.
        prefix: what stands before it, on sockets of the recorder.
    """

    product: Product
    header: bytes
    pixels: bytes
    prefix: bytes = b""

    @property
    def image(self) -> NDArray[Any]:
        """(rows, columns), read-only."""
        return np.frombuffer(self.pixels, self.product.dtype).reshape(self.product.shape)

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The header; raises ProtocolError."""
        return parse_header(self.header)

    @property
    def quabo(self) -> int:
        """Whose frame it is; 0 for frames of all four."""
        number = 0 if self.product.has_quabos else self.fields.get("quabo_num", 0)
        return number if isinstance(number, int) and 0 <= number < QUABOS else 0

    @property
    def bytes(self) -> bytes:
        return self.header + MARK + self.pixels


def parse_header(header: bytes) -> dict[str, Any]:
    """The JSON object of a header; raises ProtocolError."""
    try:
        found = json.loads(header)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"a header is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ProtocolError(f"a header is {type(found).__name__}, not an object")
    return found


def stamps(fields: Mapping[str, Any]) -> list[Stamp]:
    """The stamps of a header: one, or four by quabo; a quabo that was missing has zeros.

    Raises:
        ProtocolError: a field is missing or no number.
    """
    entries = [fields[f"quabo_{n}"] for n in range(QUABOS) if f"quabo_{n}" in fields] or [fields]
    try:
        return [Stamp._make(map(int, _numbers(entry))) for entry in entries]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ProtocolError(f"a header lacks {error}: it has {', '.join(map(str, fields))[:200]}") from error


def encode_header(found: list[Stamp], quabo: int | None = None) -> bytes:
    """A header in the widths of the recorder: one stamp with the number of its quabo, or four."""
    if quabo is not None:
        return f'{{ "quabo_num": {quabo:1d}, {_stamp(found[0])}}}'.encode()
    lines = ", \n".join(f'   "quabo_{number}": {{ {_stamp(each)}}}' for number, each in enumerate(found))
    return f"{{\n{lines}\n}}".encode()


def _stamp(stamp: Stamp) -> str:
    num, tai, nsec, sec, usec = stamp
    return (
        f'"pkt_num": {num:10d}, "pkt_tai": {tai:4d}, "pkt_nsec": {nsec:9d}, "tv_sec": {sec:10d}, "tv_usec": {usec:6d}'
    )


class Splitter:
    """Cuts a stream of bytes into frames, however it is portioned; after damage it goes on with the next whole frame.

    A frame has the length of the one before it as a rule, and that is tried first.

    Args:
        prefix_bytes: so many stand before each frame and are given with it.
    Attributes:
        skipped: bytes that belonged to no frame.
    """

    def __init__(self, of: Product, prefix_bytes: int = 0) -> None:
        self.product = of
        self.skipped = 0
        self._prefix_bytes = prefix_bytes
        self._buffer = bytearray()
        self._header_bytes = 0

    def feed(self, data: bytes) -> Iterator[RawFrame]:
        """The frames that are whole now."""
        self._buffer += data
        start = 0
        while (found := self._next(start)) is not None:
            frame, start = found
            yield frame
        del self._buffer[:start]
        longest = self._prefix_bytes + MAX_HEADER_BYTES + len(MARK) + self.product.image_bytes
        if len(self._buffer) > 2 * longest:
            # No frame in so many bytes, but one may have begun in the last ones.
            spare = len(self._buffer) - longest
            self.skipped += spare
            del self._buffer[:spare]

    def clear(self) -> None:
        self._buffer.clear()
        self._header_bytes = 0

    def _next(self, start: int) -> tuple[RawFrame, int] | None:
        buffer, begin, skipped = self._buffer, start + self._prefix_bytes, 0
        at = begin + self._header_bytes
        if not (self._header_bytes and buffer.startswith(MARK, at) and buffer.startswith(b"{", begin)):
            found = self._search(begin)
            if found is None:
                return None
            opening, at = found
            begin, skipped = opening, opening - begin
        end = at + len(MARK) + self.product.image_bytes
        if end > len(buffer):
            return None
        self.skipped += skipped
        self._header_bytes = at - begin
        prefix, header = bytes(buffer[begin - self._prefix_bytes : begin]), bytes(buffer[begin:at])
        return RawFrame(self.product, header, bytes(buffer[at + len(MARK) : end]), prefix), end

    def _search(self, first: int) -> tuple[int, int] | None:
        """Where the next header begins and ends."""
        at = first - 1
        while (at := self._buffer.find(MARK, at + 1)) >= 0:
            opening = _opening(self._buffer, max(first, at - MAX_HEADER_BYTES), at)
            if opening is not None:
                return opening, at
        return None


_OPENING: Final = re.compile(rb'\{\s*"quabo_')


def _opening(buffer: bytearray, first: int, last: int) -> int | None:
    """Where the header begins that ends at ``last``; None when none does.

    A header of four quabos holds the opening of each entry, so the first opening after which all is JSON is meant.
    """
    for match in _OPENING.finditer(buffer, first, last):
        try:
            json.loads(buffer[match.start() : last])
        except (ValueError, RecursionError):
            continue
        return match.start()
    return None
