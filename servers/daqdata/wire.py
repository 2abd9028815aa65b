"""Frames as bytes of StreamImagesResponse, each made once for all clients, and uploaded images as frames.

Bytes are laid down by the protobuf wire format itself: the general library takes several times as long for a header of
twenty numbers and a thousand pixels.

Source: Protocol Buffers, Encoding, https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

import numpy as np
from google.protobuf.message import DecodeError

from devices.core.errors import BadValueError, ProtocolError
from devices.daq.frame import Frame
from devices.drivers.pff import PRODUCTS, QUABOS, Product
from devices.drivers.white_rabbit import header_time_ns
from servers.daqdata import daq_data_pb2 as pb
from servers.daqdata.image_fields import ImageFields
from servers.daqdata.packed import pack
from servers.daqdata.wire_fields import Unusual

PULSE_HEIGHT: Final = 1
MOVIE: Final = 2
MAX_MODULE: Final = 1 << 14
#: Of what is kept of a frame: the response, and the image within.
RESPONSE, IMAGE = "daqdata", "daqdata image"
UPLOADED: Final = pb.UploadImageRequest.PANO_IMAGE_FIELD_NUMBER
NANOSECONDS: Final = 1_000_000_000
LAST_SECOND: Final = 253_402_300_799  # of the year 9999, beyond which protobuf has no Timestamp
Keys = tuple[tuple[str, tuple[str, ...] | None], ...]
_PRODUCTS: Final[dict[tuple[int, tuple[int, ...], int], Product]] = {
    (MOVIE if each.is_movie else PULSE_HEIGHT, each.shape, each.bytes_per_pixel): each for each in PRODUCTS.values()
}


def encode_response(frame: Frame, server: str = "") -> bytes:
    """A frame as a StreamImagesResponse; ``server`` is its name.

    Raises:
        ProtocolError: the header is none.
    """
    found = frame.encoded.get(RESPONSE)
    if found is None:
        image = frame.encoded.get(IMAGE)
        if image is None:
            image = encode_image(frame)
        time_ns = _time_ns(frame)
        stamp = _varint_field(1, time_ns // NANOSECONDS) + _varint_field(2, time_ns % NANOSECONDS)
        name = server.encode()
        head = _length(1, len(name)) + name if name else b""
        found = b"".join((head, _length(2, len(stamp)), stamp, _length(4, len(image)), image))
        frame.encoded[RESPONSE] = found
    return found


def with_message(response: bytes, message: str) -> bytes:
    """The same response with a message for one client: fields may come in any order."""
    text = message.encode()
    return response + _length(3, len(text)) + text


def encode_image(frame: Frame) -> bytes:
    """A frame as a PanoImage."""
    of = frame.product
    header = _struct(frame.fields)
    pixels = pack(np.frombuffer(frame.pixels, f"<u{of.bytes_per_pixel}"))
    file = frame.file.encode(errors="replace")
    return b"".join(
        (
            _kind(of),
            _length(2, len(header)),
            header,
            _length(3, len(pixels)),
            pixels,
            _shape(of),
            _length(6, len(file)),
            file,
            _varint_field(7, frame.number & 0xFFFFFFFF),
            _varint_field(8, frame.module),
        )
    )


def decode_upload(data: bytes, number: int) -> Frame | None:
    """The frame of an UploadImageRequest; None when there is no image in it.

    Args:
        number: of the frame, for images that bear none.
    Raises:
        BadValueError: the image is of no data product, and what is wrong with it. ProtocolError: no such message.
    """
    image = _uploaded(data)
    if image is None:
        return None
    shape, size, pixels, fields = image.shape, image.bytes_per_pixel, image.pixels, image.header
    of = _PRODUCTS.get((image.type, shape, size))
    if of is None:
        kinds = ", ".join(f"{each.name} {each.shape} of {each.bytes_per_pixel} bytes" for each in PRODUCTS.values())
        raise BadValueError(f"type {image.type}, shape {list(shape)}, bytes_per_pixel {size}: none of {kinds}")
    if len(pixels) != shape[0] * shape[1]:
        raise BadValueError(f"image_array has {len(pixels)} pixels, its shape {shape[0]} x {shape[1]}")
    highest = int(pixels.max())
    if highest >= 1 << (8 * size):
        raise BadValueError(f"image_array holds {highest}, more than {size} bytes can")
    if image.module_id >= MAX_MODULE:
        raise BadValueError(f"module_id = {image.module_id} is outside [0, {MAX_MODULE - 1}]")
    quabo = 0 if of.has_quabos else fields.get("quabo_num", 0)
    if quabo not in range(QUABOS):
        raise BadValueError(f"header.quabo_num = {quabo} is outside [0, {QUABOS - 1}]")
    frame = Frame(
        product=of,
        module=image.module_id,
        quabo=int(quabo),
        header=fields,
        pixels=pixels.astype(f"<u{size}").tobytes(),
        file=image.file,
        number=image.frame_number or number,
    )
    if image.frame_number:
        # What came is sent on as it came.
        frame.encoded[IMAGE] = image.message
    return frame


def _uploaded(data: bytes) -> ImageFields | None:
    """The image of an UploadImageRequest; None without one; raises ProtocolError."""
    try:
        with suppress(Unusual):
            return ImageFields.of(data, UPLOADED)
        request = pb.UploadImageRequest.FromString(data)
        request.DiscardUnknownFields()
        return ImageFields.of(request.SerializeToString(), UPLOADED)  # which has the usual form
    except (Unusual, DecodeError) as error:
        raise ProtocolError(f"not an UploadImageRequest: {error}") from error


def _time_ns(frame: Frame) -> int:
    """When the frame was made; of headers without a time, when it came."""
    try:
        time_ns = header_time_ns(frame.stamps)
    except ProtocolError:
        return frame.received_ns
    return time_ns if 0 <= time_ns <= LAST_SECOND * NANOSECONDS else frame.received_ns


def _struct(fields: Mapping[str, Any]) -> bytes:
    """A header as a Struct; those of the recorder, numbers in one or four groups, by a template."""
    groups = list(fields.values())
    if groups and all(type(each) is dict for each in groups):
        keys: Keys = tuple(zip(fields, map(tuple, groups), strict=True))
        numbers = [number for group in groups for number in group.values()]
    else:
        keys, numbers = tuple((name, None) for name in fields), groups
    if all(type(number) is int or type(number) is float for number in numbers):
        layout, constants, total = _template(keys)
        arguments: list[Any] = [None] * (2 * len(numbers))
        arguments[::2], arguments[1::2] = constants, numbers
        packed = struct.pack(layout, *arguments)
        assert len(packed) == total
        return packed
    message = pb.PanoImage()
    try:
        message.header.update(fields)
    except Exception as error:  # a value that a Struct cannot hold
        raise ProtocolError(f"a header cannot be sent: {error}") from error
    return bytes(message.header.SerializeToString())


@lru_cache(maxsize=64)
def _template(keys: Keys) -> tuple[str, tuple[bytes, ...], int]:
    """How a header of these names is packed: the format, and what stands before each number."""
    constants: list[bytes] = []
    pending = b""
    for name, inner in keys:
        if inner is None:
            constants.append(pending + _entry_head(name, 9) + b"\x11")
            pending = b""
            continue
        entries = [_entry_head(key, 9) + b"\x11" for key in inner]
        size = sum(len(entry) + 8 for entry in entries)
        inside = _length(5, size)  # Value.struct_value
        head = pending + _entry_head(name, len(inside) + size) + inside
        for entry in entries:
            constants.append(head + entry)
            head = b""
        pending = head
    layout = "<" + "".join(f"{len(each)}sd" for each in constants)
    return layout, tuple(constants), struct.calcsize(layout)


def _entry_head(name: str, value_bytes: int) -> bytes:
    """The begin of an entry of Struct.fields up to its Value, which has so many bytes."""
    key = name.encode()
    inside = _length(1, len(key)) + key + _length(2, value_bytes)
    return _length(1, len(inside) + value_bytes) + inside


@lru_cache(maxsize=8)
def _kind(of: Product) -> bytes:
    return _varint_field(1, MOVIE if of.is_movie else PULSE_HEIGHT)


@lru_cache(maxsize=8)
def _shape(of: Product) -> bytes:
    """Shape and bytes per pixel."""
    packed = b"".join(_varint(side) for side in of.shape)
    return _length(4, len(packed)) + packed + _varint_field(5, of.bytes_per_pixel)


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def _varint_field(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


@lru_cache(maxsize=4096)
def _length(number: int, size: int) -> bytes:
    return _varint(number << 3 | 2) + _varint(size)
