"""The temperature sensors of an ARC utility board, and the set point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from devices.ccd.controller_link import Temperature
from devices.core.errors import BadValueError
from devices.drivers import arc_temperature
from devices.drivers.arc import ArcDriver
from devices.drivers.arc_commands import (
    CAMERA_TEMPERATURE,
    DEWAR_TEMPERATURE,
    DIODE,
    SET_POINT,
    Board,
    Space,
)

#: Name -> where its counts are; the detector's first.
SENSORS: Final = {"CAMTEMP": CAMERA_TEMPERATURE, "DEWTEMP": DEWAR_TEMPERATURE, "DIODE": DIODE}
#: Readings that are averaged.
READINGS: Final = 5


class ArcSensors:
    """Reads them, Celsius.

    Attributes:
        curves: of each: 0 DT670, 1 AD590, 2 1N4148, 3 1N914.
        last: what was read.
    """

    def __init__(self, driver: ArcDriver, curves: tuple[int, ...]) -> None:
        self.curves = curves
        self.last: list[Temperature] = []
        self._driver = driver

    async def read(self) -> list[Temperature]:
        """All of them, now."""
        self.last = [
            Temperature(name, await self._celsius(address, curve))
            for (name, address), curve in zip(SENSORS.items(), self.curves, strict=True)
        ]
        return self.last

    async def control(self, celsius: float | None) -> None:
        """The set point of the first; None: the coldest that it can measure, so that nothing heats."""
        curve = self.curves[0]
        counts = arc_temperature.coldest(curve) if celsius is None else arc_temperature.counts(celsius, curve)
        await self._driver.write(Board.UTILITY, Space.Y, SET_POINT, counts)

    def calibrate(self, curves: Sequence[int]) -> None:
        """Other curves for the first sensors."""
        if len(curves) > len(SENSORS) or any(not 0 <= each < len(arc_temperature.CURVES) for each in curves):
            raise BadValueError(f"curves = {list(curves)} are not up to {len(SENSORS)} of 0 to 3, for {list(SENSORS)}")
        self.curves = (*curves, *self.curves[len(curves) :])

    async def _celsius(self, address: int, curve: int) -> float:
        counts = [await self._driver.read(Board.UTILITY, Space.Y, address) for _ in range(READINGS)]
        return arc_temperature.celsius(sum(counts) / READINGS, curve)
