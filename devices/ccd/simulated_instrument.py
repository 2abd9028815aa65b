"""An instrument without hardware."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from devices.ccd.header import Entry, Value
from devices.ccd.instrument import CcdInstrument
from devices.ccd.tool import ToolProperties, settle
from devices.core import setting


@dataclass(frozen=True)
class SimulatedInstrumentProperties(ToolProperties):
    """What the simulated instrument has."""

    filters: tuple[str, ...] = setting(("clear", "B", "V", "R", "I"), doc="Filters of its first wheel")
    more_wheels: tuple[str, ...] = setting((), doc="Filters of further wheels, parted by commas, a line for each")
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
        self.pressure_ids.publish(np.arange(2))
        self.current_ids.publish(np.arange(2))
        self.temperature_names.publish(("bench", "lamp house"))
        self._torr = np.array([2.5e-6, 4.1e-7])
        self.all_comps.publish(given.lamps)
        self.add_poll(self.poll_light, 1.0, "light")

    async def connect(self) -> None:
        if self.wavelength.reading.value is None:
            settle(self.wavelength, 550.0)
            settle(self.focus, 0.0)
            others = [[each.strip() for each in line.split(",")] for line in self.properties.more_wheels]
            for wheel, filters in enumerate((self.properties.filters, *others)):
                self.show_wheel(wheel, filters, filters[0])

    async def poll_light(self) -> None:
        """Thermometers, gauges and photodiodes: a lamp of 5500 K seen through a monochromator."""
        # The bench follows the dome, a day's wave of 3 degrees; the lamp house is warm while a lamp burns.
        dome = 12.0 + 3.0 * math.sin(2.0 * math.pi * time.time() / 86400.0)
        self.temperatures.publish(np.array([dome, dome + (25.0 if self.comps_burn.value else 0.5)]))
        um = self.wavelength.value / 1000.0
        power = 1e-6 * (0.55 / um) ** 5 * np.expm1(14388.0 / (0.55 * 5500.0)) / np.expm1(14388.0 / (um * 5500.0))
        self.power.publish(float(power))
        behind = power if self.shutter_open.value else 0.0
        self.currents.publish(0.4 * um * np.array([behind, power]))
        self.pressures.publish(self._torr.copy())

    async def entries(self) -> Mapping[str, Entry | tuple[Value, str]]:
        found: dict[str, Any] = {
            "FILTER": (self.filter.value, "filter in the beam"),
            "WAVLNGTH": (self.wavelength.value, "[nm] wavelength"),
            "INSTFOC": (self.focus.value, "focus of the instrument"),
        }
        held = self.temperatures.reading.value
        for index, celsius in enumerate(() if held is None else held.tolist(), 1):
            found[f"INSTTMP{index}"] = (round(celsius, 2), f"[degC] {self.temperature_names.value[index - 1]}")
        for wheel, name in sorted(self.other_filters.items()):
            found[f"FILTER{wheel + 1}"] = (name, f"filter of wheel {wheel} in the beam")
        return found

    async def move_wavelength(self, nm: float) -> None:
        """At once."""

    async def move_filter(self, name: str) -> None:
        """At once."""

    async def move_wheel(self, wheel: int, name: str) -> None:
        """At once."""

    async def move_pressure(self, gauge: int, torr: float) -> None:
        self._torr[gauge] = torr
        self.pressures.publish(self._torr.copy())

    async def move_focus(self, position: float) -> None:
        """At once."""

    async def move_lamps(self, burning: Sequence[str]) -> None:
        """At once."""

    async def move_shutter(self, is_open: bool) -> None:
        """At once."""
