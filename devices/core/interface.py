"""The interface of a device: the frozen view that servers, panels and the mirror read, and its JSON."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devices.core.attribute import AttributeSpec
from devices.core.command import ArgumentSpec, CommandSpec
from devices.core.datatype import DataType, DeviceState, Kind
from devices.core.deadband import Deadband
from devices.core.errors import ProtocolError

#: The version of the JSON form.
FORMAT = 1


#: What a command whose result is a JSON object gives.
JSON_TEXT = DataType(Kind.STRING, text_limit=1 << 20)


@dataclass(frozen=True)
class Interface:
    """Everything a client can do with a device."""

    device_class: str
    doc: str
    pv_prefix: str
    attributes: tuple[AttributeSpec, ...]
    commands: tuple[CommandSpec, ...]

    def to_json(self) -> str:
        """The description as JSON text; :meth:`from_json` reads it back."""
        return json.dumps(
            {
                "format": FORMAT,
                "device_class": self.device_class,
                "doc": self.doc,
                "pv_prefix": self.pv_prefix,
                "attributes": [_attribute_to_json(spec) for spec in self.attributes],
                "commands": [_command_to_json(spec) for spec in self.commands],
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Interface:
        """The interface from its JSON text.

        Raises:
            ProtocolError: not a description, or of a newer format.
        """
        try:
            data = json.loads(text)
            if data["format"] != FORMAT:
                raise ProtocolError(f"description format {data['format']} is not known, only {FORMAT}")
            return cls(
                data["device_class"],
                data["doc"],
                data["pv_prefix"],
                tuple(_attribute_from_json(item) for item in data["attributes"]),
                tuple(_command_from_json(item) for item in data["commands"]),
            )
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise ProtocolError(f"not a device description: {error!r}") from error


def _type_to_json(datatype: DataType) -> dict[str, Any]:
    data: dict[str, Any] = {
        "type": datatype.kind.value,
        "shape": list(datatype.shape),
        "labels": list(datatype.labels) if datatype.kind is not Kind.STATE else [],
    }
    if datatype.kind is Kind.STRING:
        data["text_limit"] = datatype.text_limit
    return data


def _enum_class(labels: tuple[str, ...]) -> Any:
    return enum.Enum("Labels", {f"M{index}": text for index, text in enumerate(labels)})


def _type_from_json(data: Mapping[str, Any]) -> DataType:
    kind = Kind(data["type"])
    labels = tuple(data["labels"])
    enum_class = _enum_class(labels) if kind is Kind.ENUM else None
    if kind is Kind.STATE:
        enum_class, labels = DeviceState, tuple(m.name for m in DeviceState)
    limits = {"text_limit": data["text_limit"]} if "text_limit" in data else {}
    return DataType(kind, tuple(data["shape"]), enum_class, labels, **limits)


def _range_from_json(pair: Any) -> Any:
    return None if pair is None else (pair[0], pair[1])


def _attribute_to_json(spec: AttributeSpec) -> dict[str, Any]:
    plain = {
        field.name: getattr(spec, field.name)
        for field in dataclasses.fields(spec)
        if field.name not in ("datatype", "change", "archive")
    }
    events = {name: dataclasses.asdict(getattr(spec, name)) for name in ("change", "archive")}
    return {"name": spec.name, **_type_to_json(spec.datatype), **plain, **events}


def _attribute_from_json(data: Mapping[str, Any]) -> AttributeSpec:
    plain: dict[str, Any] = {
        field.name: data[field.name]
        for field in dataclasses.fields(AttributeSpec)
        if field.name not in ("datatype", "change", "archive", "limits", "warning", "alarm")
    }
    plain |= {name: _range_from_json(data[name]) for name in ("limits", "warning", "alarm")}
    plain |= {name: Deadband(**data[name]) for name in ("change", "archive")}
    return AttributeSpec(datatype=_type_from_json(data), **plain)


def _argument_to_json(spec: ArgumentSpec) -> dict[str, Any]:
    default = spec.datatype.to_json(spec.default)
    return {
        "name": spec.name,
        **_type_to_json(spec.datatype),
        "unit": spec.unit,
        "limits": spec.limits,
        "required": spec.required,
        "default": default,
        "doc": spec.doc,
    }


def _argument_from_json(data: Mapping[str, Any]) -> ArgumentSpec:
    datatype = _type_from_json(data)
    default = data["default"]
    if default is not None:
        default = datatype.convert(default, data["name"])
    return ArgumentSpec(
        data["name"], datatype, data["unit"], _range_from_json(data["limits"]), data["doc"], data["required"], default
    )


def _command_to_json(spec: CommandSpec) -> dict[str, Any]:
    result: dict[str, Any] | None = None
    if spec.result is not None:
        result = _type_to_json(spec.result)
    elif spec.json_result:
        result = _type_to_json(JSON_TEXT) | {"json": True}
    return {
        "name": spec.name,
        "kind": spec.kind,
        "arguments": [_argument_to_json(argument) for argument in spec.arguments],
        "result": result,
        "allowed": None if spec.allowed is None else sorted(state.name for state in spec.allowed),
        "level": spec.level,
        "dangerous": spec.dangerous,
        "reads_only": spec.reads_only,
        "stops": spec.stops,
        "timeout": spec.timeout,
        "when_busy": spec.when_busy,
        "mirror": spec.mirror,
        "pv_name": spec.pv_name,
        "doc": spec.doc,
        "group": spec.group,
    }


def _command_from_json(data: Mapping[str, Any]) -> CommandSpec:
    result = data["result"]
    json_result = result is not None and result.get("json", False)
    return CommandSpec(
        name=data["name"],
        kind=data["kind"],
        arguments=tuple(_argument_from_json(item) for item in data["arguments"]),
        result=None if result is None or json_result else _type_from_json(result),
        json_result=json_result,
        allowed=None if data["allowed"] is None else frozenset(DeviceState[name] for name in data["allowed"]),
        level=data["level"],
        dangerous=data["dangerous"],
        reads_only=data.get("reads_only", False),
        stops=data.get("stops", False),
        timeout=data["timeout"],
        when_busy=data["when_busy"],
        mirror=data["mirror"],
        pv_name=data["pv_name"],
        doc=data["doc"],
        group=data["group"],
    )
