"""Images from the bytes of a stream: ten times quicker than message by message, and the same dictionaries.

The pixels of an image are one packed field, decoded by a compiled loop, and its header is decoded by its layout.
Messages in any other form than senders use are left to protobuf.
"""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pandas as pd
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from devices.core.errors import BadValueError, ProtocolError
from devices.drivers.pff import QUABOS, stamps
from devices.drivers.white_rabbit import unix_ns
from servers.daqdata.daq_data_pb2 import PanoImage, StreamImagesResponse
from servers.daqdata.decode_header import struct_dict
from servers.daqdata.image_fields import ImageFields
from servers.daqdata.wire_fields import Unusual

MICROSECONDS: Final = 1_000_000
ONE_NS: Final = Decimal("1E-9")  # s; a product is exact, and quicker than a shift of the exponent
ONE_US: Final = Decimal("1E-6")

PANO_IMAGE: Final = StreamImagesResponse.PANO_IMAGE_FIELD_NUMBER
TYPE_NAMES: Final = dict(zip(PanoImage.Type.values(), PanoImage.Type.keys(), strict=True))
PULSE_HEIGHT: Final = int(PanoImage.PULSE_HEIGHT)

QUABO_NAMES: Final = tuple(f"quabo_{number}" for number in range(QUABOS))


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
        image = ImageFields.of(data, PANO_IMAGE)
        if image is not None:
            return _dictionary(
                image.type,
                image.header,
                list(image.shape),
                image.bytes_per_pixel,
                image.pixels,
                image.file,
                image.frame_number,
                image.module_id,
            )
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
