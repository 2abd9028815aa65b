"""The TIFF files that detectors write: one frame, not compressed, in one piece. Others are for tifffile.

Reading the few entries that matter takes a hundredth of the time of a general reader, and a frame is not copied.

Source: TIFF Revision 6.0, Adobe 1992, sections 2 and 3; SampleFormat in section 19.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_FORMATS: Final = {3: "H", 4: "I"}
_KINDS: Final = {1: "u", 2: "i", 3: "f"}
_TYPES: Final = ("u1", "u2", "u4", "i1", "i2", "i4", "f4", "f8")
#: Size and type of the frame, where it lies, description and date; 322 says that it lies in tiles.
_TAGS: Final = frozenset({256, 257, 258, 259, 270, 273, 277, 279, 306, 322, 339})
MOST_ENTRIES: Final = 100


@dataclass(frozen=True, eq=False)
class PlainTiff:
    """A frame, (rows, columns), on the bytes of its file, and the texts that go with it."""

    data: NDArray[Any]
    description: str
    date: str


def decode_plain_tiff(data: bytes) -> PlainTiff | None:
    """The frame in the content of a TIFF file; None when it is of another kind, or not all there."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 8:
        return None
    magic, start = struct.unpack_from(order + "HI", data, 2)
    if magic != 42 or start + 2 > len(data):
        return None
    (count,) = struct.unpack_from(order + "H", data, start)
    end = start + 2 + 12 * count
    if count > MOST_ENTRIES or end + 4 > len(data) or struct.unpack_from(order + "I", data, end)[0] != 0:
        return None  # several frames
    found = {}
    for tag, kind, number, value in struct.iter_unpack(order + "HHI4s", data[start + 2 : end]):
        if tag not in _TAGS:  # PILATUS detectors have empty ones among these
            continue
        size = _SIZES.get(kind, 0) * number
        if size > 4:
            at = struct.unpack(order + "I", value)[0]
            value = data[at : at + size]
        if len(value) < size or not size:
            return None
        found[tag] = _values(order, kind, number, value)
    numbers = {tag: entry for tag, entry in found.items() if isinstance(entry, tuple)}
    columns, rows, bits = (numbers.get(tag, (0,)) for tag in (256, 257, 258))
    compression, samples, form = (numbers.get(tag, (1,)) for tag in (259, 277, 339))
    dtype = _KINDS.get(form[0], "?") + str(bits[0] // 8)
    offsets, lengths = numbers.get(273, ()), numbers.get(279, ())
    if compression != (1,) or samples != (1,) or len(bits) != 1 or bits[0] % 8 or dtype not in _TYPES:
        return None
    total = rows[0] * columns[0] * (bits[0] // 8)
    in_one_piece = all(a + n == b for a, n, b in zip(offsets, lengths, offsets[1:], strict=False))
    if not (offsets and len(offsets) == len(lengths) and in_one_piece and sum(lengths) == total > 0):
        return None
    if offsets[0] + total > len(data) or 322 in found:
        return None
    pixels = np.frombuffer(data, order + dtype, rows[0] * columns[0], offsets[0]).reshape(rows[0], columns[0])
    texts = {tag: entry for tag, entry in found.items() if isinstance(entry, str)}
    return PlainTiff(pixels, texts.get(270, ""), texts.get(306, ""))


def _values(order: str, kind: int, number: int, value: bytes) -> tuple[int, ...] | str | None:
    if kind == 2:
        return value[:number].split(b"\0")[0].decode("latin-1")
    if kind in _FORMATS:
        return struct.unpack_from(f"{order}{number}{_FORMATS[kind]}", value)
    return None
