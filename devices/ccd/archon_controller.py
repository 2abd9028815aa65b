"""The STA Archon as a device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from devices.ccd.archon_link import ArchonLink
from devices.ccd.archon_settings import DEFAULT_SENSORS, ArchonSettings
from devices.ccd.controller import CcdController
from devices.ccd.controller_link import ControllerLink
from devices.ccd.endpoint import endpoint
from devices.ccd.tool import ToolProperties
from devices.core import Argument, attribute, command, setting
from devices.core.errors import ConfigurationError

PORT = 4242


def _sensors(texts: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, key = text.partition("=")
        if not (name.strip() and equals and key.strip()):
            raise ValueError(f"{text!r} is not of the form NAME=KEY")
        found[name.strip()] = key.strip()
    return found


@dataclass(frozen=True)
class ArchonProperties(ToolProperties):
    """Where an Archon is, and what it is configured with."""

    link: str = setting(doc="tcp://HOST:4242", check=lambda text: endpoint(text, PORT))
    configuration: Path = setting(doc="The .acf or .ncf file that a reset loads")
    timeout: float = setting(2.0, doc="How long to wait for one answer, s", limits=(0.05, 60.0))
    power_timeout: float = setting(10.0, doc="How long power may take to come on, s", limits=(0.1, 120.0))
    frame_timeout: float = setting(10.0, doc="How long a read-out may make no progress, s", limits=(0.1, 3600.0))
    shutter_seconds: float = setting(0.01, doc="How long the shutter takes to shut, s", limits=(0.0, 60.0))
    heater: str = setting("MOD10/HEATERA", doc="The detector's heater, the beginning of its keys; empty: none")
    sensors: tuple[str, ...] = setting(
        tuple(f"{name}={key}" for name, key in DEFAULT_SENSORS.items()),
        doc="Temperature sensors, NAME=KEY of its status, the detector's first",
        check=_sensors,
    )
    shown_telemetry: tuple[str, ...] = setting(
        (), doc="Names of telemetry that get attributes of their own, e.g. P5V_V, BACKPLANE_TEMP_C"
    )


class ArchonController(CcdController):
    """An STA Archon CCD controller.

    A restart leaves the controller as it is; `reset` loads the configuration and powers the detector.
    """

    properties_class = ArchonProperties
    properties: ArchonProperties

    configuration = attribute(str, doc="The file that a reset loads")

    def build(self) -> None:
        self.shown_telemetry = self.properties.shown_telemetry
        super().build()
        if not self.properties.configuration.is_absolute():
            raise ConfigurationError(
                self.name, [f"configuration = {self.properties.configuration}: not an absolute path"]
            )
        self.configuration.publish(str(self.properties.configuration))

    def make_link(self) -> ControllerLink:
        given = self.properties
        host, port = endpoint(given.link, PORT)
        return ArchonLink(
            ArchonSettings(
                host,
                given.configuration,
                port,
                timeout=given.timeout,
                power_timeout=given.power_timeout,
                frame_timeout=given.frame_timeout,
                shutter_seconds=given.shutter_seconds,
                heater=given.heater,
                sensors=_sensors(given.sensors),
            )
        )

    @command(level="expert", dangerous=True)
    async def set_parameter(
        self, name: Annotated[str, Argument(text_limit=80)], value: Annotated[int, Argument(limits=(0, (1 << 20) - 1))]
    ) -> None:
        """Set a parameter of the timing script, e.g. ParallelPumping 1, until the next reset."""
        self._unused("set_parameter")
        link = self.link
        assert isinstance(link, ArchonLink)
        await link.driver.load_parameter(name, value)
