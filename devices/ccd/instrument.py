"""The instrument in front of the camera: wavelength, filters, comparison lamps, focus, pressures, a shutter."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from devices.ccd.header import Entry, Value
from devices.ccd.tool import CcdTool, ToolProperties, settle
from devices.core import Argument, attribute, command, setting
from devices.core.errors import NotAllowedError, RangeError

MOST_LAMPS = 32


class CcdInstrument(CcdTool):
    """What an exposure asks of an instrument; a site's own instrument overrides the methods named ``move_...``.

    Whatever an instrument has not is refused with NotAllowedError.
    """

    header_group = "instrument"

    wavelength = attribute(float, unit="nm", precision=2, doc="Of the light")
    filters = attribute(str, shape=(64,), initial=(), doc="The filters that it has")
    filter = attribute(str, doc="The filter in the beam")
    focus = attribute(float, precision=2, doc="Position of the focus")
    all_comps = attribute(str, shape=(MOST_LAMPS,), initial=(), doc="The comparison lamps that it has")
    active_comps = attribute(str, shape=(MOST_LAMPS,), initial=(), doc="The lamps that are chosen")
    comps_burn = attribute(bool, initial=False, doc="Whether the chosen lamps burn")
    shutter_open = attribute(bool, initial=False, doc="Whether its own shutter is open")
    pressures = attribute(float, shape=(8,), unit="Torr", precision=9, doc="Of each gauge")
    currents = attribute(float, shape=(8,), unit="A", precision=12, doc="Of each photodiode")
    power = attribute(float, unit="W", precision=9, doc="Of the light at this wavelength")

    #: The shutter opens the lamps' light itself: they are not switched.
    shutter_strobe = False
    #: Lamps need that long to become steady, s.
    comps_delay = 0.0

    @wavelength.write
    async def write_wavelength(self, nm: float) -> None:
        await self.move_wavelength(nm)
        self.wavelength.publish(nm)

    @filter.write
    async def write_filter(self, name: str) -> None:
        known = self.filters.value
        found = next((each for each in known if each.casefold() == name.strip().casefold()), None)
        if found is None:
            raise RangeError(f"filter = {name!r} is none of {', '.join(known) or 'none: there are no filters'}")
        await self.move_filter(found)
        self.filter.publish(found)

    @focus.write
    async def write_focus(self, position: float) -> None:
        await self.move_focus(position)
        self.focus.publish(position)

    # What a site overrides -----------------------------------------------------------------------------------------

    async def move_wavelength(self, nm: float) -> None:
        """Set the wavelength; returns when it is there."""
        raise NotAllowedError(f"{self.name} has no wavelength to set")

    async def move_filter(self, name: str) -> None:
        """Bring a filter into the beam; returns when it is there."""
        raise NotAllowedError(f"{self.name} has no filters")

    async def move_focus(self, position: float) -> None:
        """Move the focus; returns when it is there."""
        raise NotAllowedError(f"{self.name} has no focus")

    async def move_lamps(self, burning: Sequence[str]) -> None:
        """Let these lamps burn, and no others."""
        raise NotAllowedError(f"{self.name} has no lamps")

    async def move_shutter(self, is_open: bool) -> None:
        """Open or shut its own shutter."""
        raise NotAllowedError(f"{self.name} has no shutter")

    # For the exposure ----------------------------------------------------------------------------------------------

    def choose(self, names: Sequence[str]) -> None:
        """Choose lamps; they burn when they are switched on.

        Raises:
            RangeError: it has no such lamp.
        """
        known = {each.casefold(): each for each in self.all_comps.value}
        unknown = [each for each in names if each.casefold() not in known]
        if unknown:
            raise RangeError(f"comps = {', '.join(unknown)}: none of {', '.join(known.values()) or 'none: no lamps'}")
        self.active_comps.publish(tuple(known[each.casefold()] for each in names))

    async def switch_lamps(self, on: bool) -> None:
        """Let the chosen lamps burn, or none; waits until they are steady."""
        if on and self.shutter_strobe:
            return
        if on == self.comps_burn.value and not on:
            return
        await self.move_lamps(self.active_comps.value if on else ())
        self.comps_burn.publish(on)
        if on and self.comps_delay:
            await asyncio.sleep(self.comps_delay)

    async def open_shutter(self, is_open: bool) -> None:
        """Move its own shutter."""
        if is_open != self.shutter_open.value:
            await self.move_shutter(is_open)
            self.shutter_open.publish(is_open)

    # Commands ------------------------------------------------------------------------------------------------------

    @command(group="Lamps")
    async def set_comps(self, names: Annotated[list[str], Argument(shape=(MOST_LAMPS,))]) -> None:
        """Choose comparison lamps; an empty list: none. Those that burn go off."""
        await self.switch_lamps(False)
        self.choose(names)

    @command(group="Lamps")
    async def comps_on(self) -> None:
        """Let the chosen lamps burn."""
        await self.switch_lamps(True)

    @command(group="Lamps")
    async def comps_off(self) -> None:
        """Switch all lamps off."""
        await self.switch_lamps(False)

    @command()
    async def set_shutter(self, is_open: bool) -> None:
        """Open or shut the instrument's own shutter."""
        await self.open_shutter(is_open)

    @command()
    async def step_focus(self, step: float) -> None:
        """Move the focus by a step."""
        await self.put("focus", self.focus.value + step)


