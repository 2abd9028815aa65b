"""Lengths of time and amounts of data as people write them: ``24 h``, ``4 GB``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from devices.core.errors import BadValueError

SECONDS: Final = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "week": 604800.0, "weeks": 604800.0}
BYTES: Final = {"MB": 1e6, "GB": 1e9, "TB": 1e12}


def seconds_of(text: str) -> float:
    """A length of time in seconds.

    Raises:
        BadValueError: it is none.
    """
    return _amount(text, SECONDS, "a time")


def bytes_of(text: str) -> int:
    """An amount of data in bytes.

    Raises:
        BadValueError: it is none.
    """
    return round(_amount(text, BYTES, "an amount of data"))


def _amount(text: str, units: Mapping[str, float], what: str) -> float:
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", text)
    if found is None or found[2] not in units:
        raise BadValueError(f"{text!r} is not {what}: a number and one of {', '.join(units)}")
    return float(found[1]) * units[found[2]]
