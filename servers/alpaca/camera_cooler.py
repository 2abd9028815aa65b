"""The cooler of an Alpaca camera: the camera's temperature controller."""

from __future__ import annotations

from devices.ccd.controller_link import ControllerLink
from devices.ccd.tempcon import CcdTempcon
from servers.alpaca.camera_facts import CameraFacts
from servers.alpaca.member import get, not_implemented, number, put, truth


class CameraCooler(CameraFacts):
    """The side of a camera that is kept cold."""

    @property
    def tempcon(self) -> CcdTempcon:
        """Raises Refusal: the camera has none; NotConnectedError: it is away."""
        found = self.exposure.scene.tempcon
        if found is None:
            raise not_implemented("this camera has no temperature controller")
        return found

    @get()
    def ccdtemperature(self) -> float:
        return self.tempcon.camera_temperature.value

    @get()
    def cansetccdtemperature(self) -> bool:
        tempcon = self.exposure.scene.tempcon
        if tempcon is None:
            return False
        if tempcon.properties.controller:
            return type(self.controller.link).set_temperature is not ControllerLink.set_temperature
        return bool(tempcon.properties.setpoint)

    @get()
    def setccdtemperature(self) -> float:
        self._check()
        tempcon = self.tempcon
        held = tempcon.control_temperature.setpoint
        return tempcon.control_temperature.value if held is None or held.value is None else held.value

    @put(SetCCDTemperature=number)
    async def put_setccdtemperature(self, celsius: float) -> None:
        self._check()
        await self.tempcon.put("control_temperature", celsius)

    @get()
    def cooleron(self) -> bool:
        self._check()
        return self.tempcon.control_temperature.reading.value is not None

    @put(CoolerOn=truth)
    async def put_cooleron(self, on: bool) -> None:
        self._check()
        tempcon = self.tempcon
        if on == self.cooleron():
            return
        if on:
            await tempcon.put("control_temperature", self.setccdtemperature())
        elif tempcon.properties.device:
            raise not_implemented(f"{tempcon.properties.device} is switched off at its own device, not from here")
        else:
            await self.controller.link.set_temperature(None)
            tempcon.control_temperature.publish_invalid("the control is off")

    def _check(self) -> None:
        if not self.cansetccdtemperature():
            raise not_implemented("the temperature of this camera cannot be set")
