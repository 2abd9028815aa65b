"""Attribute configuration: the Tango database's word on units, limits and bounds, adopted by the model."""

from __future__ import annotations

import math
from typing import Any

import tango

from devices.core import AttributeSpec, LiveAttribute
from devices.core.alarm import Range

UNSET = frozenset({"", "not specified", "no unit", "no standard unit", "no display unit", "nan"})


def declaration(spec: AttributeSpec) -> dict[str, Any]:
    """The keywords of a ``tango.server.attribute`` for a specification."""
    words: dict[str, Any] = {
        "label": spec.label,
        "unit": spec.unit,
        "doc": spec.doc,
        "access": {
            "read": tango.AttrWriteType.READ,
            "write": tango.AttrWriteType.WRITE,
            "read_write": tango.AttrWriteType.READ_WRITE,
        }[spec.access],
        "display_level": tango.DispLevel.EXPERT if spec.level == "expert" else tango.DispLevel.OPERATOR,
    }
    datatype = spec.datatype
    if datatype.kind == "enum":
        words["enum_labels"] = list(datatype.labels)
    if datatype.shape:
        words["max_dim_x"] = datatype.shape[-1]
        if len(datatype.shape) == 2:
            words["max_dim_y"] = datatype.shape[0]
    if datatype.is_number:
        if spec.precision is not None:
            words["format"] = f"%.{spec.precision}f" if datatype.kind.startswith("float") else "%d"
        for (low, high), bounds in (
            (("min_value", "max_value"), spec.limits),
            (("min_warning", "max_warning"), spec.warning),
            (("min_alarm", "max_alarm"), spec.alarm),
        ):
            if bounds is not None:
                for name, bound in zip((low, high), bounds, strict=True):
                    if bound is not None:
                        words[name] = _text(spec, bound)
    return words


def _text(spec: AttributeSpec, bound: float) -> str:
    return repr(float(bound)) if spec.datatype.kind.startswith("float") else str(int(bound))


def adopt(live: LiveAttribute[Any], properties: tango.MultiAttrProp) -> None:
    """Take over what the Tango attribute configuration says, at start (so from the database) and when it changes."""
    changes: dict[str, Any] = {"unit": known(properties.unit), "label": properties.label}
    if known(properties.description):
        changes["doc"] = properties.description.removesuffix("No description") or live.spec.doc
    if live.spec.datatype.is_number:
        changes["limits"] = _range(properties.min_value, properties.max_value)
        changes["warning"] = _range(properties.min_warning, properties.max_warning)
        changes["alarm"] = _range(properties.min_alarm, properties.max_alarm)
    live.configure(**changes)


def known(text: str) -> str:
    return "" if text.strip().casefold() in UNSET else text


def _range(low: Any, high: Any) -> Range | None:
    bounds = _number(low), _number(high)
    return None if bounds == (None, None) else bounds


def _number(text: Any) -> float | None:
    if isinstance(text, str) and text.strip().casefold() in UNSET:
        return None
    try:
        number = float(text)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
