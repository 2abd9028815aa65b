"""The web server: the page, the panels as files, the two sockets, and trends."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from devices.core.errors import ConfigurationError
from servers.facility.port_check import port_holder
from servers.web.alarm_steps import AlarmSteps
from servers.web.channels import Channels
from servers.web.directory import Directory
from servers.web.image_socket import ImageSocket, Picture
from servers.web.log import Log
from servers.web.origin import is_own_host, may_connect
from servers.web.pv_socket import PvSocket
from servers.web.site import Site
from servers.web.trends import OpenHistory, Trends

log = logging.getLogger(__name__)

MAX_MESSAGE: Final = 4 << 20  # bytes of a page's message: one with many PV names
HEARTBEAT: Final = 20.0  # s; a page that does not answer is left
SHUTDOWN: Final = 1.0  # s
#: Files of panels that are given out; nothing else of the folder is.
PANEL_TYPES: Final = (".bob", ".png", ".svg", ".jpg", ".jpeg", ".gif")
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
SITE: Final = web.AppKey("site", Site)
PICTURES: Final = web.AppKey("pictures", dict[str, Picture])


@dataclass(frozen=True)
class WebConfig:
    """What the web server is told.

    Attributes:
        facility: its name, shown in the page.
        pva: the PVAccess client's configuration, ``EPICS_PVA_...``.
        mirrors: prefixes of the mirrors' own PVs.
        panels: the folder of the .bob files.
        host_names: names by which other hosts reach this server.
        alarms: prefix of the alarm device's PVs; "" where there is none.
        history: opens the facility's history to be read; None where it has none.
        log: the folder of the facility's log files.
    """

    facility: str
    pva: Mapping[str, str]
    mirrors: Sequence[str]
    panels: Path
    bind: str = "127.0.0.1"
    port: int = 8080
    host_names: Collection[str] = ()
    alarms: str = ""
    history: OpenHistory | None = None
    log: Path | None = None


def application(config: WebConfig) -> web.Application:
    """The server's routes."""
    app = web.Application(middlewares=[_own_host(config.host_names)])
    trends = Trends(config.history, config.host_names)
    facility_log = Log(config.log, config.host_names)
    steps = AlarmSteps(config.alarms, config.host_names)

    async def close_trends(_: web.Application) -> None:
        trends.close()

    async def close_log(_: web.Application) -> None:
        await facility_log.close()

    async def log_socket(request: web.Request) -> web.StreamResponse:
        return await facility_log.live(request, lambda: _open(request, config))

    async def pv_socket(request: web.Request) -> web.StreamResponse:
        answer = await _open(request, config)
        await PvSocket(app[SITE], answer, str(request.remote)).serve()
        return answer

    async def image_socket(request: web.Request) -> web.StreamResponse:
        answer = await _open(request, config)
        await ImageSocket(app[SITE], answer, app[PICTURES]).serve()
        return answer

    async def alarm_steps(request: web.Request) -> web.Response:
        return await steps.answer(request, app[SITE].channels)

    async def panel(request: web.Request) -> web.StreamResponse:
        return _file(config.panels, request.match_info["path"], PANEL_TYPES)

    async def page(request: web.Request) -> web.StreamResponse:
        with as_file(files("servers.web") / "page") as folder:
            return _file(folder, request.match_info["path"] or "index.html", None)

    app.router.add_get("/pvws/pv", pv_socket)
    app.router.add_get("/pvws/image", image_socket)
    app.router.add_get("/hist", trends.shown)
    app.router.add_get("/hist/pvs", trends.names)
    app.router.add_get("/hist/export.csv", trends.exported)
    app.router.add_get("/alarms/history", alarm_steps)
    app.router.add_get("/log", facility_log.shown)
    app.router.add_get("/log/live", log_socket)
    app.router.add_get("/opi/{path:.*}", panel)
    app.router.add_get("/{path:.*}", page)
    app.on_response_prepare.append(_add_headers)
    app.on_cleanup.append(close_trends)
    app.on_cleanup.append(close_log)
    app.cleanup_ctx.append(_site(config))
    return app


async def serve(config: WebConfig, stop: asyncio.Event) -> None:
    """Serve until ``stop``.

    Raises:
        ConfigurationError: the port is taken (by whom), or there is no such folder.
    """
    if not config.panels.is_dir():
        raise ConfigurationError("web", [f"there is no folder of panels {config.panels}"])
    runner = web.AppRunner(application(config), access_log=None, shutdown_timeout=SHUTDOWN)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, config.bind, config.port).start()
        except OSError as error:
            holder = port_holder(config.port)
            why = f"port {config.port} is taken{f' by {holder}' if holder else ''}: {error.strerror}"
            raise ConfigurationError("web", [why]) from error
        log.info("panels at http://%s:%d/", config.bind, config.port)
        await stop.wait()
    finally:
        await runner.cleanup()


def _site(config: WebConfig) -> Callable[[web.Application], AsyncIterator[None]]:
    async def live(app: web.Application) -> AsyncIterator[None]:
        channels = Channels(config.pva)
        directory = Directory(channels, config.mirrors)
        app[SITE] = Site(config.facility, importlib.metadata.version("diptych"), channels, directory, config.alarms)
        app[PICTURES] = {}
        following = asyncio.create_task(directory.follow())
        yield
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
        channels.close()

    return live


async def _open(request: web.Request, config: WebConfig) -> web.WebSocketResponse:
    host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
    if not may_connect(host, origin, config.host_names):
        log.warning("%s: a page of %s may not connect to %s", request.remote, origin, host)
        raise web.HTTPForbidden(text=f"a page of {origin} may not connect here")
    answer = web.WebSocketResponse(heartbeat=HEARTBEAT, max_msg_size=MAX_MESSAGE, compress=False)
    await answer.prepare(request)
    return answer


def _own_host(names: Collection[str]) -> Middleware:
    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_own_host(request.headers.get("Host", ""), names):
            raise web.HTTPForbidden(text="this server has another name")
        return await handler(request)

    return check


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


def _file(folder: Path, name: str, types: tuple[str, ...] | None) -> web.FileResponse:
    """A file of a folder and of nothing outside it, also through links."""
    try:
        path = (folder / name).resolve(strict=True)
    except (OSError, ValueError):
        raise web.HTTPNotFound(text=f"there is no {name}") from None
    if not path.is_relative_to(folder.resolve()) or not path.is_file() or (types and path.suffix not in types):
        raise web.HTTPNotFound(text=f"there is no {name}")
    return web.FileResponse(
        path, headers={"Content-Type": "text/xml; charset=utf-8"} if path.suffix == ".bob" else None
    )
