"""A telescope behind ASCOM Alpaca, as a telescope device wants it: in J2000."""

from __future__ import annotations

import time
from enum import IntEnum

from devices.ccd.alpaca_accessory import TIMEOUT, AlpacaFocuser, alpaca_device
from devices.ccd.mount import Mount, Pointing
from devices.core.errors import NotAllowedError
from devices.pipelines.ccd.sky_place import from_date, of_date


class Equatorial(IntEnum):
    """``EquatorialSystem``: what a mount's coordinates mean."""

    OTHER = 0
    TOPOCENTRIC = 1
    J2000 = 2
    J2050 = 3
    B1950 = 4


class AlpacaMount(Mount):
    """One telescope, and a focuser if there is one; both stay connected to their server when this ends.

    Args:
        focuser: where it is; empty: there is none.
    """

    has_park = True

    def __init__(self, url: str, focuser: str = "") -> None:
        self._device = alpaca_device(url, "telescope")
        self._focuser = AlpacaFocuser(focuser) if focuser else None
        self.has_focus = self._focuser is not None
        self._of_date = True

    async def connect(self) -> str:
        device = self._device
        await device.connect(TIMEOUT)
        system = await device.whole("equatorialsystem")
        if system in (Equatorial.J2050, Equatorial.B1950):
            raise NotAllowedError(f"equatorialsystem = {Equatorial(system).name}: only the date's and J2000 are known")
        self._of_date = system != Equatorial.J2000
        if not await device.flag("canslewasync"):
            raise NotAllowedError(f"telescope {await device.text('name')} cannot slew")
        names = [await device.text("name")]
        if self._focuser is not None:
            names.append(await self._focuser.connect())
        return ", ".join(names)

    async def close(self) -> None:
        await self._device.close()
        if self._focuser is not None:
            await self._focuser.close()

    async def pointing(self) -> Pointing:
        device = self._device
        # Asked first: where it is afterwards, is where it has arrived.
        is_slewing = await device.flag("slewing")
        place = await device.number("rightascension"), await device.number("declination")
        if self._of_date:
            place = from_date(*place, time.time())
        return Pointing(*place, is_slewing=is_slewing, is_tracking=await device.flag("tracking"))

    async def slew(self, hours: float, degrees: float) -> None:
        device = self._device
        place = of_date(hours, degrees, time.time()) if self._of_date else (hours, degrees)
        # Both are refused by servers otherwise.
        if await device.flag("atpark"):
            await device.put("unpark")
        if not await device.flag("tracking"):
            await device.put("tracking", Tracking=True)
        await device.put("slewtocoordinatesasync", RightAscension=place[0], Declination=place[1])

    async def stop(self) -> None:
        if not await self._device.flag("atpark"):
            await self._device.put("abortslew")

    async def track(self, on: bool) -> None:
        if on and await self._device.flag("atpark"):
            await self._device.put("unpark")
        await self._device.put("tracking", Tracking=on)

    async def park(self) -> None:
        if not await self._device.flag("canpark"):
            raise NotAllowedError("this mount has no place of rest")
        await self._device.put("park")

    async def focus(self) -> float:
        return await self._the_focuser().position()

    async def move_focus(self, position: float) -> None:
        await self._the_focuser().move(position)

    async def is_focusing(self) -> bool:
        return self._focuser is not None and await self._focuser.is_moving()

    def _the_focuser(self) -> AlpacaFocuser:
        if self._focuser is None:
            raise NotAllowedError("this mount has no focus: the property focuser is empty")
        return self._focuser
