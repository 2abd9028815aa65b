"""Records as PVAccess values: NTScalar, NTScalarArray, NTEnum and NTNDArray.

Source:
    EPICS V4 Normative Types, document of 2015-03-16; areaDetector's NTNDArray converter for the attribute ColorMode and
    the order of dimensions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from p4p import Type, Value
from p4p.nt import NTEnum, NTNDArray, NTScalar

from servers.epics.alarm import Bounds, Status
from servers.epics.dbr import labels_of
from servers.epics.image_layout import COLOR_MODES, dimensions
from servers.epics.records import Facts, Kind, Reading, Record

CODES = {
    Kind.BOOL: "?", Kind.UINT8: "B", Kind.INT16: "h", Kind.UINT16: "H", Kind.INT32: "i", Kind.UINT32: "I",
    Kind.INT64: "l", Kind.UINT64: "L", Kind.FLOAT32: "f", Kind.FLOAT64: "d", Kind.STRING: "s", Kind.ENUM: "i",
}  # fmt: skip
# alarm_t.status of the normative types: 1 device, 2 driver, 3 record, 6 undefined.
ALARM_STATUS = {Status.NO_ALARM: 0, Status.READ: 1, Status.LINK: 2, Status.COMM: 2, Status.UDF: 6}
RECORD_STATUS = 3
DISPLAY = ("S", "display_t", [("limitLow", "d"), ("limitHigh", "d"), ("description", "s"), ("units", "s")])

_types: dict[str, Type] = {}


def normative_value(
    record: Record,
    reading: Reading,
    *,
    with_facts: bool,
    with_value: bool = True,
    number: int = 0,
    data_timestamp_ns: int = 0,
) -> Value:
    """A Reading as a PVAccess value; only what is set in it counts as changed.

    Args:
        with_facts: whether to set display, control and valueAlarm, too.
        with_value: False for time and alarm alone.
        number: of an image, its unique id.
        data_timestamp_ns: when an image was taken; the Reading's own time is that of its alarm, too.
    """
    alarm = reading.alarm
    content: dict[str, Any] = {
        "alarm": {
            "severity": int(alarm.severity),
            "status": ALARM_STATUS.get(alarm.status, RECORD_STATUS),
            "message": alarm.message,
        },
        "timeStamp": _stamp(reading.timestamp_ns),
    }
    if not with_value:
        pass
    elif record.rank == 2:
        content |= _frame(reading) | {"dataTimeStamp": _stamp(data_timestamp_ns), "uniqueId": number % (1 << 31)}
    elif record.kind is Kind.ENUM and record.rank == 0:
        content["value"] = {"index": int(reading.value)}
    else:
        content["value"] = list(reading.value) if record.kind is Kind.STRING and record.rank else reading.value
    if with_facts:
        _add_facts(content, record)
    return Value(_type_of(record), content)


def _type_of(record: Record) -> Type:
    """The normative type of a record; records of one kind share one object."""
    if record.rank == 2:
        return _shared_type("image")
    if record.kind is Kind.ENUM and record.rank == 0:
        return _shared_type("enum")
    return _shared_type(("a" if record.rank else "") + CODES[record.kind])


def _shared_type(code: str) -> Type:
    if code not in _types:
        if code == "image":
            _, name, members = NTNDArray.buildType().aspy()  # its own way to add members fails in p4p 4.3
            _types[code] = Type([*members, ("descriptor", "s"), ("display", DISPLAY)], name)
        elif code == "enum":
            _types[code] = NTEnum.buildType(extra=[("display", ("S", None, [("description", "s")]))])
        else:
            _types[code] = NTScalar.buildType(code, display=True, control=True, valueAlarm=True, form=True)
    return _types[code]


def _stamp(nanoseconds: int) -> dict[str, int]:
    return dict(zip(("secondsPastEpoch", "nanoseconds"), divmod(nanoseconds, 1_000_000_000), strict=True))


def _frame(reading: Reading) -> dict[str, Any]:
    """An image (rows, columns) as an NTNDArray has it, without a copy: dimension 0 is the fastest one."""
    image: np.ndarray[Any, Any] = reading.value
    return {
        "value": (NTNDArray._code2u[image.dtype.char.replace("q", "l").replace("Q", "L")], image.ravel()),
        "dimension": [
            {"size": size, "offset": 0, "fullSize": size, "binning": 1, "reverse": False}
            for size in dimensions(reading)
        ],
        "compressedSize": image.nbytes,
        "uncompressedSize": image.nbytes,
        "attribute": [{"name": "ColorMode", "value": COLOR_MODES[reading.format], "descriptor": "Color mode"}],
    }


def _add_facts(content: dict[str, Any], record: Record) -> None:
    facts = record.facts
    if record.rank == 2:
        content["descriptor"] = facts.description
        low, high = (0.0 if bound is None else float(bound) for bound in facts.limits)
        display = {"description": facts.description, "units": facts.unit, "limitLow": low, "limitHigh": high}
        content["display"] = display
        return
    if record.kind is Kind.ENUM and record.rank == 0:
        content["value"]["choices"] = list(labels_of(record))
        content["display"] = {"description": facts.description}
        return
    content["display"] = {"description": facts.description, "units": facts.unit}
    if not record.kind.is_number:
        return
    low, high = _pair(facts.display_limits, record, 0)
    content["display"] |= {"limitLow": low, "limitHigh": high, "precision": facts.precision or 0}
    if record.handler is not None:
        low, high = _control(facts, record)
        content["control"] = {"limitLow": low, "limitHigh": high}
    content["valueAlarm"] = _value_alarm(facts, record)


def _value_alarm(facts: Facts, record: Record) -> dict[str, Any]:
    unset = float("nan") if record.kind.is_float else 0
    low_alarm, high_alarm = _pair(facts.alarm, record, unset)
    low_warning, high_warning = _pair(facts.warning, record, unset)
    return {
        "active": facts.alarm != (None, None) or facts.warning != (None, None),
        "lowAlarmLimit": low_alarm,
        "highAlarmLimit": high_alarm,
        "lowWarningLimit": low_warning,
        "highWarningLimit": high_warning,
        "lowAlarmSeverity": 2 * (facts.alarm[0] is not None),
        "highAlarmSeverity": 2 * (facts.alarm[1] is not None),
        "lowWarningSeverity": 1 * (facts.warning[0] is not None),
        "highWarningSeverity": 1 * (facts.warning[1] is not None),
        "hysteresis": facts.hysteresis,
    }


def _control(facts: Facts, record: Record) -> tuple[float, float]:
    low, high = facts.control_limits
    if record.kind.is_float:
        return low, high
    least, most = np.iinfo(record.kind.dtype).min, np.iinfo(record.kind.dtype).max
    return int(max(low, least)), int(min(high, most))


def _pair(bounds: Bounds, record: Record, unset: float) -> tuple[float, float]:
    number = float if record.kind.is_float else int
    low, high = (number(unset if bound is None else bound) for bound in bounds)
    return low, high
