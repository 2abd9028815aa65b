"""The error numbers of ASCOM Alpaca and the errors of an instrument, both ways."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from devices.core.errors import (
    AbortedError,
    BadValueError,
    BusyError,
    DiptychError,
    InvalidReadingError,
    NotAllowedError,
    NotConnectedError,
    RangeError,
    RefusedError,
    UnknownNameError,
)


class ErrorNumber(IntEnum):
    """``ErrorNumber`` of a reply; all from 0x500 to 0xFFF are the driver's own."""

    OK = 0
    NOT_IMPLEMENTED = 0x400
    INVALID_VALUE = 0x401
    VALUE_NOT_SET = 0x402
    NOT_CONNECTED = 0x407
    PARKED = 0x408
    SLAVED = 0x409
    INVALID_OPERATION = 0x40B
    ACTION_NOT_IMPLEMENTED = 0x40C
    OPERATION_CANCELLED = 0x40E
    DRIVER = 0x500


#: What a client raises for a number; all others are RefusedError.
_MEANINGS: Final[dict[int, type[DiptychError]]] = {
    ErrorNumber.NOT_IMPLEMENTED: NotAllowedError,
    ErrorNumber.INVALID_VALUE: RangeError,
    ErrorNumber.VALUE_NOT_SET: InvalidReadingError,
    ErrorNumber.NOT_CONNECTED: NotConnectedError,
    ErrorNumber.PARKED: NotAllowedError,
    ErrorNumber.SLAVED: NotAllowedError,
    ErrorNumber.INVALID_OPERATION: NotAllowedError,
    ErrorNumber.ACTION_NOT_IMPLEMENTED: UnknownNameError,
    ErrorNumber.OPERATION_CANCELLED: AbortedError,
}

#: What a server answers for an error; all others are DRIVER.
_NUMBERS: Final[tuple[tuple[type[Exception], ErrorNumber], ...]] = (
    (RangeError, ErrorNumber.INVALID_VALUE),
    (BadValueError, ErrorNumber.INVALID_VALUE),
    (InvalidReadingError, ErrorNumber.VALUE_NOT_SET),
    (NotConnectedError, ErrorNumber.NOT_CONNECTED),
    (NotAllowedError, ErrorNumber.INVALID_OPERATION),
    (BusyError, ErrorNumber.INVALID_OPERATION),
    (AbortedError, ErrorNumber.OPERATION_CANCELLED),
)


def error_of(number: int, text: str, subject: str) -> DiptychError:
    """The error that a reply's number and text mean."""
    name = next((each.name for each in ErrorNumber if each == number), ErrorNumber.DRIVER.name)
    return _MEANINGS.get(number, RefusedError)(f"{subject} refused: {text or 'no text'} (0x{number:X} {name})")


def number_of(error: Exception) -> ErrorNumber:
    """The number that a server answers when a member raised."""
    return next((number for kind, number in _NUMBERS if isinstance(error, kind)), ErrorNumber.DRIVER)
