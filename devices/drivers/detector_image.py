"""Frames that area detectors write to files: TIFF, CBF (byte offset) and EDF, one frame per file.

The kind is told by the first bytes, never by the name. CBF and EDF headers are read here and not by fabio, whose
readers wait for ever on a CBF file without data, fill a truncated EDF file with zeros, and open any file that an EDF
header names.

Source:
    DECTRIS, PILATUS detectors, header comments of TIFF and CBF images. IUCr, International Tables for Crystallography
    vol. G (CBF). ESRF data format (EDF).
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from fabio.compression import decByteOffset
from numpy.typing import NDArray

from devices.core.errors import ProtocolError
from devices.drivers.image_header import (
    CBF_SECTION,
    MAX_HEADER_BYTES,
    TIFF_MAGIC,
    comments,
    edf_entries,
    exposure_of,
    folded,
    parse_date,
)
from devices.drivers.limited_file import read_limited
from devices.drivers.plain_tiff import decode_plain_tiff

MAX_FILE_BYTES = 256 << 20
MAX_PIXELS = 1 << 26

_CBF_DATA = b"\x0c\x1a\x04\xd5"
_CBF_TYPES = {
    "signed 8-bit integer": "i1",
    "unsigned 8-bit integer": "u1",
    "signed 16-bit integer": "i2",
    "unsigned 16-bit integer": "u2",
    "signed 32-bit integer": "i4",
    "unsigned 32-bit integer": "u4",
}
_EDF_TYPES = {
    "signedbyte": "i1",
    "unsignedbyte": "u1",
    "signedshort": "i2",
    "unsignedshort": "u2",
    "signedinteger": "i4",
    "unsignedinteger": "u4",
    "signedlong": "i4",
    "unsignedlong": "u4",
    "signed64": "i8",
    "unsigned64": "u8",
    "float": "f4",
    "floatvalue": "f4",
    "real": "f4",
    "double": "f8",
    "doublevalue": "f8",
}


@dataclass(frozen=True, eq=False)
class DetectorImage:
    """One frame as the detector wrote it.

    Args:
        data: (rows, columns), row 0 at the top of the file's picture; negative values mark gaps and dead pixels.
        exposure_seconds: None when the file does not say.
        timestamp: s since 1970 of the header's date, which detectors write in local time; None when there is none.
        header: the header entries as text.
    """

    data: NDArray[Any]
    exposure_seconds: float | None
    timestamp: float | None
    header: Mapping[str, str]


def read_detector_image(path: str | Path, max_bytes: int = MAX_FILE_BYTES) -> DetectorImage:
    """Read a TIFF, CBF or EDF file.

    Raises:
        BadValueError: there is no such file, or it cannot be opened, or it is larger than `max_bytes`.
        ProtocolError: the file is truncated, foreign, or holds something else than one frame of numbers.
    """
    return decode_detector_image(read_limited(path, max_bytes), str(path))


def decode_detector_image(data: bytes, name: str) -> DetectorImage:
    """The frame in the content of a TIFF, CBF or EDF file; `name` is what errors call it.

    Raises:
        ProtocolError: the content is truncated, foreign, or holds something else than one frame of numbers.
    """
    if data[:4] in TIFF_MAGIC:
        kind, decode = "TIFF", _decode_tiff
    elif data.startswith(b"###CBF") or CBF_SECTION in data[:MAX_HEADER_BYTES]:
        kind, decode = "CBF", _decode_cbf
    elif data[:64].lstrip()[:1] == b"{":
        kind, decode = "EDF", _decode_edf
    else:
        raise ProtocolError(f"{name}: not a TIFF, CBF or EDF image (it starts with {data[:8]!r})")
    try:
        image = decode(data)
        if image.data.ndim != 2 or image.data.dtype.kind not in "iuf":
            raise ValueError(f"holds {image.data.dtype} of shape {image.data.shape}, not one frame of numbers")
    # A parser on foreign bytes may raise anything: here it all means the same, and the reason goes along.
    except Exception as error:
        reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__} {error}"
        raise ProtocolError(f"{name}: not a readable {kind} image: {reason}") from error
    return image


def _decode_tiff(data: bytes) -> DetectorImage:
    plain = decode_plain_tiff(data)
    if plain is not None:
        _check_pixels(plain.data.shape)
        header = comments(plain.description)
        if plain.date:
            header.setdefault("DateTime", plain.date)
        return _image(plain.data, header)
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        try:
            page = tiff.pages.first
        except IndexError:
            raise ValueError("truncated: the description of the frame is missing") from None
        _check_pixels(page.shape)
        if page.compression != 1:
            # Detectors do not compress TIFF, and a small compressed file may fill the memory.
            raise ValueError(f"the compression {page.compression!r} is not supported: write it uncompressed")
        with contextlib.suppress(IndexError):
            tiff.pages[1]
            raise ValueError("holds more than one frame")
        pixels = page.asarray()
        description = page.tags.get("ImageDescription")
        date = page.tags.get("DateTime")
        header = comments(str(description.value)) if description else {}
        if date:
            header.setdefault("DateTime", str(date.value))
        return _image(pixels, header)


def _decode_cbf(data: bytes) -> DetectorImage:
    text, found, rest = data.partition(CBF_SECTION)
    mime, started, packed = rest[: MAX_HEADER_BYTES + len(_CBF_DATA)].partition(_CBF_DATA)
    if not (found and started):
        raise ValueError("there is no binary section")
    fields = dict(re.findall(r'^\s*([\w-]+)\s*[:=]\s*"?([^"\r\n;]*)', mime.decode("latin-1"), re.MULTILINE))
    if fields.get("conversions") != "x-CBF_BYTE_OFFSET":
        raise ValueError(f"the compression {fields.get('conversions')} is not x-CBF_BYTE_OFFSET")
    size = int(fields["X-Binary-Size"])
    shape = (int(fields["X-Binary-Size-Second-Dimension"]), int(fields["X-Binary-Size-Fastest-Dimension"]))
    total = _check_pixels(shape)
    start = len(data) - len(rest) + len(mime) + len(_CBF_DATA)
    packed = data[start : start + size]
    if not 0 <= size == len(packed):
        raise ValueError(f"truncated: {len(packed)} of {size} bytes of data")
    digest = fields.get("Content-MD5", "").strip()
    if digest and digest != base64.b64encode(hashlib.md5(packed, usedforsecurity=False).digest()).decode():
        raise ValueError("the checksum of the data differs from its header")
    # The decoder reads a few bytes past a stream that ends within a number: zeros stand there, one pixel each, and
    # some are missing afterwards when the stream was too short.
    spare = 16
    values = decByteOffset(packed + bytes(spare), size=total + spare, dtype="int32")
    if len(values) < total + spare:
        raise ValueError(f"truncated: the data hold fewer than {total} pixels")
    pixels = values[:total].astype(_CBF_TYPES[fields["X-Binary-Element-Type"]], copy=False).reshape(shape)
    return _image(pixels, comments(text.decode("latin-1")))


def _decode_edf(data: bytes) -> DetectorImage:
    end = re.search(rb"}\r?\n", data[:MAX_HEADER_BYTES])
    if end is None:
        raise ValueError("the header has no end")
    header = edf_entries(data)
    fields = {key.lower(): value for key, value in header.items()}
    if fields.get("compression", "none").lower() not in ("none", "nocompression", "") or "edf_binaryfilename" in fields:
        raise ValueError("compressed data and data in another file are not supported")
    if int(fields.get("dim_3", "1")) != 1:
        raise ValueError("holds more than one frame")
    shape = (int(fields["dim_2"]), int(fields["dim_1"]))
    order = ">" if fields.get("byteorder", "LowByteFirst").lower() == "highbytefirst" else "<"
    dtype = np.dtype(order + _EDF_TYPES[fields["datatype"].lower()])
    total = _check_pixels(shape)
    if len(data) - end.end() < total * dtype.itemsize:
        raise ValueError(f"truncated: {len(data) - end.end()} of {total * dtype.itemsize} bytes of data")
    if data[end.end() + total * dtype.itemsize :].lstrip()[:1] == b"{":
        raise ValueError("holds more than one frame")
    pixels = np.frombuffer(data, dtype, total, end.end()).reshape(shape)
    return _image(pixels.copy(), header)


def _check_pixels(shape: tuple[int, ...]) -> int:
    """The number of pixels; refuses a header that would make us reserve memory without bound."""
    total = int(np.prod(shape, dtype=object))
    if min(shape) < 1 or total > MAX_PIXELS:
        raise ValueError(f"a frame of {' x '.join(map(str, shape))} px is outside 1 to {MAX_PIXELS} px")
    return total


def _image(pixels: NDArray[Any], header: Mapping[str, str]) -> DetectorImage:
    fields = folded(header)
    dates = (_timestamp(fields.get(key)) for key in ("date", "datetime", "time", "timeofday"))
    return DetectorImage(
        data=pixels.astype(pixels.dtype.newbyteorder("="), copy=False),
        exposure_seconds=exposure_of(fields),
        timestamp=next((seconds for seconds in dates if seconds is not None), None),
        header=header,
    )


def _timestamp(text: str | None) -> float | None:
    """A date in local time (or with a zone of its own) or s since 1970; None when it is no date."""
    with contextlib.suppress(ValueError, OverflowError, OSError):
        date = parse_date(text)
        return None if date is None else date.timestamp()
    return None
