"""The alarm of a value as EPICS has it: severity, status and a text; and what a Tango quality means there."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Bounds = tuple[float | None, float | None]


class Severity(enum.IntEnum):
    """How bad it is; the numbers are those of EPICS (alarm.h)."""

    NO_ALARM = 0
    MINOR = 1
    MAJOR = 2
    INVALID = 3


class Status(enum.IntEnum):
    """Why a record has its severity; the numbers are those of EPICS (alarm.h)."""

    NO_ALARM = 0
    READ = 1
    WRITE = 2
    HIHI = 3
    HIGH = 4
    LOLO = 5
    LOW = 6
    STATE = 7
    COMM = 9
    LINK = 14
    UDF = 17


class Quality(enum.IntEnum):
    """The quality of a Tango value; the numbers are those of Tango's AttrQuality."""

    VALID = 0
    INVALID = 1
    ALARM = 2
    CHANGING = 3
    WARNING = 4


@dataclass(frozen=True, slots=True)
class Alarm:
    severity: Severity = Severity.NO_ALARM
    status: Status = Status.NO_ALARM
    message: str = ""


GOOD = Alarm()
UNDEFINED = Alarm(Severity.INVALID, Status.UDF, "no value yet")


def judge(quality: Quality, value: Any, warning: Bounds, alarm: Bounds, hysteresis: float = 0.0) -> Alarm:
    """The EPICS alarm of a Tango quality; the bounds only say which side, the judge was the device.

    Args:
        value: a number or an array; in an array the outermost element decides.
        hysteresis: how far inside a bound the value may be when the device still holds the alarm.
    """
    if quality in (Quality.VALID, Quality.CHANGING):
        return GOOD
    if quality is Quality.INVALID:
        return Alarm(Severity.INVALID, Status.READ, "the value is invalid")
    if quality is Quality.ALARM:
        status = _side(value, alarm, hysteresis, Status.LOLO, Status.HIHI)
        return Alarm(Severity.MAJOR, status, status.name)
    status = _side(value, warning, hysteresis, Status.LOW, Status.HIGH)
    return Alarm(Severity.MINOR, status, status.name)


def _side(value: Any, bounds: Bounds, hysteresis: float, low: Status, high: Status) -> Status:
    lowest, highest = _extremes(value)
    for held in (0.0, hysteresis):
        if bounds[1] is not None and highest >= bounds[1] - held:
            return high
        if bounds[0] is not None and lowest <= bounds[0] + held:
            return low
    return Status.STATE


def _extremes(value: Any) -> tuple[float, float]:
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "iuf" or not value.size or np.isnan(value).all():
            return math.inf, -math.inf
        return float(np.nanmin(value)), float(np.nanmax(value))
    if isinstance(value, bool | int | float):
        return float(value), float(value)
    return math.inf, -math.inf


STATES: Sequence[str] = (
    "ON", "OFF", "CLOSE", "OPEN", "INSERT", "EXTRACT", "MOVING", "STANDBY", "FAULT", "INIT", "RUNNING", "ALARM",
    "DISABLE", "UNKNOWN",
)  # fmt: skip


def judge_state(state: int) -> Alarm:
    """FAULT is MAJOR, ALARM is MINOR, UNKNOWN is INVALID; every other state is fine."""
    severity = {"FAULT": Severity.MAJOR, "ALARM": Severity.MINOR, "UNKNOWN": Severity.INVALID}.get(STATES[state])
    return GOOD if severity is None else Alarm(severity, Status.STATE, f"the state is {STATES[state]}")