@dataclass(frozen=True)
class SimulatedInstrumentProperties(ToolProperties):
    """What the simulated instrument has."""

    filters: tuple[str, ...] = setting(("clear", "B", "V", "R", "I"), doc="Names of its filters")
    lamps: tuple[str, ...] = setting(("HeNeAr", "ThAr", "quartz"), doc="Names of its comparison lamps")
    comps_delay: float = setting(0.0, doc="How long lamps need to become steady, s", limits=(0.0, 600.0))
    shutter_strobe: bool = setting(False, doc="The shutter lets the lamps' light through; they are not switched")


class SimulatedInstrument(CcdInstrument):
    """An instrument without hardware: everything it is told is so at once."""

    properties_class = SimulatedInstrumentProperties
    properties: SimulatedInstrumentProperties

    def build(self) -> None:
        super().build()
        given = self.properties
        self.comps_delay, self.shutter_strobe = given.comps_delay, given.shutter_strobe
        self.wavelength.configure(limits=(200.0, 1200.0))
        self.focus.configure(limits=(-100_000.0, 100_000.0))
        self.filters.publish(given.filters)
        self.all_comps.publish(given.lamps)
        self.add_poll(self.poll_light, 1.0, "light")

    async def connect(self) -> None:
        if self.wavelength.reading.value is None:
            settle(self.wavelength, 550.0)
            settle(self.focus, 0.0)
            settle(self.filter, self.properties.filters[0])

    async def poll_light(self) -> None:
        """Gauges and photodiodes: a lamp of 5500 K seen through a monochromator."""
        um = self.wavelength.value / 1000.0
        power = 1e-6 * (0.55 / um) ** 5 * np.expm1(14388.0 / (0.55 * 5500.0)) / np.expm1(14388.0 / (um * 5500.0))
        self.power.publish(float(power))
        behind = power if self.shutter_open.value else 0.0
        self.currents.publish(0.4 * um * np.array([behind, power]))
        self.pressures.publish(np.array([2.5e-6, 4.1e-7]))

    async def entries(self) -> Mapping[str, Entry | tuple[Value, str]]:
        found: dict[str, Any] = {
            "FILTER": (self.filter.value, "filter in the beam"),
            "WAVLNGTH": (self.wavelength.value, "[nm] wavelength"),
            "INSTFOC": (self.focus.value, "focus of the instrument"),
        }
        return found

    async def move_wavelength(self, nm: float) -> None:
        """At once."""

    async def move_filter(self, name: str) -> None:
        """At once."""

    async def move_focus(self, position: float) -> None:
        """At once."""

    async def move_lamps(self, burning: Sequence[str]) -> None:
        """At once."""

    async def move_shutter(self, is_open: bool) -> None:
        """At once."""
