"""A camera behind ASCOM Alpaca as a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from devices.ccd.alpaca_link import AlpacaLink, CameraState
from devices.ccd.alpaca_settings import AlpacaSettings
from devices.ccd.controller import CcdController
from devices.ccd.tool import ToolProperties
from devices.core import attribute, command, setting
from devices.drivers.alpaca_discovery import discover
from devices.drivers.alpaca_server import AlpacaServer


def _endpoint(text: str) -> tuple[str, int]:
    parts = urlsplit(text)
    if parts.scheme != "http" or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError("it is not of the form http://HOST:PORT")
    return parts.hostname, parts.port or 11111


def _whole(text: str) -> int | None:
    return int(text) if text else None


@dataclass(frozen=True)
class AlpacaProperties(ToolProperties):
    """Where the camera is."""

    link: str = setting(doc="http://HOST:11111 of the Alpaca server", check=_endpoint)
    number: int = setting(0, doc="Of the camera among those of the server", limits=(0, 100))
    timeout: float = setting(5.0, doc="How long to wait for one answer, s", limits=(0.05, 60.0))
    connect_timeout: float = setting(8.0, doc="How long the server may take to get its camera, s", limits=(0.5, 60.0))
    frame_timeout: float = setting(60.0, doc="How long a read-out may make no progress, s", limits=(0.1, 3600.0))
    gain: str = setting("", doc="Gain that a reset sets, in the camera's own unit; empty: as it is", check=_whole)
    offset: str = setting("", doc="Offset that a reset sets; empty: as it is", check=_whole)
    readout_mode: str = setting("", doc="Name of the read-out mode that a reset sets; empty: as it is")
    shown_telemetry: tuple[str, ...] = setting(
        ("COOLER_%", "SETPOINT_C"), doc="Names of telemetry that get attributes of their own"
    )


class AlpacaController(CcdController):
    """A camera behind an ASCOM Alpaca server, which may be ASCOM Remote on a Windows computer.

    The camera stays connected to its server when this device ends; its cooler is left as it is.
    """

    properties_class = AlpacaProperties
    properties: AlpacaProperties
    link: AlpacaLink

    camera_state = attribute(CameraState, doc="What the camera says that it does")
    gain = attribute(int, access="read_write", group="Video", doc="In the camera's own unit")
    offset = attribute(int, access="read_write", group="Video", doc="In the camera's own unit")
    readout_mode = attribute(str, access="read_write", group="Video", doc="One of readout_modes")
    readout_modes = attribute(str, shape=(64,), initial=(), group="Video", doc="How the detector can be read")

    def build(self) -> None:
        self.shown_telemetry = self.properties.shown_telemetry
        super().build()

    def make_link(self) -> AlpacaLink:
        given = self.properties
        host, port = _endpoint(given.link)
        return AlpacaLink(
            AlpacaSettings(
                host,
                port,
                given.number,
                timeout=given.timeout,
                connect_timeout=given.connect_timeout,
                frame_timeout=given.frame_timeout,
                gain=_whole(given.gain),
                offset=_whole(given.offset),
                readout_mode=given.readout_mode,
            )
        )

    async def poll_telemetry(self) -> None:
        """Ask for temperatures, cooler, state, gain."""
        await super().poll_telemetry()
        self.camera_state.publish(await self.link.state())
        if self.link.facts is not None:
            await self.link.video.read(self.link.facts)
        self._show_video()

    def _show_video(self) -> None:
        video = self.link.video
        for live, name, value in ((self.gain, "gain", video.gain), (self.offset, "offset", video.offset)):
            if value is None:
                live.publish_invalid(f"this camera has no {name}")
            else:
                live.publish(value)
        self.readout_modes.publish_change(video.modes[:64])
        self.readout_mode.publish(video.mode)

    @gain.write
    async def write_gain(self, gain: int) -> None:
        self._unused("gain")
        await self.link.video.set_gain(gain)
        self._show_video()

    @offset.write
    async def write_offset(self, offset: int) -> None:
        self._unused("offset")
        await self.link.video.set_offset(offset)
        self._show_video()

    @readout_mode.write
    async def write_readout_mode(self, name: str) -> None:
        self._unused("readout_mode")
        await self.link.video.set_mode(name)
        self._show_video()

    @command()
    async def cooler_off(self) -> None:
        """Switch the cooler off; a set point of the tempcon switches it on."""
        await self.link.set_temperature(None)

    @command(reads_only=True)
    async def find_devices(self) -> dict[str, Any]:
        """All Alpaca servers that answer on this host's networks: HOST:PORT -> its devices, [kind, number, name]."""
        found: dict[str, Any] = {}
        for host, port in await discover(1.0):
            server = AlpacaServer(host, port, timeout=1.0)
            try:
                devices = await server.devices()
                found[server.address] = [[each.kind, each.number, each.name] for each in devices]
            finally:
                await server.close()
        return found
