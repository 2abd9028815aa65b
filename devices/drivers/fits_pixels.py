"""FITS pixels: big-endian, unsigned ones shifted by half their range; converted and summed in one pass."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from devices.drivers.fits_cards import BLOCK, folded
from devices.drivers.new_file import NewFile
from devices.pipelines.ccd.ccd_image import Card

#: What is converted before it is written: it stays in the second cache.
CHUNK_BYTES: Final = 1 << 17


def type_cards(dtype: np.dtype[Any]) -> tuple[Card, list[Card]]:
    """BITPIX, and BZERO and BSCALE of unsigned pixels."""
    bits = 8 * dtype.itemsize
    scale = [Card("BZERO", 1 << (bits - 1), "pixels are unsigned"), Card("BSCALE", 1, "pixels are unsigned")]
    return Card("BITPIX", bits, "bits of a pixel"), scale if dtype.kind == "u" else []


def write_pixels(file: NewFile, parts: Iterable[NDArray[Any]], offset: int) -> tuple[int, int]:
    """Write pixels and fill up the last block.

    Args:
        file: where to.
        parts: arrays of one type; each but the last one has an even number of pixels.
        offset: of the first pixel in the file.

    Returns:
        The offset behind the last block, and the data's 32-bit sum (DATASUM).
    """
    begin, total = offset, 0
    buffer = np.empty(CHUNK_BYTES, np.uint8)
    for part in parts:
        pixels = np.ascontiguousarray(part).reshape(-1)
        word, encode = (np.uint16, _encode_16) if pixels.itemsize == 2 else (np.uint32, _encode_32)
        unsigned, room = pixels.view(word), buffer.view(word)
        shift = word(1 << (8 * pixels.itemsize - 1) if pixels.dtype.kind == "u" else 0)
        for at in range(0, pixels.size, room.size):
            chunk = unsigned[at : at + room.size]
            total += int(encode(chunk, shift, room))
            offset = file.write(room[: chunk.size].data, offset)
    return file.write(bytes(-(offset - begin) % BLOCK), offset), folded(total)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _encode_16(pixels: NDArray[Any], shift: Any, out: NDArray[Any]) -> Any:
    """The sum of the words of two pixels; one left over is the upper half of a word."""
    upper, lower = np.uint64(0), np.uint64(0)
    for k in range(pixels.size // 2):
        a, b = pixels[2 * k] ^ shift, pixels[2 * k + 1] ^ shift
        out[2 * k] = (a << np.uint16(8)) | (a >> np.uint16(8))
        out[2 * k + 1] = (b << np.uint16(8)) | (b >> np.uint16(8))
        upper += np.uint64(a)
        lower += np.uint64(b)
    if pixels.size % 2:
        a = pixels[pixels.size - 1] ^ shift
        out[pixels.size - 1] = (a << np.uint16(8)) | (a >> np.uint16(8))
        upper += np.uint64(a)
    return (upper << np.uint64(16)) + lower


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator, unused-ignore]
def _encode_32(pixels: NDArray[Any], shift: Any, out: NDArray[Any]) -> Any:
    total = np.uint64(0)
    byte = np.uint32(0xFF)
    for k in range(pixels.size):
        a = pixels[k] ^ shift
        out[k] = (
            (a << np.uint32(24))
            | ((a >> np.uint32(8) & byte) << np.uint32(16))
            | ((a >> np.uint32(16) & byte) << np.uint32(8))
            | (a >> np.uint32(24))
        )
        total += np.uint64(a)
    return total
