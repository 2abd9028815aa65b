"""The CCD controller as a device: whatever make it is, its exposures belong to the exposure device."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Annotated, Any, Final

import numpy as np

from devices.ccd.controller_link import ControllerLink
from devices.ccd.header import Entry, Value
from devices.ccd.tool import CcdTool
from devices.core import Argument, AttributeSpec, DataType, LiveAttribute, Operation, attribute, command, operation
from devices.core.errors import BusyError, NotAllowedError, NotConnectedError

#: How often temperatures and telemetry are asked for, s.
TELEMETRY_PERIOD: Final = 1.0
MOST_VALUES: Final = 256


class CcdController(CcdTool):
    """A CCD controller; a subclass for each make says how it is reached."""

    header_group = "controller"

    identity = attribute(str, doc="Maker, model and firmware, as it says itself")
    is_reset = attribute(bool, initial=False, doc="Whether it was reset since it was connected: configured, powered")
    shutter_open = attribute(bool, initial=False, doc="Whether the shutter was opened outside an exposure")
    used_by = attribute(str, initial="", doc="Which exposure has it; empty: none")
    sensor_names = attribute(str, shape=(MOST_VALUES,), initial=(), doc="Its temperature sensors and heaters")
    sensor_temperatures = attribute(float, shape=(MOST_VALUES,), unit="degC", precision=2, doc="Of each sensor")
    telemetry_names = attribute(str, shape=(MOST_VALUES,), initial=(), doc="What it measures of itself, unit last")
    telemetry_values = attribute(float, shape=(MOST_VALUES,), precision=3, doc="In the order of telemetry_names")

    #: Names of telemetry that have an attribute of their own.
    shown_telemetry: tuple[str, ...] = ()

    def build(self) -> None:
        super().build()
        self.link = self.make_link()
        self._shown: dict[str, LiveAttribute[float]] = {}
        for name in self.shown_telemetry:
            plain, _, letter = name.rpartition("_")
            unit = {"C": "degC"}.get(letter, letter)
            spec = AttributeSpec(
                plain.lower(),
                DataType.of(float),
                unit=unit,
                label=plain,
                precision=3,
                group="Telemetry",
            )
            self._shown[name] = LiveAttribute(spec, self)
            self.add_attribute(self._shown[name])
        self.add_poll(self.poll_telemetry, TELEMETRY_PERIOD, "telemetry")

    def make_link(self) -> ControllerLink:
        """The controller that the properties name, not connected; each make has its own."""
        raise NotImplementedError(f"{type(self).__name__} does not say how its controller is reached")

    async def connect(self) -> None:
        self.is_reset.publish(False)
        self.identity.publish(await self.link.connect())

    async def disconnect(self) -> None:
        await self.link.close()
        self.is_reset.publish(False)

    async def entries(self) -> Mapping[str, Entry | tuple[Value, str]]:
        return dict(self.link.keywords())

    async def poll_telemetry(self) -> None:
        """Ask for temperatures and telemetry."""
        found = (await self.link.temperatures())[:MOST_VALUES]
        self.sensor_names.publish_change(tuple(each.name for each in found))
        # In an array NaN is one sensor that has no value; an array of nothing but NaN is INVALID.
        self.sensor_temperatures.publish(np.array([each.celsius for each in found]))
        measured = await self.link.telemetry()
        self.telemetry_names.publish_change(tuple(measured)[:MOST_VALUES])
        self.telemetry_values.publish(np.array(list(measured.values())[:MOST_VALUES]))
        for name, live in self._shown.items():
            live.publish(measured.get(name, math.nan))

    # For the exposure ----------------------------------------------------------------------------------------------

    def claim(self, who: str) -> None:
        """From now on the controller is used by one exposure.

        Raises:
            BusyError: another one has it, or it is being reset, flushed, shifted.
            NotConnectedError: it is away.
        """
        if not self.connected:
            raise NotConnectedError(f"controller {self.name} is not connected: {self.status}")
        if active := self.operations.active:
            raise BusyError(f"controller {self.name} is busy: {active[0].name}")
        if self.used_by.value:
            raise BusyError(f"controller {self.name} is used by {self.used_by.value}")
        self.used_by.publish(who)

    def release(self) -> None:
        """The exposure that had it is over."""
        self.used_by.publish("")

    async def reset_now(self) -> None:
        await self.link.reset()
        self.is_reset.publish(True)
        self.shutter_open.publish(False)

    async def move_shutter(self, is_open: bool) -> None:
        """Open or shut the shutter, outside an exposure."""
        if not self.link.capabilities.has_shutter:
            raise NotAllowedError(f"controller {self.name} has no shutter")
        await self.link.set_shutter(is_open)
        self.shutter_open.publish(is_open)

    async def clear(self, cycles: int) -> None:
        """Flush the detector, outside an exposure."""
        if not self.link.capabilities.flushes:
            raise NotAllowedError(f"controller {self.name} flushes by itself only")
        await self.link.flush(cycles)

    async def shift(self, rows: int) -> None:
        """Move the charge by rows; negative: backwards."""
        if not self.link.capabilities.moves_parallel:
            raise NotAllowedError(f"controller {self.name} cannot shift rows outside a read-out")
        await self.link.shift_rows(rows)

    # Commands ------------------------------------------------------------------------------------------------------

    def _unused(self, what: str) -> None:
        if self.used_by.value:
            raise BusyError(f"{what} is refused: {self.used_by.value} has the controller")

    @operation()
    async def reset(self, run: Operation) -> None:
        """Download its configuration, power on, shutter shut, idling; takes seconds."""
        self._unused("reset")
        await self.reset_now()

    @operation()
    async def initialize(self, run: Operation) -> None:
        """As `reset`."""
        self._unused("initialize")
        await self.reset_now()

    @command()
    async def set_shutter(self, is_open: bool) -> None:
        """Open or shut the controller's shutter, outside an exposure."""
        self._unused("set_shutter")
        await self.move_shutter(is_open)

    @operation()
    async def flush(self, run: Operation, cycles: Annotated[int, Argument(limits=(1, 1000))] = 1) -> None:
        """Clear the detector."""
        self._unused("flush")
        await self.clear(cycles)

    @operation()
    async def parshift(self, run: Operation, rows: Annotated[int, Argument(limits=(-100000, 100000))]) -> None:
        """Shift the charge along the parallel register; negative: backwards."""
        self._unused("parshift")
        await self.shift(rows)

    @command(reads_only=True)
    async def telemetry(self) -> dict[str, Any]:
        """All that it measures of itself: name with its unit at the end -> value."""
        return dict(await asyncio.wait_for(self.link.telemetry(), 2.0))
