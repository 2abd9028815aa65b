"""A filter wheel of the camera's instrument as an Alpaca filter wheel, IFilterWheelV3."""

from __future__ import annotations

from typing import Final

from devices.ccd.exposure import CcdExposure
from devices.ccd.instrument import CcdInstrument
from devices.core import Device
from devices.core.errors import InvalidReadingError, NotConnectedError, RangeError
from servers.alpaca.member import get, put, whole
from servers.alpaca.moving_device import MovingDevice, finished

#: Position of a wheel that turns.
MOVING: Final = -1


class AlpacaFilterWheel(MovingDevice):
    """One wheel; its number is that of the instrument's wheel."""

    device_type = "FilterWheel"
    interface_version = 3
    operational = ("Position",)

    def __init__(self, exposure: CcdExposure, number: int) -> None:
        super().__init__(exposure.properties.instrument, number)
        self._exposure = exposure

    @property
    def instrument(self) -> CcdInstrument:
        """Raises NotConnectedError: it is not in this process."""
        return self._exposure.peers.find(self.device_name, CcdInstrument)

    def hardware(self) -> Device:
        return self.instrument

    def exists(self) -> bool:
        try:
            return bool(self.names())
        except NotConnectedError:
            return False

    @get()
    def names(self) -> list[str]:
        instrument = self.instrument
        return list(instrument.other_wheels.get(self.number, ()) if self.number else instrument.filters.value)

    @get()
    def focusoffsets(self) -> list[int]:
        return [0] * len(self.names())

    @get()
    def position(self) -> int:
        if self.is_moving():
            return MOVING
        instrument = self.instrument
        chosen = instrument.other_filters[self.number] if self.number else instrument.filter.value
        if chosen not in (names := self.names()):
            raise InvalidReadingError(f"filter = {chosen!r} is none of {', '.join(names)}")
        return names.index(chosen)

    @put(Position=whole)
    def put_position(self, position: int) -> None:
        names = self.names()
        if not 0 <= position < len(names):
            raise RangeError(f"Position = {position} is outside [0, {len(names) - 1}]")
        words = {"filter": names[position], "wheel": self.number}
        self.begin(finished(self.instrument, "set_filter", words))
