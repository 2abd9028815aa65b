"""A set point as a motor and a reading as a zero-dimensional channel of Sardana."""

import time
from typing import Any, ClassVar

import tango
from sardana import State  # type: ignore
from sardana.pool.controller import (  # type: ignore
    Access,
    DataAccess,
    Description,
    MotorController,
    Type,
    ZeroDController,
)

# what follows stands in generated files

TEXT = {Type: str, Access: DataAccess.ReadWrite}
NUMBER = {Type: float, Access: DataAccess.ReadWrite}


class Attributes:
    """The device behind a controller, and what was set for each axis."""

    def connect(self) -> None:
        self.proxy = tango.DeviceProxy(self.Device)  # type: ignore[attr-defined]
        self.axes: dict[int, dict[str, Any]] = {}

    def AddDevice(self, axis: int) -> None:
        self.axes[axis] = {}

    def DeleteDevice(self, axis: int) -> None:
        del self.axes[axis]

    def SetAxisExtraPar(self, axis: int, name: str, value: Any) -> None:
        self.axes[axis][name.lower()] = value

    def GetAxisExtraPar(self, axis: int, name: str) -> Any:
        return self.axes[axis].get(name.lower(), 0.0 if name in ("Tolerance", "Settle") else "")

    def attribute(self, axis: int, name: str) -> str:
        """The attribute of the device that an axis was told of."""
        if not self.axes[axis].get(name.lower()):
            raise RuntimeError(f"{name} of this element is not set; it is the name of an attribute of {self.Device}")  # type: ignore[attr-defined]
        return str(self.axes[axis][name.lower()])

    def value(self, axis: int, name: str) -> float:
        attribute = self.attribute(axis, name)
        reading = self.proxy.read_attribute(attribute)
        if reading.quality == tango.AttrQuality.ATTR_INVALID:
            raise RuntimeError(f"{attribute} has no valid value at present")
        return float(reading.value)


class DiptychSetPoint(Attributes, MotorController):  # type: ignore[misc]
    """A set point as a motor: it moves until the reading has been within Tolerance for Settle seconds on end."""

    ctrl_properties: ClassVar = {"Device": {Type: str, Description: "tango://HOST:PORT/DEVICE"}}
    axis_attributes: ClassVar = {"SetPoint": TEXT, "Reading": TEXT, "Tolerance": NUMBER, "Settle": NUMBER}

    def __init__(self, name: str, properties: Any, *args: Any, **options: Any) -> None:
        super().__init__(name, properties, *args, **options)
        self.connect()

    def ReadOne(self, axis: int) -> float:
        return self.value(axis, "Reading")

    def StartOne(self, axis: int, position: float) -> None:
        about = self.axes[axis]
        self.proxy.write_attribute(self.attribute(axis, "SetPoint"), position)
        about["target"], about["since"] = position, None

    def StateOne(self, axis: int) -> tuple[Any, str, int]:
        about = self.axes[axis]
        target = about.get("target")
        if target is None:
            return State.On, "at rest", MotorController.NoLimitSwitch
        if abs(self.value(axis, "Reading") - target) > about.get("tolerance", 0.0):
            about["since"] = None
        elif about["since"] is None:
            about["since"] = time.monotonic()
        if about["since"] is None or time.monotonic() - about["since"] < about.get("settle", 0.0):
            return State.Moving, f"on its way to {target:g}", MotorController.NoLimitSwitch
        about["target"] = None
        return State.On, f"at {target:g}", MotorController.NoLimitSwitch

    def StopOne(self, axis: int) -> None:
        about = self.axes[axis]
        if about.get("target") is not None:
            self.proxy.write_attribute(self.attribute(axis, "SetPoint"), self.value(axis, "Reading"))
        about["target"] = None

    AbortOne = StopOne


class DiptychReading(Attributes, ZeroDController):  # type: ignore[misc]
    """An attribute as a zero-dimensional channel."""

    ctrl_properties: ClassVar = {"Device": {Type: str, Description: "tango://HOST:PORT/DEVICE"}}
    axis_attributes: ClassVar = {"Attribute": TEXT}

    def __init__(self, name: str, properties: Any, *args: Any, **options: Any) -> None:
        super().__init__(name, properties, *args, **options)
        self.connect()

    def ReadOne(self, axis: int) -> float:
        return self.value(axis, "Attribute")

    def StateOne(self, axis: int) -> tuple[Any, str]:
        return State.On, "reading"
