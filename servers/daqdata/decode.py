"""Images from the bytes of a stream: ten times quicker than message by message, and the same dictionaries.

The pixels of an image are one packed field, decoded by a compiled loop, and its header is decoded by its layout.
Messages in any other form than senders use are left to protobuf.
"""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pandas as pd
from google.protobuf.message import DecodeError
from numba import njit
from numpy.typing import NDArray

from devices.core.errors import BadValueError, ProtocolError
from devices.drivers.pff import QUABOS, stamps
from devices.drivers.white_rabbit import unix_ns
from servers.daqdata.daq_data_pb2 import PanoImage, StreamImagesResponse
from servers.daqdata.decode_header import HeaderDecoder, struct_dict
from servers.daqdata.wire_fields import LENGTH, VARINT, Unusual, fields

UINT32: Final = 0xFFFF_FFFF
MICROSECONDS: Final = 1_000_000
ONE_NS: Final = Decimal("1E-9")  # s; a product is exact, and quicker than a shift of the exponent
ONE_US: Final = Decimal("1E-6")
#: Of the fifth and last byte of a uint32.
MAX_SHIFT: Final = 28

PANO_IMAGE: Final = StreamImagesResponse.PANO_IMAGE_FIELD_NUMBER
TYPE: Final = PanoImage.TYPE_FIELD_NUMBER
HEADER: Final = PanoImage.HEADER_FIELD_NUMBER
IMAGE_ARRAY: Final = PanoImage.IMAGE_ARRAY_FIELD_NUMBER
SHAPE: Final = PanoImage.SHAPE_FIELD_NUMBER
BYTES_PER_PIXEL: Final = PanoImage.BYTES_PER_PIXEL_FIELD_NUMBER
FILE: Final = PanoImage.FILE_FIELD_NUMBER
FRAME_NUMBER: Final = PanoImage.FRAME_NUMBER_FIELD_NUMBER
MODULE_ID: Final = PanoImage.MODULE_ID_FIELD_NUMBER

TYPE_NAMES: Final = dict(zip(PanoImage.Type.values(), PanoImage.Type.keys(), strict=True))
PULSE_HEIGHT: Final = int(PanoImage.PULSE_HEIGHT)

QUABO_NAMES: Final = tuple(f"quabo_{number}" for number in range(QUABOS))

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


def decode_response(data: bytes) -> dict[str, Any]:
    """The image of a serialized StreamImagesResponse.

    Returns:
        ``type`` (MOVIE, PULSE_HEIGHT, UNDEFINED), ``header`` (floats, as sent, and its times), ``shape`` (rows,
        columns), ``bytes_per_pixel``, ``image_array`` ((rows, columns), uint8, uint16 or int16), ``file``,
        ``frame_number``, ``module_id``. The times of a header are
        ``wr_unix_timestamp``: by White Rabbit, Decimal s since 1970, 0 when ``wr_valid`` is False;
        ``pkt_unix_timestamp``: by the recorder's clock, Decimal s;
        ``pandas_unix_timestamp``: by White Rabbit, in ns, or by the recorder's clock when ``wr_valid`` is False.
    Raises:
        ProtocolError: these are no such bytes.
        BadValueError: the pixels are not as many or not as large as shape and bytes per pixel say.
    """
    with suppress(Unusual, DecodeError):  # protobuf decides
        return _decode(data)
    try:
        return image_dictionary(StreamImagesResponse.FromString(data).pano_image)
    except DecodeError as error:
        raise ProtocolError(f"{len(data)} bytes are no StreamImagesResponse: {error}") from error


def image_dictionary(image: PanoImage) -> dict[str, Any]:
    """The dictionary of a message, as decode_response gives it."""
    return _dictionary(
        image.type,
        struct_dict(image.header),
        list(image.shape),
        image.bytes_per_pixel,
        np.array(image.image_array, np.uint32),
        image.file,
        image.frame_number,
        image.module_id,
    )


