"""The mapping file: what stands behind the names that DCSS registers; YAML with a JSON schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from devices.core.errors import BadValueError, ConfigurationError
from devices.dcss.bridge import Bridge
from devices.dcss.bridge_member import Member
from devices.dcss.detector import Detector, DetectorMapping
from devices.dcss.encoder import Encoder, Object
from devices.dcss.ion_chamber import IonChamber
from devices.dcss.motor import Motor, PseudoMotor
from devices.dcss.motor_mapping import MotorMapping
from devices.dcss.operation_address import AddressOperation
from devices.dcss.operation_function import import_functions
from devices.dcss.shutter import Shutter
from devices.dcss.string import String
from devices.drivers.json_schema import checked

MEMBERS: Mapping[str, type[Any]] = {
    "shutters": Shutter,
    "ion_chambers": IonChamber,
    "strings": String,
    "encoders": Encoder,
}


def read_mapping(path: Path) -> dict[str, Any]:
    """The document.

    Raises:
        ConfigurationError: it cannot be read, or lists every wrong key.
    """
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(str(path), [str(error)]) from error
    return checked_mapping({} if document is None else document, str(path))


def checked_mapping(document: object, subject: str) -> dict[str, Any]:
    """The same for a document that was read already.

    Raises:
        ConfigurationError: lists every wrong key.
    """
    text = resources.files("devices.dcss").joinpath("mapping.schema.json").read_text()
    return checked(document, json.loads(text), subject, "the mapping")


def fill(bridge: Bridge, mapping: Mapping[str, Any], subject: str) -> None:
    """Give a bridge all that the mapping names.

    Raises:
        ConfigurationError: lists all that excludes each other, names twice, modules that cannot be imported.
    """
    problems: list[str] = []
    around = bridge.around

    def try_(make: Any, *args: Any) -> Any:
        try:
            return make(*args)
        except BadValueError as error:
            problems.append(str(error))
        except ConfigurationError as error:
            problems.extend(f"{error.subject}: {problem}" for problem in error.problems)

    def motor(name: str, is_real: bool, entry: Mapping[str, Any]) -> Member:
        kind = Motor if is_real else PseudoMotor
        return kind(MotorMapping.of(name, is_real, entry), around)

    members = [
        *(try_(motor, name, True, entry) for name, entry in mapping.get("real_motors", {}).items()),
        *(try_(motor, name, False, entry) for name, entry in mapping.get("pseudo_motors", {}).items()),
        *(
            kind(name, around, **entry)
            for section, kind in MEMBERS.items()
            for name, entry in mapping.get(section, {}).items()
        ),
        *(Object(name, around) for name in mapping.get("objects", [])),
    ]
    for member in members:
        if member is not None:
            try_(bridge.add, [member])
    for name, entry in mapping.get("operations", {}).items():
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) and key != "value" else value for key, value in entry.items()
        }
        try_(bridge.operations.add, name, AddressOperation(around.neighbours, **fields))
    if (entry := mapping.get("detector")) is not None:
        try_(Detector(DetectorMapping(**entry), around.neighbours).add_to, bridge.operations)
    for module in mapping.get("modules", []):
        for name, work in (try_(import_functions, module) or {}).items():
            try_(bridge.operations.add, name, work)
    if problems:
        raise ConfigurationError(subject, problems)
