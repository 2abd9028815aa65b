"""A mount that speaks Meade's LX200 protocol, as a telescope device wants it: in J2000."""

from __future__ import annotations

import math
import time
from typing import Final, Literal

from devices.ccd.mount import Mount, Pointing
from devices.drivers.lx200 import LONGEST_PULSE, Direction, Lx200
from devices.pipelines.ccd.sky_place import from_date, of_date

#: A mount that stands like this does not follow the sky.
LAND: Final = "land"


class Lx200Mount(Mount):
    """One mount.

    Its coordinates are coarse: 1 s of right ascension, 1 arcsec of declination. Small offsets are guide pulses, which
    are finer. The focus has a motor and no scale: its position is the ms that it has run since the link was opened.

    Args:
        equinox: of the mount's own coordinates.
        guide_rate: of its pulses, arcsec/s of an axis; 0: offsets are slews.
    """

    has_focus = True
    has_park = True

    def __init__(self, url: str, equinox: Literal["date", "J2000"] = "date", guide_rate: float = 7.5) -> None:
        self._driver = Lx200(url)
        self._equinox = equinox
        self._guide_rate = guide_rate
        self._focus_ms = 0.0

    async def connect(self) -> str:
        self._focus_ms = 0.0
        return await self._driver.connect()

    async def close(self) -> None:
        await self._driver.close()

    async def pointing(self) -> Pointing:
        driver = self._driver
        # Asked first: where it is afterwards, is where it has arrived.
        is_slewing = await driver.is_slewing()
        place = await driver.right_ascension(), await driver.declination()
        if self._equinox == "date":
            place = from_date(*place, time.time())
        return Pointing(*place, is_slewing=is_slewing, is_tracking=await driver.alignment() != LAND)

    async def slew(self, hours: float, degrees: float) -> None:
        await self._driver.slew(
            *(of_date(hours, degrees, time.time()) if self._equinox == "date" else (hours, degrees))
        )

    async def stop(self) -> None:
        await self._driver.stop()

    async def offset(self, aim: tuple[float, float], east_arcsec: float, north_arcsec: float) -> None:
        # The axis of right ascension turns further than the sky moves.
        turn = east_arcsec / max(1e-6, math.cos(math.radians(aim[1])))
        reach = self._guide_rate * LONGEST_PULSE
        if abs(turn) > reach or abs(north_arcsec) > reach:
            await super().offset(aim, east_arcsec, north_arcsec)
            return
        pulses: tuple[tuple[Direction, float], ...] = (
            ("e" if turn > 0.0 else "w", abs(turn)),
            ("n" if north_arcsec > 0.0 else "s", abs(north_arcsec)),
        )
        for direction, arcsec in pulses:
            if arcsec:
                await self._driver.pulse(direction, arcsec / self._guide_rate)

    async def track(self, on: bool) -> None:
        await self._driver.track(on)

    async def park(self) -> None:
        await self._driver.park()

    async def focus(self) -> float:
        return self._focus_ms

    async def move_focus(self, position: float) -> None:
        seconds, began = (position - self._focus_ms) / 1000.0, time.monotonic()
        try:
            await self._driver.move_focus(seconds)
        finally:
            # Who is cancelled has moved it so far.
            ran = min(time.monotonic() - began, abs(seconds))
            self._focus_ms += math.copysign(1000.0 * ran, seconds)
