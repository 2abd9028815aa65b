"""A kettle whose temperature is what it was told: the device of the alarm tests."""

from __future__ import annotations

from devices.core import Device, attribute


class Kettle(Device):
    """Boils."""

    temperature = attribute(float, access="read_write", unit="K", warning=(280.0, 350.0), alarm=(273.15, 370.0))
    profile = attribute(float, shape=(3,), unit="K", doc="Bottom, middle, top")

    async def connect(self) -> None:
        self.profile.publish((291.0, 292.0, 294.0))
        await self.write_temperature(293.0)

    @temperature.write
    async def write_temperature(self, kelvin: float) -> None:
        self.temperature.publish(kelvin)
