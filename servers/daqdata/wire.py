"""Frames as bytes of StreamImagesResponse, each made once for all clients, and uploaded images as frames.

Bytes are laid down by the protobuf wire format itself: the general library takes several times as long for a header of
twenty numbers and a thousand pixels.

Source: Protocol Buffers, Encoding, https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError, ProtocolError
from devices.daq.frame import Frame
from devices.drivers.pff import PRODUCTS, QUABOS, Product
from devices.drivers.pff_file import frame_time_ns
from servers.daqdata import daq_data_pb2 as pb

PULSE_HEIGHT: Final = 1
MOVIE: Final = 2
MAX_MODULE: Final = 1 << 14
ENCODED: Final = "daqdata"
Keys = tuple[tuple[str, tuple[str, ...] | None], ...]
_PRODUCTS: Final[dict[tuple[int, tuple[int, ...], int], Product]] = {
    (MOVIE if each.is_movie else PULSE_HEIGHT, each.shape, each.bytes_per_pixel): each for each in PRODUCTS.values()
}


def encode_response(frame: Frame, server: str = "") -> bytes:
    """A frame as a StreamImagesResponse; ``server`` is its name.

    Raises:
        ProtocolError: the header is none.
    """
    found = frame.encoded.get(ENCODED)
    if found is None:
        image = frame.encoded.get("pano_image")
        if image is None:
            image = encode_image(frame)
        time_ns = _time_ns(frame)
        stamp = _varint_field(1, time_ns // 1_000_000_000) + _varint_field(2, time_ns % 1_000_000_000)
        name = server.encode()
        head = _length(1, len(name)) + name if name else b""
        found = b"".join((head, _length(2, len(stamp)), stamp, _length(4, len(image)), image))
        frame.encoded[ENCODED] = found
    return found


def with_message(response: bytes, message: str) -> bytes:
    """The same response with a message for one client: fields may come in any order."""
    text = message.encode()
    return response + _length(3, len(text)) + text


def encode_image(frame: Frame) -> bytes:
    """A frame as a PanoImage."""
    of = frame.product
    header = _struct(frame.fields)
    pixels = varints(np.frombuffer(frame.pixels, f"<u{of.bytes_per_pixel}"))
    file = frame.file.encode(errors="replace")
    return b"".join(
        (
            _varint_field(1, MOVIE if of.is_movie else PULSE_HEIGHT),
            _length(2, len(header)),
            header,
            _length(3, len(pixels)),
            pixels,
            _shape(of),
            _varint_field(5, of.bytes_per_pixel),
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
    try:
        request = pb.UploadImageRequest.FromString(data)
    except Exception as error:  # protobuf's own class of errors
        raise ProtocolError(f"not an UploadImageRequest: {error}") from error
    if not request.HasField("pano_image"):
        return None
    image = request.pano_image
    shape, size = tuple(image.shape), image.bytes_per_pixel
    of = _PRODUCTS.get((image.type, shape, size))
    if of is None:
        kinds = ", ".join(f"{each.name} {each.shape} of {each.bytes_per_pixel} bytes" for each in PRODUCTS.values())
        raise BadValueError(f"type {image.type}, shape {list(shape)}, bytes_per_pixel {size}: none of {kinds}")
    pixels = np.fromiter(image.image_array, np.uint32, len(image.image_array))
    if len(pixels) != shape[0] * shape[1]:
        raise BadValueError(f"image_array has {len(pixels)} pixels, its shape {shape[0]} x {shape[1]}")
    highest = int(pixels.max())
    if highest >= 1 << (8 * size):
        raise BadValueError(f"image_array holds {highest}, more than {size} bytes can")
    if image.module_id >= MAX_MODULE:
        raise BadValueError(f"module_id = {image.module_id} is outside [0, {MAX_MODULE - 1}]")
    fields = _dictionary(image.header)
    quabo = 0 if of.has_quabos else fields.get("quabo_num", 0)
    if quabo not in range(QUABOS):
        raise BadValueError(f"header.quabo_num = {quabo} is outside [0, {QUABOS - 1}]")
    frame = Frame(
        product=of,
        module=image.module_id,
        quabo=int(quabo),
        header=json.dumps(fields).encode(),
        pixels=pixels.astype(f"<u{size}").tobytes(),
        file=image.file,
        number=image.frame_number or number,
    )
    _time_ns(frame)
    if image.frame_number:
        # What came is sent on as it came.
        frame.encoded["pano_image"] = _payload(data)
    return frame


def varints(values: NDArray[np.unsignedinteger[Any]]) -> bytes:
    """Unsigned numbers of at most 16 bits as packed varints."""
    return np.compress(_KEPT[values].view(np.bool_), _GROUPS[values].view(np.uint8)).tobytes()


def _tables() -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """For each number of 16 bits the bytes of its varint, and which of the 4 there are in use, as one word each."""
    values = np.arange(1 << 16)
    groups, kept = np.zeros((len(values), 4), np.uint8), np.zeros((len(values), 4), np.uint8)
    kept[:, 0], kept[:, 1], kept[:, 2] = 1, values >= 1 << 7, values >= 1 << 14
    for place in range(3):
        # The highest bit says that another byte follows.
        groups[:, place] = (values >> 7 * place) & 0x7F | kept[:, place + 1] << 7
    return groups.view(np.uint32).ravel(), kept.view(np.uint32).ravel()


_GROUPS, _KEPT = _tables()


def _time_ns(frame: Frame) -> int:
    """When the frame was made; of headers without times, when it came."""
    try:
        return max(frame_time_ns(frame.fields), 0)
    except ProtocolError:
        return frame.received_ns


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
def _shape(of: Product) -> bytes:
    packed = b"".join(_varint(side) for side in of.shape)
    return _length(4, len(packed)) + packed


def _dictionary(found: Any) -> dict[str, Any]:
    """A Struct as Python's own; whole numbers as int."""
    return {name: _value(value) for name, value in found.fields.items()}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "struct_value":
        return _dictionary(value.struct_value)
    if kind == "list_value":
        return [_value(each) for each in value.list_value.values]
    return None if kind in (None, "null_value") else getattr(value, kind)


def _payload(request: bytes) -> bytes:
    """The bytes of the only field of a message; of a field that comes twice, as protobuf joins them."""
    position, found = 1, 0
    shift = 0
    while True:
        byte = request[position]
        position += 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    if request[0] == 0x0A and position + found == len(request):
        return request[position:]
    return bytes(pb.UploadImageRequest.FromString(request).pano_image.SerializeToString())


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def _varint_field(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _length(number: int, size: int) -> bytes:
    return _varint(number << 3 | 2) + _varint(size)
