"""ImageBytes: the pixels of an Alpaca camera as they cross the network, behind a header of eleven words.

An Alpaca picture has the axes (x, y) or (x, y, plane), the last one fastest; ours has (y, x) or (y, x, plane).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError, ProtocolError
from devices.drivers.alpaca_errors import error_of

#: Of the HTTP header ``Accept`` of who asks, and ``Content-Type`` of the answer.
MEDIA_TYPE: Final = "application/imagebytes"
METADATA_VERSION: Final = 1

_HEADER: Final = struct.Struct("<2i2I7i")
#: Pixels that are turned at once along each axis: two such tiles stay in the caches of a core.
_TILE: Final = 128


class ElementType(IntEnum):
    """What a pixel is: in the camera (``ImageElementType``), and on the network (``TransmissionElementType``)."""

    INT16 = 1
    INT32 = 2
    DOUBLE = 3
    SINGLE = 4
    UINT64 = 5
    BYTE = 6
    INT64 = 7
    UINT16 = 8
    UINT32 = 9


_DTYPES: Final[dict[ElementType, np.dtype[Any]]] = {
    ElementType.INT16: np.dtype("<i2"),
    ElementType.INT32: np.dtype("<i4"),
    ElementType.DOUBLE: np.dtype("<f8"),
    ElementType.SINGLE: np.dtype("<f4"),
    ElementType.UINT64: np.dtype("<u8"),
    ElementType.BYTE: np.dtype("u1"),
    ElementType.INT64: np.dtype("<i8"),
    ElementType.UINT16: np.dtype("<u2"),
    ElementType.UINT32: np.dtype("<u4"),
}
_ELEMENT_TYPES: Final = {dtype: element_type for element_type, dtype in _DTYPES.items()}


@dataclass(frozen=True)
class ImageBytes:
    """A picture and what its header says of it.

    Attributes:
        pixels: (y, x) or (y, x, plane), contiguous, of the type that crossed the network.
        element_type: of the camera's own pixels; may be wider than what crossed the network.
        client_transaction, server_transaction: the numbers of question and answer.
    """

    pixels: NDArray[Any]
    element_type: ElementType
    client_transaction: int = 0
    server_transaction: int = 0


def encode(
    pixels: NDArray[Any],
    client_transaction: int = 0,
    server_transaction: int = 0,
    element_type: ElementType = ElementType.INT32,
) -> bytearray:
    """The reply with a picture, in the type that its pixels have; copied once.

    Args:
        pixels: (y, x) or (y, x, plane), of a type that `ElementType` has.
        element_type: what the camera says its pixels are; most clients expect INT32.

    Raises:
        BadValueError: another shape or type, or no pixels.
    """
    transmitted = _ELEMENT_TYPES.get(pixels.dtype.newbyteorder("<"))
    if transmitted is None:
        raise BadValueError(f"pixels of {pixels.dtype} cannot be sent as ImageBytes")
    if pixels.ndim not in (2, 3) or not pixels.size:
        raise BadValueError(f"a picture of the shape {pixels.shape} is not (y, x) or (y, x, plane) with pixels")
    turned = pixels.swapaxes(0, 1)
    sizes = [*turned.shape, 0][:3]
    content = bytearray(_HEADER.size + pixels.nbytes)
    _HEADER.pack_into(
        content,
        0,
        METADATA_VERSION,
        0,
        client_transaction,
        server_transaction,
        _HEADER.size,
        element_type,
        transmitted,
        pixels.ndim,
        *sizes,
    )
    _turn(pixels, np.frombuffer(content, _DTYPES[transmitted], offset=_HEADER.size).reshape(turned.shape))
    return content


def encode_error(number: int, text: str, client_transaction: int = 0, server_transaction: int = 0) -> bytes:
    """The reply without a picture: a number of `ErrorNumber` and a text."""
    words = (METADATA_VERSION, number, client_transaction, server_transaction, _HEADER.size, 0, 0, 0, 0, 0, 0)
    return _HEADER.pack(*words) + text.encode()


def decode(content: bytes | bytearray | memoryview, subject: str = "the camera") -> ImageBytes:
    """The picture in a reply; copied once.

    Args:
        subject: who refuses, in errors.

    Raises:
        ProtocolError: it is no such reply, or it has fewer or more pixels than its header says.
        DiptychError: the camera refused; the class says why, see `devices.drivers.alpaca_errors`.
    """
    if len(content) < _HEADER.size:
        raise ProtocolError(f"{len(content)} bytes are no ImageBytes; its header alone has {_HEADER.size}")
    version, error, client, server, start, element, transmitted, rank, *sizes = _HEADER.unpack_from(content)
    if version != METADATA_VERSION:
        raise ProtocolError(f"ImageBytes of version {version}; only {METADATA_VERSION} is known")
    if not _HEADER.size <= start <= len(content):
        raise ProtocolError(f"ImageBytes begin their data at {start}, outside [{_HEADER.size}, {len(content)}] bytes")
    if error:
        raise error_of(error, bytes(content[start:]).decode(errors="replace"), subject)
    try:
        element_type, dtype = ElementType(element), _DTYPES[ElementType(transmitted)]
    except ValueError:
        raise ProtocolError(f"ImageBytes have pixels of unknown type: {element}, sent as {transmitted}") from None
    shape = tuple(sizes[:rank])
    if rank not in (2, 3) or min(shape) < 1:
        raise ProtocolError(f"ImageBytes have the rank {rank} and the sizes {sizes}")
    count = math.prod(shape)
    if count * dtype.itemsize != len(content) - start:
        raise ProtocolError(f"ImageBytes of {shape} {dtype} have {len(content) - start} bytes of pixels")
    turned = np.frombuffer(content, dtype, count, start).reshape(shape)
    pixels = np.empty(turned.swapaxes(0, 1).shape, dtype)
    _turn(turned, pixels)
    return ImageBytes(pixels, element_type, client, server)


def _turn(source: NDArray[Any], out: NDArray[Any]) -> None:
    """Exchange the first two axes, tile by tile: row by row, each pixel would cost a line of the cache."""
    for y in range(0, source.shape[0], _TILE):
        for x in range(0, source.shape[1], _TILE):
            out[x : x + _TILE, y : y + _TILE] = source[y : y + _TILE, x : x + _TILE].swapaxes(0, 1)
