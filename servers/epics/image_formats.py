"""Encoded images as pixels: Tango's own formats of a DevEncoded, JPEG and PNG.

Source:
    cppTango, EncodedAttribute (the formats GRAY8, GRAY16, RGB24, JPEG_GRAY8 and JPEG_RGB; tried with PyTango 10.3): the
    raw ones begin with width and height, 16 bit each, big-endian as the pixels are.
"""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from devices.core.errors import BadValueError
from servers.epics.records import Reading

#: A packed picture of few bytes may be one of gigabytes.
MOST_PIXELS = 64 << 20

_SIZE = struct.Struct(">HH")  # width, height
_RAW: dict[str, tuple[np.dtype[Any], int]] = {
    "GRAY8": (np.dtype("u1"), 1),
    "GRAY16": (np.dtype(">u2"), 1),
    "RGB24": (np.dtype("u1"), 3),
}
_COMPRESSED = {"JPEG": "JPEG", "JPEG_GRAY8": "JPEG", "JPEG_RGB": "JPEG", "IMAGE/JPEG": "JPEG", "IMAGE/PNG": "PNG"}


def decoded(reading: Reading) -> Reading:
    """The Reading of an image (rows, columns), colour as RGB1, from one of encoded bytes.

    Raises:
        BadValueError: the format is not known, or the bytes are not what it says.
    """
    name, data = reading.format.upper(), reading.value
    if name in _RAW:
        dtype, colours = _RAW[name]
        pixels = _raw(data, name, dtype, colours)
    elif name in _COMPRESSED:
        pixels, colours = _decompressed(data, _COMPRESSED[name], reading.format)
    else:
        raise BadValueError(f"the format {reading.format!r} is none of {', '.join((*_RAW, *_COMPRESSED))}")
    return replace(reading, value=pixels, format="RGB1" if colours == 3 else "")


def _raw(data: np.ndarray[Any, Any], name: str, dtype: np.dtype[Any], colours: int) -> np.ndarray[Any, Any]:
    width, height = _SIZE.unpack(data[:4].tobytes()) if data.size >= 4 else (0, 0)
    expected = width * height * colours * dtype.itemsize + 4
    if data.size != expected:
        raise BadValueError(f"{data.size} bytes of {name}, {width} x {height} pixels need {expected}")
    return data[4:].view(dtype).reshape(height, width * colours).astype(dtype.newbyteorder("="), copy=False)


def _decompressed(data: np.ndarray[Any, Any], kind: str, name: str) -> tuple[np.ndarray[Any, Any], int]:
    try:
        with Image.open(io.BytesIO(data.tobytes()), formats=(kind,)) as image:
            if image.width * image.height > MOST_PIXELS:
                raise BadValueError(f"{name} of {image.width} x {image.height} pixels has more than {MOST_PIXELS}")
            mode = {"L": "L", "1": "L", "I;16": "I;16"}.get(image.mode, "RGB")
            pixels = np.asarray(image if image.mode == mode else image.convert(mode))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadValueError(f"{data.size} bytes of {name} cannot be decoded: {error}") from error
    return pixels.reshape(len(pixels), -1), 1 if pixels.ndim == 2 else 3
