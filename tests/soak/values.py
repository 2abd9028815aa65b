"""The values of the soak: each tells which PV it belongs to and when in the order of all its values it stands.

A value is a whole sequence number and, as its fraction, the number of its PV. Sequence numbers begin with the time, so
that they go on rising when a device server was killed.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

RACKS = 16  # devices
SERVERS = 4  # processes they live in
LEVELS = 20  # read-only scalars of a rack
SETTINGS = 5  # writable scalars of a rack
NUMBERS = 4096  # PVs that can be told apart: 1/4096 is exact in a double, beside 41 bits of sequence
STRIDE = 32  # numbers of a rack

EPOCH = 1_735_689_600.0  # 2025-01-01, s since 1970
TEXT, SPECTRUM, IMAGE = (LEVELS + SETTINGS + index for index in range(3))  # numbers within a rack


def number_of(rack: int, index: int) -> int:
    return rack * STRIDE + index


def level_pv(rack: int, index: int) -> str:
    return f"RACK{rack}:Level{number_of(rack, index)}"


def setting_pv(rack: int, index: int) -> str:
    return f"RACK{rack}:Setting{number_of(rack, LEVELS + index)}"


def sequence_now() -> int:
    """Thousandths of a second; nobody publishes one PV more often than that for long."""
    return int((time.time() - EPOCH) * 1000)


def value(sequence: int, number: int) -> float:
    return sequence + number / NUMBERS


def text(sequence: int, number: int) -> str:
    return f"{sequence} of {number}"


def spectrum(sequence: int, number: int) -> np.ndarray[Any, Any]:
    """One value all over, of a length that changes."""
    return np.full(1 + sequence % 64, value(sequence, number))


def image(sequence: int, number: int) -> np.ndarray[Any, Any]:
    return np.full((160 + sequence % 41, 200), value(sequence, number))


def read(given: Any) -> tuple[int, int]:
    """Sequence and number of a value.

    Raises:
        ValueError: it is none of ours, or an array with parts of two.
    """
    if isinstance(given, str):
        sequence, _, number = given.partition(" of ")
        return int(sequence), int(number)
    if isinstance(given, np.ndarray):
        if not given.size or (given != given.flat[0]).any():
            raise ValueError(f"torn: {given.size} elements from {given.min()!r} to {given.max()!r}")
        given = given.flat[0]
    whole, fraction = divmod(float(given), 1.0)
    return int(whole), int(fraction * NUMBERS) if (fraction * NUMBERS).is_integer() else -1
