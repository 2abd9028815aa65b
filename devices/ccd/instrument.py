"""The instrument in front of the camera: wavelength, filters, comparison lamps, focus, pressures, a shutter."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

from devices.ccd.tool import CcdTool, settle
from devices.core import Argument, attribute, command
from devices.core.errors import NotAllowedError, RangeError

MOST_LAMPS = 32
Wheel = Annotated[int, Argument(limits=(0, 15), doc="Its number, from 0")]


class CcdInstrument(CcdTool):
    """What an exposure asks of an instrument; a site's own instrument overrides the methods named ``move_...``.

    Whatever an instrument has not is refused with NotAllowedError.
    """

    header_group = "instrument"

    wavelength = attribute(float, unit="nm", precision=2, doc="Of the light")
    filters = attribute(str, shape=(64,), initial=(), doc="The filters of its first wheel")
    filter = attribute(str, doc="The filter of the first wheel in the beam")
    wheels = attribute(str, shape=(16,), initial=(), doc="Its filter wheels, each with the filter in the beam")
    focus = attribute(float, precision=2, doc="Position of the focus")
    all_comps = attribute(str, shape=(MOST_LAMPS,), initial=(), doc="The comparison lamps that it has")
    active_comps = attribute(str, shape=(MOST_LAMPS,), initial=(), doc="The lamps that are chosen")
    comps_burn = attribute(bool, initial=False, doc="Whether the chosen lamps burn")
    shutter_open = attribute(bool, initial=False, doc="Whether its own shutter is open")
    pressures = attribute(float, shape=(8,), unit="Torr", precision=9, doc="Of each gauge")
    pressure_ids = attribute(int, shape=(8,), initial=(), doc="Numbers of the gauges")
    temperatures = attribute(float, shape=(8,), unit="degC", precision=2, doc="Of each thermometer")
    temperature_names = attribute(str, shape=(8,), initial=(), doc="What each thermometer measures")
    currents = attribute(float, shape=(8,), unit="A", precision=12, doc="Of each photodiode")
    current_ids = attribute(int, shape=(8,), initial=(), doc="Numbers of the photodiodes")
    power = attribute(float, unit="W", precision=9, doc="Of the light at this wavelength")

    #: The shutter opens the lamps' light itself: they are not switched.
    shutter_strobe = False
    #: Lamps need that long to become steady, s.
    comps_delay = 0.0

    def build(self) -> None:
        super().build()
        #: Filters of the wheels beside the first one, and which of them are in the beam.
        self.other_wheels: dict[int, tuple[str, ...]] = {}
        self.other_filters: dict[int, str] = {}

    @wavelength.write
    async def write_wavelength(self, nm: float) -> None:
        await self.move_wavelength(nm)
        self.wavelength.publish(nm)

    @filter.write
    async def write_filter(self, name: str) -> None:
        found = self.filter_named(name)
        await self.move_filter(found)
        self.filter.publish(found)
        self._show_wheels()

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

    async def move_wheel(self, wheel: int, name: str) -> None:
        """Bring a filter of another wheel than the first, 0, into the beam; returns when it is there."""
        raise NotAllowedError(f"{self.name} has no filter wheel {wheel}")

    async def move_pressure(self, gauge: int, torr: float) -> None:
        """Bring the pressure at a gauge to a value; returns when it is."""
        raise NotAllowedError(f"{self.name} sets no pressure")

    async def move_focus(self, position: float) -> None:
        """Move the focus; returns when it is there."""
        raise NotAllowedError(f"{self.name} has no focus")

    async def move_lamps(self, burning: Sequence[str]) -> None:
        """Let these lamps burn, and no others."""
        raise NotAllowedError(f"{self.name} has no lamps")

    async def move_shutter(self, is_open: bool) -> None:
        """Open or shut its own shutter."""
        raise NotAllowedError(f"{self.name} has no shutter")

    def filter_named(self, name: str, wheel: int = 0) -> str:
        """The filter of a wheel by its name, upper or lower case.

        Raises:
            RangeError: there is none.
        """
        return _of_wheel(name, self._filters_of(wheel))

    def show_wheel(self, wheel: int, filters: Sequence[str], chosen: str) -> None:
        """What filters a wheel has, and which is in the beam; 0 is that of the attributes."""
        if wheel == 0:
            self.filters.publish(tuple(filters))
            settle(self.filter, chosen)
        else:
            self.other_wheels[wheel] = tuple(filters)
            self.other_filters[wheel] = chosen
        self._show_wheels()

    def _show_wheels(self) -> None:
        first = self.filter.reading.value
        chosen = {0: first, **self.other_filters} if first is not None else self.other_filters
        self.wheels.publish_change(tuple(f"{wheel}: {name}" for wheel, name in sorted(chosen.items())))

    def _filters_of(self, wheel: int) -> tuple[str, ...]:
        known = {0: tuple(self.filters.value), **self.other_wheels}
        if wheel not in known:
            raise RangeError(f"wheel = {wheel} is none of {', '.join(map(str, sorted(known)))}")
        return known[wheel]

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

    @command(reads_only=True, group="Filters")
    async def get_filters(self, wheel: Wheel = 0) -> list[str]:
        """The filters of a wheel."""
        return list(self._filters_of(wheel))

    @command(reads_only=True, group="Filters")
    async def get_filter(self, wheel: Wheel = 0) -> str:
        """The filter of a wheel that is in the beam."""
        self._filters_of(wheel)
        return self.other_filters[wheel] if wheel else self.filter.value

    @command(group="Filters")
    async def set_filter(self, filter: Annotated[str, Argument(text_limit=200)], wheel: Wheel = 0) -> None:
        """Bring a filter of a wheel into the beam."""
        found = self.filter_named(filter, wheel)
        if wheel == 0:
            await self.put("filter", found)
            return
        await self.move_wheel(wheel, found)
        self.other_filters[wheel] = found
        self._show_wheels()

    @command()
    async def set_pressure(
        self, pressure: Annotated[float, Argument(unit="Torr", limits=(0.0, 7600.0))], gauge: Wheel = 0
    ) -> None:
        """Bring the pressure at a gauge to a value."""
        known = self.pressure_ids.value.tolist()
        if gauge not in known:
            raise RangeError(f"gauge = {gauge} is none of {', '.join(map(str, known)) or 'none: there are no gauges'}")
        await self.move_pressure(gauge, pressure)

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


def _of_wheel(name: str, known: Sequence[str]) -> str:
    """The filter of this name, upper or lower case; RangeError: there is none."""
    found = next((each for each in known if each.casefold() == name.strip().casefold()), None)
    if found is None:
        raise RangeError(f"filter = {name!r} is none of {', '.join(known) or 'none: there are no filters'}")
    return found
