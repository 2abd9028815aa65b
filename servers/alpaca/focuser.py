"""The focus of the camera's instrument or telescope as an Alpaca focuser, IFocuserV4."""

from __future__ import annotations

from typing import Final

from devices.ccd.exposure import CcdExposure
from devices.ccd.instrument import CcdInstrument
from devices.ccd.telescope import CcdTelescope
from devices.core import Device, LiveAttribute
from devices.core.errors import NotConnectedError, RangeError
from servers.alpaca.member import get, put, truth, whole
from servers.alpaca.moving_device import MovingDevice

#: Where a focus has no limits of its own.
MOST: Final = 1_000_000


class AlpacaFocuser(MovingDevice):
    """Positions are those of the device, rounded; they may be negative where its own may."""

    device_type = "Focuser"
    interface_version = 4
    missing_gets = ("stepsize", "temperature")
    missing_puts = {"halt": {}, "tempcomp": {"TempComp": truth}}  # noqa: RUF012
    operational = ("IsMoving", "Position")

    def __init__(self, exposure: CcdExposure, tool: str, number: int) -> None:
        """``tool``: the device that has the focus, an instrument or a telescope."""
        super().__init__(tool, number)
        self._exposure = exposure

    def hardware(self) -> Device:
        return self._tool

    @property
    def _tool(self) -> CcdInstrument | CcdTelescope:
        found = self._exposure.peers.find(self.device_name, Device)
        if not isinstance(found, CcdInstrument | CcdTelescope):
            raise NotConnectedError(f"{self.device_name} is neither an instrument nor a telescope")
        return found

    @property
    def _focus(self) -> LiveAttribute[float]:
        return self._tool.focus

    def exists(self) -> bool:
        try:
            return self._focus.reading.value is not None
        except NotConnectedError:
            return False

    @get()
    def absolute(self) -> bool:
        return True

    @get()
    def ismoving(self) -> bool:
        return self.is_moving()

    @get()
    def maxstep(self) -> int:
        limits = self._focus.spec.limits
        return MOST if limits is None or limits[1] is None else int(limits[1])

    @get()
    def maxincrement(self) -> int:
        return self.maxstep() - self._least()

    @get()
    def position(self) -> int:
        return round(self._focus.value)

    @put(Position=whole)
    def move(self, position: int) -> None:
        least, most = self._least(), self.maxstep()
        if not least <= position <= most:
            raise RangeError(f"Position = {position} is outside [{least}, {most}]")
        self.begin(self._tool.put("focus", float(position)))

    @get()
    def tempcomp(self) -> bool:
        return False

    @get()
    def tempcompavailable(self) -> bool:
        return False

    def _least(self) -> int:
        limits = self._focus.spec.limits
        return 0 if limits is None or limits[0] is None else int(limits[0])