def _decode(data: bytes) -> dict[str, Any]:
    """Raises Unusual."""
    place = None
    for number, kind, begin, end in fields(data, 0, len(data)):
        if number == PANO_IMAGE:
            if place is not None or kind != LENGTH:
                raise Unusual("two images, which protobuf merges")
            place = begin, end
    found: dict[int, tuple[int, int]] = {}
    for number, kind, begin, end in fields(data, *(place or (0, 0))):
        if _KIND.get(number) != kind or number in found:
            raise Unusual("an unknown field, pixels that are not packed, or a field in parts")
        found[number] = begin, end
    number_of = {key: value for key, (value, _) in found.items()}
    begin, end = found.get(SHAPE, (0, 0))
    shape = list(_shape(data[begin:end]))
    begin, end = found.get(IMAGE_ARRAY, (0, 0))
    pixels = unpack(data[begin:end])
    begin, end = found.get(FILE, (0, 0))
    try:
        file = data[begin:end].decode()
    except UnicodeDecodeError:
        raise Unusual("a text that is none") from None
    begin, end = found.get(HEADER, (0, 0))
    return _dictionary(
        _int32(number_of.get(TYPE, 0)),
        _headers.decode(data[begin:end]),
        shape,
        _int32(number_of.get(BYTES_PER_PIXEL, 0)),
        pixels,
        file,
        number_of.get(FRAME_NUMBER, 0) & UINT32,
        number_of.get(MODULE_ID, 0) & UINT32,
    )


@lru_cache(maxsize=64)
def _shape(packed: bytes) -> tuple[int, ...]:
    return tuple(unpack(packed).tolist())


def unpack(packed: bytes) -> NDArray[np.uint32]:
    """The numbers of a packed field.

    Raises:
        Unusual: it ends within a number, or one has more than 5 bytes.
    """
    values = np.empty(len(packed), np.uint32)
    count = _unpack(np.frombuffer(packed, np.uint8), values)
    if count < 0:
        raise Unusual("a packed field that ends within a number, or a number of more than 32 bits")
    return values[:count]


@njit(cache=True)
def _unpack(packed: NDArray[np.uint8], values: NDArray[np.uint32]) -> int:
    """How many numbers there were; -1 when something was wrong with them."""
    count, value, shift = 0, np.uint64(0), np.uint64(0)
    for byte in packed:
        value |= np.uint64(byte & 0x7F) << shift
        if byte >= 0x80:
            shift += np.uint64(7)
            if shift > MAX_SHIFT:
                return -1
            continue
        values[count] = value
        count += 1
        value, shift = np.uint64(0), np.uint64(0)
    return -1 if shift else count


def _int32(value: int) -> int:
    value &= UINT32
    return value - (UINT32 + 1) if value > UINT32 >> 1 else value


def _dictionary(
    kind: int,
    header: dict[str, Any],
    shape: list[int],
    bytes_per_pixel: int,
    pixels: NDArray[np.uint32],
    file: str,
    frame_number: int,
    module_id: int,
) -> dict[str, Any]:
    header.update(times(header))
    return {
        "type": TYPE_NAMES.get(kind, kind),
        "header": header,
        "shape": shape,
        "bytes_per_pixel": bytes_per_pixel,
        "image_array": _image(kind, shape, bytes_per_pixel, pixels),
        "file": file,
        "frame_number": frame_number,
        "module_id": module_id,
    }


def _image(kind: int, shape: list[int], bytes_per_pixel: int, pixels: NDArray[np.uint32]) -> NDArray[Any]:
    if bytes_per_pixel not in (1, 2):
        raise BadValueError(f"bytes_per_pixel = {bytes_per_pixel} is neither 1 nor 2")
    if len(pixels) and (largest := int(pixels.max())) >> 8 * bytes_per_pixel:
        raise BadValueError(f"a pixel = {largest} is larger than {bytes_per_pixel} bytes")
    try:
        image = pixels.reshape(shape)
    except ValueError as error:
        raise BadValueError(f"image_array has {len(pixels)} pixels, and shape = {shape}") from error
    if bytes_per_pixel == 1:
        return image.astype(np.uint8)
    # Pulse heights are signed and travel as their 16 bits.
    return image.astype(np.int16 if kind == PULSE_HEIGHT else np.uint16)


def times(header: dict[str, Any]) -> dict[str, Any]:
    """The times of a header, as decode_response tells; of the first quabo whose packet came. Empty without stamps."""
    entries = [each for name in QUABO_NAMES if isinstance(each := header.get(name), dict)] or [header]
    entry = next((each for each in entries if each.get("tv_sec")), entries[0])
    try:
        stamp = stamps(entry)[0]
        host_us = stamp.tv_sec * MICROSECONDS + stamp.tv_usec
        made_ns = unix_ns(stamp)
        timestamp = pd.Timestamp(host_us * 1000 if made_ns is None else made_ns, unit="ns")
    except (ProtocolError, ValueError, OverflowError):  # the latter two: of years that pandas has not
        return {}
    return {
        "wr_unix_timestamp": (made_ns or 0) * ONE_NS,
        "pkt_unix_timestamp": host_us * ONE_US,
        "pandas_unix_timestamp": timestamp,
        "wr_valid": made_ns is not None,
    }
