"""The services of one camera for clients of azcam: the text protocol and the web API."""

from __future__ import annotations

import asyncio
import logging
import os
import signal

from devices.ccd.exposure import CcdExposure
from devices.core.errors import ConfigurationError
from servers.azcam.camera import TOOLS, Camera
from servers.azcam.commands import Commands
from servers.azcam.connection import Connection
from servers.azcam.parameters import Parameters
from servers.azcam.settings import Address, AzcamSettings
from servers.azcam.site_tool import make_site_tool
from servers.azcam.web import WebApi

log = logging.getLogger("diptych.azcam")


class AzcamService:
    """Serves one camera, in the loop that it was started in.

    Attributes:
        endpoint: HOST:PORT of the text protocol, once it was started; ``web_endpoint``, of the web API.
    """

    def __init__(self, device: CcdExposure, settings: AzcamSettings) -> None:
        self.endpoint = self.web_endpoint = ""
        self._device, self._settings = device, settings
        self._server: asyncio.Server | None = None
        self._web: WebApi | None = None
        self._connections: set[Connection] = set()

    @property
    def connections(self) -> int:
        """Clients now."""
        return len(self._connections)

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: an address cannot be listened on, or a site's tool is none. StorageError, BadValueError:
                the file of parameters cannot be read.
        """
        given, settings = self._device.properties, self._settings
        names = {tool: getattr(given, tool) for tool in TOOLS}
        camera = Camera.of_peers(self._device.peers, self._device.name, names, settings.system or self._device.name)
        parameters = Parameters(camera, settings.parameters)
        await parameters.load()
        commands = Commands(camera, parameters, [make_site_tool(path, camera) for path in settings.site])
        try:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: self._connection(commands), settings.listen.host, settings.listen.port, backlog=256
            )
            self.endpoint = str(Address(*self._server.sockets[0].getsockname()[:2]))
            if settings.web is not None:
                self._web = WebApi(commands, settings)
                self.web_endpoint = str(await self._web.start(settings.web))
        except OSError as error:
            await self.stop()
            raise ConfigurationError(
                f"azcam of {self._device.name}", [f"cannot listen: {error.strerror or error}"]
            ) from error
        except BaseException:
            await self.stop()
            raise
        log.info(
            "%s for clients of azcam: %s, web API %s", self._device.name, self.endpoint, self.web_endpoint or "off"
        )
        hosts = {settings.listen.host, settings.web.host if settings.web else settings.listen.host}
        if not settings.token and hosts - {"127.0.0.1", "::1", "localhost"}:
            log.warning("%s: other hosts reach its azcam services, and no token is asked for", self._device.name)

    async def stop(self) -> None:
        """Listen no more; what clients have started goes on."""
        if self._web is not None:
            await self._web.stop()
            self._web = None
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._connections):
            await connection.stop()

    def gone(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def end_server(self) -> None:
        # The host of this process ends in good order when it is told so.
        asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGTERM)

    def _connection(self, commands: Commands) -> Connection:
        too_many = len(self._connections) >= self._settings.connections
        connection = Connection(self, commands, self._settings, too_many=too_many)
        self._connections.add(connection)
        return connection
