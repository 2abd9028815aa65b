"""Pixels as the bytes of a packed field of protobuf, by compiled loops.

Source: Protocol Buffers, Encoding, https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from servers.daqdata.wire_fields import Unusual

#: Of the fifth and last byte of a uint32.
MAX_SHIFT: Final = 28
_BYTES_OF_U2: Final = 3

# Compiled when it is imported (or read from the cache), and not when the first frame waits.
_READ = types.Array(types.uint8, 1, "C", readonly=True)
_PIXELS = types.Array(types.uint16, 1, "C", readonly=True)
_BYTES, _NUMBERS = types.uint8[::1], types.uint32[::1]


def pack(values: NDArray[np.unsignedinteger[Any]]) -> bytes:
    """Unsigned numbers of at most 16 bits as packed varints."""
    packed = np.empty(_BYTES_OF_U2 * values.size, np.uint8)
    pixels = np.ascontiguousarray(values, np.uint16)
    pixels.flags.writeable = False
    return packed[: _pack(pixels, packed)].tobytes()


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


@njit(types.int64(_PIXELS, _BYTES), cache=True)
def _pack(values: NDArray[np.uint16], packed: NDArray[np.uint8]) -> int:
    """How many bytes there are."""
    count = 0
    for value in values:
        rest = np.uint32(value)
        while rest > 0x7F:
            packed[count] = rest & 0x7F | 0x80
            rest >>= 7
            count += 1
        packed[count] = rest
        count += 1
    return count


@njit(types.int64(_READ, _NUMBERS), cache=True)
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
