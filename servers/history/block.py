"""Samples of one PV in few bytes, exactly: times as steps, values as decimals or bits that changed, then zlib.

Instruments send numbers with few digits, at an even pace. What does not fit is kept whole.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError
from servers.history.store import GAP

# version, samples, first time (ns), unit of time (ns), usual step (units), bytes of a step, decimals or -1, bytes of
# a value
HEADER: Final = struct.Struct("<BIqIqBbB")
VERSION: Final = 1
UNITS: Final = (1_000_000_000, 1_000_000, 1000, 1)
DECIMALS: Final = (0, 1, 2, 3, 4, 6)
EXACT: Final = float(1 << 52)

Bytes = NDArray[np.uint8]


def packed(time_ns: NDArray[np.int64], value: NDArray[np.float64], status: Bytes) -> bytes:
    """The samples (n,), n > 0, in order of arrival. A value without connection is not kept: it is NaN when read."""
    count = len(time_ns)
    unit = next(each for each in UNITS if not (time_ns % each).any())
    steps = np.diff(time_ns // unit)
    usual = int(np.median(steps)) if count > 1 else 0
    times, time_width = _narrow(_zigzag(steps - usual))
    known = _held(value, status < GAP)
    decimals, whole = _decimal(known)
    if whole is None:
        bits = known.view(np.int64)
        values, value_width = (bits ^ _previous(bits)).view(np.uint64), 8
    else:
        values, value_width = _narrow(_zigzag(whole - _previous(whole)))
    header = HEADER.pack(VERSION, count, int(time_ns[0]), unit, usual, time_width, decimals, value_width)
    return header + zlib.compress(_shuffled(times) + _shuffled(values) + status.tobytes())


def unpacked(data: bytes) -> tuple[NDArray[np.int64], NDArray[np.float64], Bytes]:
    """Times (ns), values and status of the samples.

    Raises:
        BadValueError: these are no packed samples.
    """
    try:
        version, count, first, unit, usual, time_width, decimals, value_width = HEADER.unpack_from(data)
        plain = zlib.decompress(memoryview(data)[HEADER.size :])
    except (struct.error, zlib.error) as error:
        raise BadValueError(f"not a block of samples: {error}") from error
    if version != VERSION or len(plain) != (count - 1) * time_width + count * (value_width + 1):
        raise BadValueError(f"not a block of samples: version {version}, {count} samples in {len(plain)} bytes")
    middle, end = (count - 1) * time_width, (count - 1) * time_width + count * value_width
    time_ns = np.full(count, first, np.int64)
    time_ns[1:] += np.cumsum(_unzigzag(_unshuffled(plain[:middle], time_width)) + usual) * unit
    changes = _unshuffled(plain[middle:end], value_width)
    status = np.frombuffer(plain, np.uint8, count, end)
    if decimals < 0:
        value = np.bitwise_xor.accumulate(changes).view(np.float64)
    else:
        value = np.cumsum(_unzigzag(changes)) / 10.0**decimals
    return time_ns, np.where(status < GAP, value, np.nan), status


def _held(value: NDArray[np.float64], is_known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The values, with the one before in the place of each that is not known, which costs nothing then."""
    if is_known.all():
        return value
    source = np.maximum.accumulate(np.where(is_known, np.arange(len(value)), -1))
    return np.where(source >= 0, value[source], 0.0)


def _decimal(value: NDArray[np.float64]) -> tuple[int, NDArray[np.int64] | None]:
    """Whole numbers that give exactly these values when divided by a power of ten, and that power; or -1 and None."""
    bits = value.view(np.int64)
    with np.errstate(all="ignore"):
        for decimals in DECIMALS:
            whole = np.rint(value * 10.0**decimals)
            if not (np.abs(whole) < EXACT).all():
                return -1, None
            if ((whole / 10.0**decimals).view(np.int64) == bits).all():
                numbers = whole.astype(np.int64)
                # -0.0 is another value than 0.0, and no whole number.
                return (decimals, numbers) if ((numbers / 10.0**decimals).view(np.int64) == bits).all() else (-1, None)
    return -1, None


def _previous(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    before = np.zeros_like(numbers)
    before[1:] = numbers[:-1]
    return before


def _zigzag(numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Small numbers of either sign as small ones without."""
    return ((numbers << 1) ^ (numbers >> 63)).view(np.uint64)


def _unzigzag(numbers: NDArray[Any]) -> NDArray[np.int64]:
    wide = numbers.astype(np.uint64)
    found: NDArray[np.int64] = (wide >> np.uint64(1)).view(np.int64) ^ -(wide & np.uint64(1)).view(np.int64)
    return found


def _narrow(numbers: NDArray[np.uint64]) -> tuple[NDArray[Any], int]:
    largest = int(numbers.max()) if len(numbers) else 0
    width = next(each for each in (1, 2, 4, 8) if largest < 1 << 8 * each)
    return numbers.astype(f"<u{width}"), width


def _shuffled(numbers: NDArray[Any]) -> bytes:
    """First the lowest byte of all, then the next: those which never change stand together."""
    return numbers.view(np.uint8).reshape(len(numbers), numbers.itemsize).T.tobytes()


def _unshuffled(data: bytes, width: int) -> NDArray[Any]:
    planes = np.frombuffer(data, np.uint8).reshape(width, -1)
    return np.ascontiguousarray(planes.T).view(f"<u{width}").reshape(-1)
