"""What a PV is, as the page is told: PVWS JSON, made from a PVAccess value.

Source:
    docs/panel-sockets.md; PVWS (Phoebus web sockets) for the keys and the base64 arrays.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from p4p import Value

SEVERITIES: Final = ("NONE", "MINOR", "MAJOR", "INVALID", "UNDEFINED")
VTYPES: Final = {
    "d": "VDouble", "f": "VFloat", "l": "VLong", "i": "VInt", "h": "VShort", "b": "VByte",
    "L": "VULong", "I": "VUInt", "H": "VUShort", "B": "VUByte", "s": "VString", "?": "VBoolean",
}  # fmt: skip
EXACT: Final = 1 << 53  # beyond, a JSON number is not exact in a browser
#: Array codes with a key of their own; what else fits int32 goes there, the rest to float64.
ARRAY_KEYS: Final = {"d": ("b64dbl", "<f8"), "f": ("b64flt", "<f4"), "i": ("b64int", "<i4"), "h": ("b64srt", "<i2"),
                     "B": ("b64byt", "<u1")}  # fmt: skip
INT32_CODES: Final = ("b", "H", "?")

Content = dict[str, Any]


def value_of(value: Value) -> Content:
    """The keys that change with each update: value, time, severity.

    An image has no value here: it goes over the image socket.
    """
    stamp, alarm = value.timeStamp, value.alarm
    severity = int(alarm.severity)
    content: Content = {
        "seconds": int(stamp.secondsPastEpoch),
        "nanos": int(stamp.nanoseconds),
        "severity": SEVERITIES[severity] if severity < len(SEVERITIES) else "UNDEFINED",
        "status": alarm.message,
        "connected": True,
    }
    kind = value.getID()
    if kind.startswith("epics:nt/NTEnum"):
        index, labels = int(value.value.index), value.value.choices
        content |= {"value": index, "text": labels[index] if 0 <= index < len(labels) else str(index)}
    elif not kind.startswith("epics:nt/NTNDArray"):
        content |= _plain(value.type().aspy("value"), value.value)
    return content


def facts_of(value: Value) -> Content:
    """The keys that stay: type, unit, limits, labels. Sent once, and again when one of them changed."""
    kind = value.getID()
    if kind.startswith("epics:nt/NTEnum"):
        return {"vtype": "VEnum", "labels": list(value.value.choices), **_display(value)}
    if kind.startswith("epics:nt/NTNDArray"):
        return {"vtype": "VImage", **_display(value)}
    code = value.type().aspy("value")
    vtype = VTYPES[code[-1]] + ("Array" if code.startswith("a") else "")
    return {"vtype": vtype, **_display(value), **_limits(value), **_bounds(value)}


def number_text(number: float) -> float | str:
    """A number as JSON can carry it: NaN and infinities as text."""
    if isinstance(number, float) and not math.isfinite(number):
        return "NaN" if math.isnan(number) else ("Infinity" if number > 0 else "-Infinity")
    return number


def encoded(content: Mapping[str, Any]) -> str:
    """Compact JSON without the braces, so that updates can be put together from parts."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False)[1:-1]


def _plain(code: str, value: Any) -> Content:
    if code == "as":
        return {"texts": list(value)}
    if code.startswith("a"):
        return _array(code[1:], np.asarray(value))
    if code == "s":
        return {"text": value}
    if code == "?":
        return {"value": int(value), "text": "On" if value else "Off"}
    if isinstance(value, int) and abs(value) > EXACT:
        return {"value": value, "text": str(value)}
    return {"value": number_text(value)}


def _array(code: str, numbers: Any) -> Content:
    key, dtype = ARRAY_KEYS.get(code) or (("b64int", "<i4") if code in INT32_CODES else ("b64dbl", "<f8"))
    return {key: base64.b64encode(np.asarray(numbers, dtype).tobytes()).decode()}


def _display(value: Value) -> Content:
    display = value.get("display")
    if display is None:
        return {}
    found = {"description": display.description}
    if (units := display.get("units")) is not None:
        found["units"] = units
    return found


def _limits(value: Value) -> Content:
    found: Content = {}
    display, control = value.get("display"), value.get("control")
    if display is not None:
        if (precision := display.get("precision")) is not None:
            found["precision"] = int(precision)
        low, high = display.get("limitLow"), display.get("limitHigh")
        if low is not None and low < high:
            found |= {"min": number_text(low), "max": number_text(high)}
    if control is not None and control.limitLow < control.limitHigh:
        found |= {"drive_low": number_text(control.limitLow), "drive_high": number_text(control.limitHigh)}
    return found


def _bounds(value: Value) -> Content:
    alarm = value.get("valueAlarm")
    if alarm is None or not alarm.get("active"):
        return {}
    names = {
        "warn_low": ("lowWarningLimit", "lowWarningSeverity"),
        "warn_high": ("highWarningLimit", "highWarningSeverity"),
        "alarm_low": ("lowAlarmLimit", "lowAlarmSeverity"),
        "alarm_high": ("highAlarmLimit", "highAlarmSeverity"),
    }
    return {key: number_text(alarm[bound]) for key, (bound, severity) in names.items() if alarm[severity]}
