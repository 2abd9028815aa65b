"""The device of the meter: a reading that tells its own age, and a setting that the meter keeps."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from devices.core import Device, Properties, attribute, poll, setting
from devices.core.errors import NotConnectedError, ProtocolError, RefusedError
from devices.drivers.link import Link, open_link

TIMEOUT = 1.0  # s, for an answer of the meter
PERIOD = 0.1  # s, between two readings


@dataclass(frozen=True)
class GaugeProperties(Properties):
    """Where the meter is."""

    link: str = setting(doc="tcp://HOST:PORT")


class Gauge(Device):
    """A gauge whose reading is the monotonic clock at its meter."""

    properties_class = GaugeProperties
    properties: GaugeProperties

    reading = attribute(float, unit="s", precision=4, doc="When the meter measured")
    level = attribute(float, access="read_write", unit="V", precision=6, doc="What the meter was set to")
    load = attribute(int, access="read_write", limits=(1, 20), doc="Readings in the time of one")

    def build(self) -> None:
        self._link: Link | None = None
        self._turn = asyncio.Lock()
        self.load.publish_setpoint(1)
        self.load.publish(1)

    async def connect(self) -> None:
        self._link = await open_link(self.properties.link, timeout=TIMEOUT)
        level = await self._number("SET?")
        self.level.publish_setpoint(level)
        self.level.publish(level)

    async def disconnect(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    @poll(PERIOD)
    async def poll_reading(self) -> None:
        """One reading, or as many as the load wants."""
        count = self.load.value
        for each in range(count):
            self.reading.publish(await self._number("READ?"))
            if each + 1 < count:
                await asyncio.sleep(PERIOD / count)

    @poll(1.0)
    async def poll_level(self) -> None:
        """What somebody else may have set."""
        self.level.publish(await self._number("SET?"))

    @level.write
    async def write_level(self, volts: float) -> None:
        answer = await self._ask(f"SET {volts!r}")
        if answer != "OK":
            raise RefusedError(f"level = {volts} V: the meter answers {answer!r}")
        self.level.publish(volts)

    @load.write
    async def write_load(self, count: int) -> None:
        self.load.publish(count)

    async def _number(self, line: str) -> float:
        answer = await self._ask(line)
        try:
            return float(answer)
        except ValueError:
            raise ProtocolError(f"{line}: the meter answers {answer!r}, not a number") from None

    async def _ask(self, line: str) -> str:
        async with self._turn:
            if self._link is None:
                raise NotConnectedError(f"{self.properties.link}: not connected")
            await self._link.drain()  # a late answer to an earlier question is not the answer to this one
            await self._link.write(line.encode() + b"\n")
            return (await self._link.read_until(b"\n")).decode(errors="replace")
