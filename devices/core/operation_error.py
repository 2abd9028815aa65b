"""The error that an operation ended with, out of the text that its status has."""

from __future__ import annotations

from devices.core import errors
from devices.core.errors import AbortedError, DiptychError


def operation_error(text: str) -> DiptychError:
    """The error of a text ``CLASS: WORDS``; another class becomes a DiptychError with all of it."""
    name, _, words = text.partition(": ")
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, DiptychError) and kind is not errors.ConfigurationError:
        return kind(words)
    return AbortedError("aborted") if not text else DiptychError(text)
