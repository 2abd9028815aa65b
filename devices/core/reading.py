"""A reading: a value with the time and the quality that belong to it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


class Quality(enum.StrEnum):
    """How far a value can be trusted; the order of ``RANK`` says which of two is worse."""

    VALID = "VALID"
    CHANGING = "CHANGING"
    WARNING = "WARNING"
    ALARM = "ALARM"
    INVALID = "INVALID"


RANK = {quality: rank for rank, quality in enumerate(Quality)}


def worst(first: Quality, second: Quality) -> Quality:
    """The worse of two qualities: INVALID > ALARM > WARNING > CHANGING > VALID."""
    return first if RANK[first] >= RANK[second] else second


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """What the hardware said, when, and how far it can be trusted.

    ``value`` is None exactly when ``quality`` is INVALID; ``reason`` then says why. ``timestamp`` is in seconds since
    1970 (Unix), taken when the hardware gave the value.
    """

    value: T | None
    timestamp: float
    quality: Quality = Quality.VALID
    reason: str = ""
