"""The data types of the model as Tango has them, and values both ways."""

from __future__ import annotations

import enum
import json
from typing import Any

import numpy as np
import tango

from devices.core import DataType, DeviceState, Encoded, Kind, Quality
from devices.core.command import ArgumentSpec, CommandSpec
from devices.core.errors import BadValueError
from devices.core.json_text import read_json_text

T = tango.CmdArgType

SCALARS: dict[Kind, Any] = {
    Kind.BOOL: T.DevBoolean,
    Kind.UINT8: T.DevUChar,
    Kind.INT16: T.DevShort,
    Kind.UINT16: T.DevUShort,
    Kind.INT32: T.DevLong,
    Kind.UINT32: T.DevULong,
    Kind.INT64: T.DevLong64,
    Kind.UINT64: T.DevULong64,
    Kind.FLOAT32: T.DevFloat,
    Kind.FLOAT64: T.DevDouble,
    Kind.STRING: T.DevString,
    Kind.ENUM: T.DevEnum,
    Kind.STATE: T.DevState,
    Kind.ENCODED: T.DevEncoded,
}
#: Commands have no enumeration and no array of states: their labels travel as text.
COMMAND_SCALARS = SCALARS | {Kind.ENUM: T.DevString}
COMMAND_ARRAYS: dict[Kind, Any] = {
    Kind.BOOL: T.DevVarBooleanArray,
    Kind.UINT8: T.DevVarCharArray,
    Kind.INT16: T.DevVarShortArray,
    Kind.UINT16: T.DevVarUShortArray,
    Kind.INT32: T.DevVarLongArray,
    Kind.UINT32: T.DevVarULongArray,
    Kind.INT64: T.DevVarLong64Array,
    Kind.UINT64: T.DevVarULong64Array,
    Kind.FLOAT32: T.DevVarFloatArray,
    Kind.FLOAT64: T.DevVarDoubleArray,
    Kind.STRING: T.DevVarStringArray,
    Kind.ENUM: T.DevVarStringArray,
    Kind.STATE: T.DevVarStringArray,
}
QUALITIES = {
    Quality.VALID: tango.AttrQuality.ATTR_VALID,
    Quality.WARNING: tango.AttrQuality.ATTR_WARNING,
    Quality.ALARM: tango.AttrQuality.ATTR_ALARM,
    Quality.INVALID: tango.AttrQuality.ATTR_INVALID,
    Quality.CHANGING: tango.AttrQuality.ATTR_CHANGING,
}
STATES = {state: getattr(tango.DevState, state.name) for state in DeviceState}


def attribute_dtype(datatype: DataType) -> Any:
    """The ``dtype`` of a ``tango.server.attribute``: a type, a 1-tuple of it for spectra, nested for images."""
    dtype: Any = SCALARS[datatype.kind]
    for _ in datatype.shape:
        dtype = (dtype,)
    return dtype


def argument_type(spec: CommandSpec) -> Any:
    """The Tango type of a command's argument: void, the natural type of the only one, or JSON text for several."""
    if not spec.arguments:
        return T.DevVoid
    if len(spec.arguments) > 1:
        return T.DevString
    return _command_type(spec.arguments[0].datatype)


def result_type(spec: CommandSpec) -> Any:
    """The Tango type of a command's result; an operation gives its id, a JSON object its text."""
    if spec.kind == "operation" or spec.json_result:
        return T.DevString
    return T.DevVoid if spec.result is None else _command_type(spec.result)


def _command_type(datatype: DataType) -> Any:
    if len(datatype.shape) == 2:
        raise TypeError("a Tango command has no images")
    return (COMMAND_ARRAYS if datatype.shape else COMMAND_SCALARS)[datatype.kind]


def to_tango(datatype: DataType, value: Any) -> Any:
    """A value of the model as PyTango takes it for an attribute of the same type."""
    kind = datatype.kind
    if kind is Kind.ENUM:
        return _mapped(value, datatype.index)
    if kind is Kind.STATE:
        return _mapped(value, STATES.__getitem__)
    if kind is Kind.ENCODED:
        return value.format, value.data
    return value


def empty(datatype: DataType) -> Any:
    """A value that stands for no value where PyTango demands one (an event of quality INVALID)."""
    if datatype.shape:
        if datatype.is_number or datatype.kind is Kind.BOOL:
            return np.zeros((1,) * len(datatype.shape), datatype.dtype)
        item = empty(DataType(datatype.kind))
        return [item] if len(datatype.shape) == 1 else [[item]]
    if datatype.kind is Kind.STRING:
        return ""
    if datatype.kind is Kind.ENCODED:
        return "", b""
    if datatype.kind is Kind.STATE:
        return tango.DevState.UNKNOWN
    return 0


def from_tango(datatype: DataType, value: Any) -> Any:
    """A written Tango value as the model takes it; what does not fit is refused by the model itself."""
    if datatype.kind is Kind.ENCODED and isinstance(value, tuple):
        return Encoded(str(value[0]), bytes(value[1]))
    if datatype.kind is Kind.STATE:
        return _mapped(value, lambda state: DeviceState[str(state)])
    if datatype.shape and isinstance(value, np.ndarray) and not (datatype.is_number or datatype.kind is Kind.BOOL):
        return value.tolist()
    return value


def arguments_from_tango(spec: CommandSpec, argument: Any) -> dict[str, Any]:
    """The named arguments of a command from its Tango argument.

    Raises:
        BadValueError: several arguments, and the text is not a JSON object.
    """
    if not spec.arguments:
        return {}
    if len(spec.arguments) == 1:
        only: ArgumentSpec = spec.arguments[0]
        if only.datatype.kind is Kind.ENUM and isinstance(argument, str) and argument.strip().isdigit():
            argument = int(argument)
        return {only.name: from_tango(only.datatype, argument)}
    names = ", ".join(f'"{each.name}": ...' for each in spec.arguments)
    try:
        named = read_json_text(argument) if argument.strip() else {}
    except ValueError as error:
        raise BadValueError(f"{spec.name} takes a JSON object {{{names}}}: {error}") from None
    if not isinstance(named, dict):
        raise BadValueError(f"{spec.name} takes a JSON object {{{names}}}, not {argument!r}")
    return named


def result_to_tango(spec: CommandSpec, result: Any) -> Any:
    """The result of a command as its Tango type."""
    if spec.json_result and spec.kind == "command":
        return json.dumps(result)
    if spec.result is not None and spec.kind == "command":
        if spec.result.kind is Kind.ENUM or (spec.result.kind is Kind.STATE and spec.result.shape):
            return spec.result.to_json(result)
        return to_tango(spec.result, result)
    return result


def _mapped(value: Any, change: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_mapped(item, change) for item in value]
    return change(value) if isinstance(value, enum.Enum) or not isinstance(value, np.ndarray) else value
