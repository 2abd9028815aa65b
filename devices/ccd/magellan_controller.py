"""The Magellan controller (OCIW gcam) as a device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from devices.ccd.controller import CcdController
from devices.ccd.controller_link import ControllerLink
from devices.ccd.endpoint import endpoint
from devices.ccd.magellan_link import MagellanLink
from devices.ccd.magellan_settings import MagellanSettings
from devices.ccd.tool import ToolProperties
from devices.core import Argument, Operation, attribute, command, operation, setting
from devices.core.errors import ConfigurationError
from devices.drivers.controller_server import PORT
from devices.drivers.magellan_commands import Pattern

NUMBERS_OF_CONFIGURATION = 5


def _configuration(numbers: tuple[int, ...]) -> None:
    if len(numbers) not in (0, NUMBERS_OF_CONFIGURATION):
        raise ValueError(f"it has {len(numbers)} numbers, not flag, splits, detectors in x and in y, flips")


@dataclass(frozen=True)
class MagellanProperties(ToolProperties):
    """Where a Magellan controller is, and what it is configured with."""

    link: str = setting(doc="tcp://HOST:2405 of the controller server", check=lambda text: endpoint(text, PORT))
    timing_file: Path = setting(doc="The .s file, Motorola S-records, that a reset loads into the DSP")
    timeout: float = setting(2.0, doc="How long to wait for one answer, s", limits=(0.05, 60.0))
    flush_timeout: float = setting(60.0, doc="How long one flush may take, s", limits=(0.1, 3600.0))
    load_timeout: float = setting(30.0, doc="How long the program may take to load, s", limits=(0.1, 600.0))
    frame_timeout: float = setting(10.0, doc="How long a read-out may make no progress, s", limits=(0.1, 3600.0))
    interface_seconds: float = setting(1.6, doc="How long the DSP takes after its reset, s", limits=(0.0, 60.0))
    upload_seconds: float = setting(1.0, doc="From the upload of the program to its loading, s", limits=(0.0, 60.0))
    shutter_seconds: float = setting(0.04, doc="How long the shutter takes to shut, s", limits=(0.0, 60.0))
    configuration: tuple[int, ...] = setting(
        (), doc="Of SetConfiguration: flag, splits, detectors in x and y, flips; empty: not sent", check=_configuration
    )
    pauses: bool = setting(False, doc="The program of the DSP can hold an integration")
    reads_early: bool = setting(False, doc="The program of the DSP reads out before the integration is over")


class MagellanController(CcdController):
    """A Magellan (OCIW gcam) CCD controller behind its controller server.

    A restart leaves the controller as it is; `reset` opens its interface anew and loads the program of the DSP.
    """

    properties_class = MagellanProperties
    properties: MagellanProperties

    timing_file = attribute(str, doc="The program that a reset loads")

    def build(self) -> None:
        super().build()
        if not self.properties.timing_file.is_absolute():
            raise ConfigurationError(self.name, [f"timing_file = {self.properties.timing_file}: not an absolute path"])
        self.timing_file.publish(str(self.properties.timing_file))

    def make_link(self) -> ControllerLink:
        given = self.properties
        host, port = endpoint(given.link, PORT)
        return MagellanLink(
            MagellanSettings(
                host,
                given.timing_file,
                port,
                timeout=given.timeout,
                flush_timeout=given.flush_timeout,
                load_timeout=given.load_timeout,
                frame_timeout=given.frame_timeout,
                interface_seconds=given.interface_seconds,
                upload_seconds=given.upload_seconds,
                shutter_seconds=given.shutter_seconds,
                configuration=given.configuration,
                pauses=given.pauses,
                reads_early=given.reads_early,
            )
        )

    @property
    def magellan(self) -> MagellanLink:
        assert isinstance(self.link, MagellanLink)
        return self.link

    @command(level="expert")
    async def test_datalink(
        self,
        value: Annotated[int, Argument(limits=(0, 0xFFFF))] = 999,
        cycles: Annotated[int, Argument(limits=(1, 100))] = 1,
    ) -> None:
        """Send a number to the DSP and back, so many times."""
        self._unused("test_datalink")
        for _ in range(cycles):
            await self.magellan.echo(value)

    @operation(level="expert")
    async def test_pattern(
        self, run: Operation, pattern: Pattern = Pattern.RAMP, value: Annotated[int, Argument(limits=(0, 0xFFFF))] = 0
    ) -> int:
        """Let the FPGA fill the image buffer and fetch it: the way of images without the detector; the pixels.

        CONSTANT is `value`; other pixels than were put there are an error. RANDOM is only fetched.
        """
        self._unused("test_pattern")
        return int((await self.magellan.test_pattern(pattern, value)).size)

    @command(level="expert")
    async def magio(
        self,
        what: Annotated[str, Argument(text_limit=40)],
        parameter: Annotated[int, Argument(limits=(-(1 << 31), (1 << 31) - 1))] = 0,
    ) -> str:
        """Send a low-level command to the controller, e.g. dsp_echo 98; what stands behind OK."""
        self._unused("magio")
        return await self.magellan.magio(what, parameter)
