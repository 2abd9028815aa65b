"""The model: what a device is, without any control system."""

from devices.core.attribute import Attribute, AttributeSpec, attribute
from devices.core.command import Argument, ArgumentSpec, CommandSpec, command, operation
from devices.core.component import Part
from devices.core.datatype import DataType, DeviceState, Encoded, Kind
from devices.core.deadband import Deadband
from devices.core.device import Device
from devices.core.interface import Interface
from devices.core.live import Event, LiveAttribute
from devices.core.operations import Operation
from devices.core.pipeline import pipeline
from devices.core.poller import poll
from devices.core.property import Properties, setting
from devices.core.reading import Quality, Reading

__all__ = [
    "Argument",
    "ArgumentSpec",
    "Attribute",
    "AttributeSpec",
    "CommandSpec",
    "DataType",
    "Deadband",
    "Device",
    "DeviceState",
    "Encoded",
    "Event",
    "Interface",
    "Kind",
    "LiveAttribute",
    "Operation",
    "Part",
    "Properties",
    "Quality",
    "Reading",
    "attribute",
    "command",
    "operation",
    "pipeline",
    "poll",
    "setting",
]
