"""What an Alpaca camera says of its sensor and its abilities."""

from __future__ import annotations

from typing import Final

from devices.ccd.controller import CcdController
from devices.ccd.controller_link import Capabilities
from devices.ccd.exposure import CcdExposure
from devices.core import Device
from servers.alpaca.device import AlpacaDevice
from servers.alpaca.member import get, not_implemented
from servers.alpaca.settings import AlpacaSettings, Sensor

MONOCHROME: Final = 0


class CameraFacts(AlpacaDevice):
    """The side of a camera that does not change."""

    constants = {  # noqa: RUF012
        "sensortype": MONOCHROME,
        "maxadu": 65535,
        "exposuremin": 0.0,
        "exposureresolution": 0.001,
        "canabortexposure": True,
        "canasymmetricbin": True,
        "canfastreadout": False,
        "canpulseguide": False,
        "cangetcoolerpower": False,
    }

    def __init__(self, exposure: CcdExposure, settings: AlpacaSettings) -> None:
        super().__init__(exposure.name)
        self.exposure, self.settings = exposure, settings

    def hardware(self) -> Device:
        return self.controller

    @property
    def controller(self) -> CcdController:
        """Raises NotConnectedError: it is not in this process."""
        return self.exposure.scene.controller

    @property
    def can(self) -> Capabilities:
        """What the controller can do."""
        return self.controller.link.capabilities

    @property
    def sensor(self) -> Sensor:
        return self.settings.sensor

    @get()
    def description(self) -> str:
        return self.controller.identity.reading.value or self.device_name

    @get()
    def sensorname(self) -> str:
        return self.sensor.name

    @get()
    def cameraxsize(self) -> int:
        return self.exposure.setup.format.columns

    @get()
    def cameraysize(self) -> int:
        return self.exposure.setup.format.rows

    @get()
    def pixelsizex(self) -> float:
        return self._pixel_um()[0]

    @get()
    def pixelsizey(self) -> float:
        return self._pixel_um()[1]

    def _pixel_um(self) -> tuple[float, float]:
        if self.sensor.pixel_um is None:
            raise not_implemented("the size of a pixel is not known: option pixel_um of the service")
        return self.sensor.pixel_um

    @get()
    def electronsperadu(self) -> float:
        gains = self.exposure.setup.gains
        gain = sum(gains) / len(gains) if gains else self.sensor.gain
        if gain is None:
            raise not_implemented("the gain is not known: gains of the detector, or option gain_e_adu of the service")
        return gain

    @get()
    def fullwellcapacity(self) -> float:
        if self.sensor.full_well is None:
            raise not_implemented("the full well is not known: option full_well_e of the service")
        return self.sensor.full_well

    @get()
    def hasshutter(self) -> bool:
        return self.can.has_shutter or self.exposure.properties.instrument_shutter

    @get()
    def exposuremax(self) -> float:
        return self.exposure.properties.longest

    @get()
    def canstopexposure(self) -> bool:
        return self.can.reads_early
