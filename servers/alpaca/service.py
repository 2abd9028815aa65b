"""The Alpaca server of one camera: HTTP, and discovery where it is wanted."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from aiohttp import web

from devices.ccd.exposure import CcdExposure
from devices.core.errors import ConfigurationError, NotConnectedError
from servers.alpaca.application import Application
from servers.alpaca.camera import AlpacaCamera
from servers.alpaca.device import AlpacaDevice
from servers.alpaca.discovery import Discovery
from servers.alpaca.filter_wheel import AlpacaFilterWheel
from servers.alpaca.focuser import AlpacaFocuser
from servers.alpaca.moving_device import MovingDevice
from servers.alpaca.settings import AlpacaSettings
from servers.alpaca.telescope import AlpacaTelescope

log = logging.getLogger("diptych.alpaca")


class AlpacaService:
    """Serves one camera and its tools, in the loop that it was started in.

    Attributes:
        endpoint: HOST:PORT, once it was started. discovery_port: of UDP, 0 without discovery.
    """

    def __init__(self, device: CcdExposure, settings: AlpacaSettings) -> None:
        self.endpoint = ""
        self.discovery_port = 0
        self._device, self._settings = device, settings
        self._runner: web.AppRunner | None = None
        self._discovery: Discovery | None = None
        given = device.properties
        self._camera = AlpacaCamera(device, settings)
        tools: list[AlpacaDevice] = []
        if given.instrument:
            tools.append(AlpacaFocuser(device, given.instrument, 0))
        if given.telescope:
            tools.append(AlpacaFocuser(device, given.telescope, 1 if given.instrument else 0))
            tools.append(AlpacaTelescope(device))
        self._tools = tools
        self._wheels: dict[int, AlpacaFilterWheel] = {}

    def devices(self) -> Sequence[AlpacaDevice]:
        """Those that there are now: what an instrument has is known when it is connected."""
        return [each for each in (self._camera, *self._present_wheels(), *self._tools) if each.exists()]

    def _present_wheels(self) -> Sequence[AlpacaFilterWheel]:
        try:
            instrument = self._device.scene.instrument
        except NotConnectedError:
            return ()
        if instrument is None:
            return ()
        numbers = (0, *sorted(instrument.other_wheels))
        return [self._wheels.setdefault(each, AlpacaFilterWheel(self._device, each)) for each in numbers]

    @property
    def connections(self) -> int:
        """HTTP connections now."""
        server = None if self._runner is None else self._runner.server
        return 0 if server is None else len(server.connections)

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: an address cannot be listened on.
        """
        given = self._settings
        application = Application(self.devices, given, lambda: self.connections)
        self._runner = web.AppRunner(application.web, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, given.host, given.port).start()
            host, port = self._runner.addresses[0][:2]
            self.endpoint = f"{host}:{port}"
            if given.discovery is not None:
                self._discovery = Discovery(port)
                self.discovery_port = await self._discovery.start(host, given.discovery)
        except OSError as error:
            await self.stop()
            text = f"cannot listen: {error.strerror or error}"
            raise ConfigurationError(f"alpaca of {self._device.name}", [text]) from error
        except BaseException:
            await self.stop()
            raise
        log.info(
            "%s for Alpaca clients: %s, discovery %s", self._device.name, self.endpoint, self.discovery_port or "off"
        )
        if not given.token and host not in ("127.0.0.1", "::1"):
            log.warning("%s: other hosts reach its Alpaca server, and no token is asked for", self._device.name)

    async def stop(self) -> None:
        """Listen no more; what clients have started goes on."""
        if self._discovery is not None:
            self._discovery.stop()
            self._discovery = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        for each in (*self._tools, *self._wheels.values()):
            if isinstance(each, MovingDevice):
                await each.stop_waiting()
