"""An instrument of Alpaca filter wheels and an Alpaca focuser."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from devices.ccd.alpaca_accessory import TIMEOUT, AlpacaFocuser, alpaca_device
from devices.ccd.header import Entry, Value
from devices.ccd.instrument import CcdInstrument
from devices.ccd.tool import ToolProperties, settle
from devices.core import DeviceState, setting
from devices.core.errors import BadValueError, BusyError, ConfigurationError, NotAllowedError, ProtocolError
from devices.drivers.alpaca import AlpacaDevice

PERIOD: Final = 0.5
#: Of a wheel that turns.
BETWEEN: Final = -1


@dataclass(frozen=True)
class AlpacaInstrumentProperties(ToolProperties):
    """Where its parts are."""

    filter_wheels: tuple[str, ...] = setting(
        (), doc="http://HOST:PORT/NUMBER of each filter wheel, the first one first"
    )
    focuser: str = setting("", doc="http://HOST:PORT/NUMBER of the focuser; empty: none")


class AlpacaInstrument(CcdInstrument):
    """Filter wheels and a focuser behind Alpaca servers; an exposure waits until they are at rest."""

    properties_class = AlpacaInstrumentProperties
    properties: AlpacaInstrumentProperties

    def build(self) -> None:
        super().build()
        given = self.properties
        if not given.filter_wheels and not given.focuser:
            raise ConfigurationError(self.name, ["none of the properties filter_wheels and focuser is given"])
        try:
            self._wheels = [alpaca_device(url, "filterwheel") for url in given.filter_wheels]
            self._focuser = AlpacaFocuser(given.focuser) if given.focuser else None
        except BadValueError as error:
            raise ConfigurationError(self.name, [str(error)]) from error
        self._moving = False
        self.add_poll(self.poll_motion, PERIOD, "motion")

    async def connect(self) -> None:
        for number, wheel in enumerate(self._wheels):
            await wheel.connect(TIMEOUT)
            names = [str(each) for each in await wheel.values("names")]
            position = await wheel.whole("position")
            self.show_wheel(number, names, "" if position == BETWEEN else _slot(names, position))
        if self._focuser is not None:
            await self._focuser.connect()
            self.focus.configure(limits=(0.0, float(self._focuser.most_steps)))
            settle(self.focus, await self._focuser.position())

    async def disconnect(self) -> None:
        for each in (*self._wheels, self._focuser):
            if each is not None:
                await each.close()

    async def poll_motion(self) -> None:
        """Ask where wheels and focuser are."""
        await self.is_moving()

    async def is_moving(self) -> bool:
        """Ask where wheels and focuser are; whether any of them moves."""
        moving = False
        for number, wheel in enumerate(self._wheels):
            position = await wheel.whole("position")
            moving = moving or position == BETWEEN
            name = "" if position == BETWEEN else _slot(self._filters_of(number), position)
            if number:
                self.other_filters[number] = name
            elif name:
                self.filter.publish(name)
            else:
                self.filter.publish_invalid("the wheel turns")
        if self._focuser is not None:
            moving = await self._focuser.is_moving() or moving
            self.focus.publish(await self._focuser.position())
        self._show_wheels()
        self.set_state(DeviceState.MOVING if moving else DeviceState.ON)
        return moving

    async def exposure_start(self) -> None:
        # One that is away ends no exposure; the header tells.
        with contextlib.suppress(ConnectionError):
            await self.at_rest()

    async def write_filter(self, name: str) -> None:
        await self._turn(0, self.filter_named(name))

    async def move_wheel(self, wheel: int, name: str) -> None:
        await self._turn(wheel, name)

    async def write_focus(self, position: float) -> None:
        if self._focuser is None:
            raise NotAllowedError(f"{self.name} has no focus")
        await self._focuser.move(position)
        await self.rests_soon()

    async def _turn(self, number: int, name: str) -> None:
        if number >= len(self._wheels):
            raise NotAllowedError(f"{self.name} has no filter wheel {number}")
        wheel: AlpacaDevice = self._wheels[number]
        if await wheel.whole("position") == BETWEEN:
            raise BusyError(f"filter wheel {number} turns")
        await wheel.put("position", Position=self._filters_of(number).index(name))
        await self.rests_soon()

    async def entries(self) -> Mapping[str, Entry | tuple[Value, str]]:
        found: dict[str, Any] = {}
        if self._wheels:
            found["FILTER"] = (self.filter.value, "filter in the beam")
        for wheel, name in sorted(self.other_filters.items()):
            found[f"FILTER{wheel + 1}"] = (name, f"filter of wheel {wheel} in the beam")
        if self._focuser is not None:
            found["INSTFOC"] = (self.focus.value, "[steps] focus of the instrument")
        return found


def _slot(names: list[str] | tuple[str, ...], position: int) -> str:
    if not 0 <= position < len(names):
        raise ProtocolError(f"filter wheel: position {position} is outside [0, {len(names) - 1}]")
    return names[position]
