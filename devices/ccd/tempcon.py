"""The temperatures of a camera: from its controller's own sensors, or from a temperature controller of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import numpy as np

from devices.ccd.controller import CcdController
from devices.ccd.header import Entry, Value
from devices.ccd.tool import CcdTool, ToolProperties
from devices.core import Argument, attribute, command, setting
from devices.core.errors import ConfigurationError, NotAllowedError, RangeError

PERIOD: Final = 1.0
ABSOLUTE_ZERO: Final = -273.15


@dataclass(frozen=True)
class TempconProperties(ToolProperties):
    """Where temperatures come from."""

    controller: str = setting("", doc="Device name of the CCD controller whose sensors these are, in the same server")
    sensors: tuple[str, ...] = setting(
        (), doc="Camera's sensor first, dewar's second: names of the controller's; empty: its first ones"
    )
    device: str = setting("", doc="Instead: a Tango device with temperatures, e.g. cryo/cryocon/1")
    temperatures: tuple[str, ...] = setting(
        ("temperature_a", "temperature_b"), doc="Its attributes, the camera's first, the dewar's second"
    )
    setpoint: str = setting("setpoint_1", doc="Its attribute that is the set point of the detector")
    kelvin: bool = setting(True, doc="Its temperatures are in K; otherwise in degC")
    lowest: float = setting(-150.0, doc="The lowest set point, degC", limits=(ABSOLUTE_ZERO, 100.0))
    highest: float = setting(30.0, doc="The highest set point, degC", limits=(ABSOLUTE_ZERO, 100.0))


class CcdTempcon(CcdTool):
    """Temperatures of camera and dewar, Celsius, and the set point of the detector."""

    header_group = "tempcon"
    properties_class = TempconProperties
    properties: TempconProperties

    camera_temperature = attribute(float, unit="degC", precision=2, doc="Of the detector")
    dewar_temperature = attribute(float, unit="degC", precision=2, doc="Of the dewar")
    temperatures = attribute(float, shape=(32,), unit="degC", precision=2, doc="Of all sensors")
    control_temperature = attribute(float, unit="degC", precision=2, doc="The set point of the detector")
    offsets = attribute(float, shape=(32,), unit="degC", initial=(), doc="Added to each temperature after its scale")
    scales = attribute(float, shape=(32,), initial=(), doc="Each temperature is multiplied by")
    calibrations = attribute(
        int, shape=(32,), initial=(), doc="Curves that were chosen: 0 DT670, 1 AD590, 2 1N4148, 3 1N914"
    )

    def build(self) -> None:
        super().build()
        given = self.properties
        if bool(given.controller) == bool(given.device):
            raise ConfigurationError(self.name, ["one of the properties controller and device must be given"])
        if given.lowest > given.highest:
            raise ConfigurationError(self.name, [f"lowest = {given.lowest} degC is above highest = {given.highest}"])
        self.control_temperature.configure(limits=(given.lowest, given.highest))
        self.add_poll(self.poll_temperatures, PERIOD, "temperatures")

    async def poll_temperatures(self) -> None:
        """Ask for all temperatures."""
        given = self.properties
        if given.device:
            found = [await self._neighbour(name) for name in given.temperatures]
            setpoint = await self._neighbour(given.setpoint) if given.setpoint else math.nan
            if not math.isnan(setpoint) and self.control_temperature.reading.value is None:
                self.control_temperature.publish_setpoint(setpoint)
            self.control_temperature.publish(setpoint)
        else:
            controller = self.peers.find(given.controller, CcdController)
            names = controller.sensor_names.value
            held = controller.sensor_temperatures.reading.value
            values = dict(zip(names, () if held is None else held.tolist(), strict=False))
            found = [values.get(name, math.nan) for name in given.sensors or names]
        corrected = [self._corrected(index, value) for index, value in enumerate(found[:32])]
        for live, index in ((self.camera_temperature, 0), (self.dewar_temperature, 1)):
            if index < len(corrected):
                live.publish(corrected[index])
            else:
                live.publish_invalid("there is no such sensor")
        self.temperatures.publish(np.array(corrected))

    def _corrected(self, index: int, value: float) -> float:
        offsets, scales = self.offsets.value, self.scales.value
        scale = float(scales[index]) if index < len(scales) else 1.0
        return value * scale + (float(offsets[index]) if index < len(offsets) else 0.0)

    async def _neighbour(self, attribute_name: str) -> float:
        reading = await self.neighbours.read(f"{self.properties.device}/{attribute_name}")
        value = math.nan if reading.value is None else float(reading.value)
        return value + (ABSOLUTE_ZERO if self.properties.kelvin else 0.0)

    @control_temperature.write
    async def write_control_temperature(self, celsius: float) -> None:
        given = self.properties
        if given.controller:
            await self.peers.find(given.controller, CcdController).link.set_temperature(celsius)
        elif given.setpoint:
            value = celsius - ABSOLUTE_ZERO if given.kelvin else celsius
            await self.neighbours.put(f"{given.device}/{given.setpoint}", value)
        else:
            raise NotAllowedError(f"{self.name} has no set point: the property setpoint is empty")
        self.control_temperature.publish(celsius)

    @command()
    async def set_corrections(
        self,
        offsets: Annotated[list[float], Argument(unit="degC", shape=(32,))],
        scales: Annotated[list[float], Argument(shape=(32,))],
    ) -> None:
        """Correct each sensor: temperature = reading * scale + offset."""
        if any(not scale for scale in scales):
            raise RangeError("scales: 0 would hide a temperature")
        self.offsets.publish(np.array(offsets))
        self.scales.publish(np.array(scales))

    @command()
    async def set_calibrations(
        self,
        curves: Annotated[list[int], Argument(shape=(32,), limits=(0, 3), doc="0 DT670, 1 AD590, 2 1N4148, 3 1N914")],
    ) -> None:
        """Choose the curve of each sensor, where the controller's own configuration does not say it."""
        given = self.properties
        if not given.controller:
            raise NotAllowedError(f"{given.device} knows itself what its sensors are; choose their curves there")
        await self.peers.find(given.controller, CcdController).link.set_calibrations([int(each) for each in curves])
        self.calibrations.publish(np.array(curves, int))

    async def reset_now(self) -> None:
        """Send the set point again."""
        held = self.control_temperature.setpoint
        if held is not None and held.value is not None:
            await self.write_control_temperature(held.value)

    async def entries(self) -> Mapping[str, Entry | tuple[Value, str]]:
        found: dict[str, Any] = {"TEMPUNIT": ("C", "unit of all temperatures")}
        for keyword, live, comment in (
            ("CAMTEMP", self.camera_temperature, "[degC] temperature of the detector"),
            ("DEWTEMP", self.dewar_temperature, "[degC] temperature of the dewar"),
            ("SETTEMP", self.control_temperature, "[degC] set point of the detector"),
        ):
            if live.reading.value is not None:
                found[keyword] = (round(live.value, 3), comment)
        values = self.temperatures.reading.value
        for index, value in enumerate([] if values is None else values.tolist(), 1):
            if not math.isnan(value):
                found[f"CCDTEMP{index}"] = (round(value, 3), f"[degC] temperature of sensor {index}")
        return found
