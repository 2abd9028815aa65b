"""The fields of the image in a serialized message, found without protobuf's classes.

They are those that senders write; what has another form is left to protobuf by :class:`Unusual`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from servers.daqdata.daq_data_pb2 import PanoImage
from servers.daqdata.decode_header import HeaderDecoder
from servers.daqdata.packed import unpack
from servers.daqdata.wire_fields import LENGTH, VARINT, Unusual, fields

UINT32: Final = 0xFFFF_FFFF
TYPE: Final = PanoImage.TYPE_FIELD_NUMBER
HEADER: Final = PanoImage.HEADER_FIELD_NUMBER
IMAGE_ARRAY: Final = PanoImage.IMAGE_ARRAY_FIELD_NUMBER
SHAPE: Final = PanoImage.SHAPE_FIELD_NUMBER
BYTES_PER_PIXEL: Final = PanoImage.BYTES_PER_PIXEL_FIELD_NUMBER
FILE: Final = PanoImage.FILE_FIELD_NUMBER
FRAME_NUMBER: Final = PanoImage.FRAME_NUMBER_FIELD_NUMBER
MODULE_ID: Final = PanoImage.MODULE_ID_FIELD_NUMBER

_KIND: Final = {
    TYPE: VARINT,
    HEADER: LENGTH,
    IMAGE_ARRAY: LENGTH,
    SHAPE: LENGTH,
    BYTES_PER_PIXEL: VARINT,
    FILE: LENGTH,
    FRAME_NUMBER: VARINT,
    MODULE_ID: VARINT,
}
_headers = HeaderDecoder()


@dataclass(frozen=True)
class ImageFields:
    """A PanoImage; numbers of its header are floats, its pixels are as they came: as many as there are.

    Args:
        message: the PanoImage itself, serialized.
    """

    type: int
    header: dict[str, Any]
    pixels: NDArray[np.uint32]
    shape: tuple[int, ...]
    bytes_per_pixel: int
    file: str
    frame_number: int
    module_id: int
    message: bytes

    @classmethod
    def of(cls, data: bytes, field: int) -> ImageFields | None:
        """The image that is a field of a message; None when it has none.

        Raises:
            Unusual: it has to be left to protobuf. google.protobuf.message.DecodeError: its header is none.
        """
        place = None
        for number, kind, begin, end in fields(data, 0, len(data)):
            if number == field:
                if place is not None or kind != LENGTH:
                    raise Unusual("two images, which protobuf merges")
                place = slice(begin, end)
        if place is None:
            return None
        found: dict[int, tuple[int, int]] = {}
        for number, kind, begin, end in fields(data, place.start, place.stop):
            if _KIND.get(number) != kind or number in found:
                raise Unusual("an unknown field, pixels that are not packed, or a field in parts")
            found[number] = begin, end

        def content(number: int) -> bytes:
            begin, end = found.get(number, (0, 0))
            return data[begin:end]

        def value(number: int) -> int:
            return found.get(number, (0, 0))[0]

        try:
            file = content(FILE).decode()
        except UnicodeDecodeError:
            raise Unusual("a text that is none") from None
        return cls(
            _int32(value(TYPE)),
            _headers.decode(content(HEADER)),
            unpack(content(IMAGE_ARRAY)),
            _shape(content(SHAPE)),
            _int32(value(BYTES_PER_PIXEL)),
            file,
            value(FRAME_NUMBER) & UINT32,
            value(MODULE_ID) & UINT32,
            data[place],
        )


@lru_cache(maxsize=64)
def _shape(packed: bytes) -> tuple[int, ...]:
    return tuple(unpack(packed).tolist())


def _int32(value: int) -> int:
    value &= UINT32
    return value - (UINT32 + 1) if value > UINT32 >> 1 else value
