"""Mask files: which pixels of a detector do not count. Fit2D `.msk`, or any detector image (other than 0 = masked).

A Fit2D mask is a header of 1024 bytes and one bit per pixel, lowest bit first, each row padded to 32 bits, the bottom
row first. Masks here are (rows, columns) with row 0 at the top, as the frames are.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError, ProtocolError
from devices.drivers.detector_image import MAX_FILE_BYTES, MAX_PIXELS, decode_detector_image
from devices.drivers.limited_file import read_limited

_MAGIC = b"M\0\0\0A\0\0\0S\0\0\0K\0\0\0"
_HEADER_BYTES = 1024


def read_mask(path: str | Path, max_bytes: int = MAX_FILE_BYTES) -> NDArray[np.bool_]:
    """Read a mask, (rows, columns), True = masked.

    Raises:
        BadValueError: there is no such file, or it is larger than `max_bytes`.
        ProtocolError: the file is truncated or neither a Fit2D mask nor an image.
    """
    return decode_mask(read_limited(path, max_bytes), str(path))


def decode_mask(data: bytes, name: str) -> NDArray[np.bool_]:
    """The mask in the content of a file, (rows, columns), True = masked; `name` is what errors call it.

    Raises:
        ProtocolError: the content is truncated or neither a Fit2D mask nor an image.
    """
    if not data.startswith(_MAGIC):
        masked: NDArray[np.bool_] = decode_detector_image(data, name).data != 0
        return masked
    if len(data) < _HEADER_BYTES:
        raise ProtocolError(f"{name}: truncated Fit2D mask: {len(data)} of {_HEADER_BYTES} bytes of header")
    columns, rows = struct.unpack_from("<ii", data, len(_MAGIC))
    if min(rows, columns) < 1 or rows * columns > MAX_PIXELS:
        raise ProtocolError(f"{name}: a Fit2D mask of {rows} x {columns} px is outside 1 to {MAX_PIXELS} px")
    row_bytes = _row_bytes(columns)
    if len(data) - _HEADER_BYTES < rows * row_bytes:
        raise ProtocolError(
            f"{name}: truncated Fit2D mask: {len(data) - _HEADER_BYTES} of {rows * row_bytes} bytes of data"
        )
    packed = np.frombuffer(data, np.uint8, rows * row_bytes, _HEADER_BYTES).reshape(rows, row_bytes)
    bits = np.unpackbits(packed, axis=1, count=columns, bitorder="little")
    return np.ascontiguousarray(bits[::-1]).view(np.bool_)


def encode_fit2d_mask(mask: NDArray[Any]) -> bytes:
    """The content of a Fit2D mask file for a mask, (rows, columns), other than 0 = masked.

    Raises:
        BadValueError: the mask is not 2-dimensional.
    """
    if mask.ndim != 2:
        raise BadValueError(f"a mask of shape {mask.shape} is not (rows, columns)")
    rows, columns = mask.shape
    header = (_MAGIC + struct.pack("<iii", columns, rows, 1)).ljust(_HEADER_BYTES, b"\0")
    packed = np.zeros((rows, _row_bytes(columns)), np.uint8)
    packed[:, : (columns + 7) // 8] = np.packbits(mask[::-1].astype(np.bool_), axis=1, bitorder="little")
    return header + packed.tobytes()


def _row_bytes(columns: int) -> int:
    return (columns + 31) // 32 * 4
