"""The device of the soak: many small values that are published in bursts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from devices.core import Device, Operation, Part, Properties, attribute, operation, setting
from tests.soak import values


class Level(Part["Rack"]):
    level = attribute(float, unit="V", precision=6, doc="Level {key}")


class Setting(Part["Rack"]):
    setting = attribute(float, access="read_write", unit="K", precision=6, doc="Setting {key}")

    @setting.write
    async def write_setting(self, kelvin: float) -> None:
        self.setting.publish(kelvin)


@dataclass(frozen=True)
class RackProperties(Properties):
    """Which rack it is."""

    rack: int = setting(0, doc="Number of the rack", limits=(0, values.RACKS - 1))


class Rack(Device):
    """A rack of levels; all PVs of all racks have different values."""

    properties_class = RackProperties
    properties: RackProperties

    sequence = attribute(int, doc="Sequence number of the last values")
    text = attribute(str, text_limit=60)
    spectrum = attribute(float, shape=(64,), unit="count")
    image = attribute(float, shape=(200, 200), unit="count")

    def build(self) -> None:
        rack = self.properties.rack
        numbers = [str(values.number_of(rack, index)) for index in range(values.LEVELS + values.SETTINGS)]
        self.levels = self.parts(Level, numbers[: values.LEVELS])
        self.settings = self.parts(Setting, numbers[values.LEVELS :])

    async def connect(self) -> None:
        sequence = values.sequence_now()
        for key, each in self.settings.items():
            first = values.value(sequence, int(key))
            each.setting.publish_setpoint(first)
            each.setting.publish(first)
        self._publish(sequence, with_image=True)

    @operation()
    async def burst(self, run: Operation, count: int, rate: float) -> int:
        """Publish everything some times.

        Args:
            count: how often.
            rate: times per second; 0 for as fast as it goes.
        Returns:
            The sequence number of the last values.
        """
        first = max(self.sequence.value + 1, values.sequence_now())
        for sequence in range(first, first + count):
            self._publish(sequence, with_image=sequence % 10 == 0)
            await asyncio.sleep(1.0 / rate if rate else 0.0)
        self._publish(first + count, with_image=True)
        return first + count

    def _publish(self, sequence: int, *, with_image: bool) -> None:
        number = self.properties.rack * values.STRIDE
        for key, each in self.levels.items():
            each.level.publish(values.value(sequence, int(key)))
        self.text.publish(values.text(sequence, number + values.TEXT))
        self.spectrum.publish(values.spectrum(sequence, number + values.SPECTRUM), copy=False)
        if with_image:
            self.image.publish(values.image(sequence, number + values.IMAGE), copy=False)
        self.sequence.publish(sequence)
