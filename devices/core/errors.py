"""The errors of an instrument: one class per meaning, carried unchanged from driver to client.

The class name is what a client sees (Tango ``reason``, EPICS ``:Error``, gRPC details), so a script can tell a busy
device from a wrong value without reading the text. The text names the thing, its value, its unit and the bound.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable


class DiptychError(Exception):
    """Base of every error that a device raises on purpose."""


class RangeError(DiptychError, ValueError):
    """A value lies outside its limits; nothing was sent to the hardware."""


class BadValueError(DiptychError, ValueError):
    """A value has the wrong type, shape or spelling; nothing was sent to the hardware."""


class BusyError(DiptychError):
    """Something else is running that excludes this; the text names it."""


class NotAllowedError(DiptychError):
    """The device is in a state, or the client has a level, in which this is refused."""


class NotConnectedError(DiptychError, ConnectionError):
    """There is no link to the hardware now; the framework keeps trying to connect."""


class TimeoutError(DiptychError, builtins.TimeoutError):
    """The hardware, or a command as a whole, did not answer in time."""


class ProtocolError(DiptychError):
    """The hardware answered something that the protocol does not allow."""


class RefusedError(DiptychError):
    """The hardware understood the request and refused it (a NACK)."""


class StorageError(DiptychError, OSError):
    """A file cannot be written or read: no room, no permission, a disk that is gone; the text names the file."""


class InvalidReadingError(DiptychError):
    """A value was asked for that is INVALID at present; the text says why it is."""


class AbortedError(DiptychError):
    """An operation ended because somebody aborted it."""


class UnknownNameError(DiptychError, LookupError):
    """A name (attribute, command, operation id, service) is not known here."""


class ConfigurationError(DiptychError):
    """Properties or files are wrong; ``problems`` lists all of them, one line each."""

    def __init__(self, subject: str, problems: Iterable[str]) -> None:
        self.subject = subject
        self.problems = tuple(problems)
        super().__init__(f"{subject}: " + "; ".join(self.problems))

    def __reduce__(self) -> tuple[type[ConfigurationError], tuple[str, tuple[str, ...]]]:
        return type(self), (self.subject, self.problems)


def reason(error: BaseException) -> str:
    """The name of an error as clients see it: its class name, and for a foreign error the nearest meaning of ours."""
    if not isinstance(error, DiptychError):
        if isinstance(error, builtins.TimeoutError):
            return TimeoutError.__name__
        if isinstance(error, ConnectionError):
            return NotConnectedError.__name__
    return type(error).__name__
