"""What every side of a CryoCon device shares: the driver, the parts, and who has the line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from devices.core import Device, attribute
from devices.cryocon.input import SensorInput
from devices.cryocon.loop import ControlLoop
from devices.cryocon.properties import CryoConProperties
from devices.cryocon.register import Registers
from devices.cryocon.relay import AlarmRelay
from devices.drivers.cryocon import CryoConDriver


class Instrument(Registers, Device):
    """The base of the sides of a CryoCon: its settings, its storage, its tuning."""

    properties_class = CryoConProperties
    properties: CryoConProperties
    driver: CryoConDriver
    inputs: dict[str, SensorInput]
    loops: dict[str, ControlLoop]
    relays: dict[str, AlarmRelay]

    control = attribute(bool, doc="Whether the loops are in control")

    def build(self) -> None:
        #: Components whose registers are to be read before any other's.
        self.unread: set[Registers] = set()
        self._blocks = 0

    @property
    def components(self) -> list[Registers]:
        """Everything that has registers: the instrument itself, its inputs, loops and relays."""
        return [self, *self.inputs.values(), *self.loops.values(), *self.relays.values()]

    @contextmanager
    def line_taken(self) -> Iterator[None]:
        """Hold the polls while a block of many lines is on the line: a data log takes a minute at 9600 baud."""
        self._blocks += 1
        try:
            yield
        finally:
            self._blocks -= 1

    @property
    def line_is_taken(self) -> bool:
        return self._blocks > 0
