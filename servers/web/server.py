"""The web server: the page, the panels as files, the two sockets, and trends."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from aiohttp import web

from devices.core.errors import ConfigurationError
from servers.epics.audit import Audit
from servers.facility.port_check import port_holder
from servers.facility.web_settings import WebSettings
from servers.web.alarm_steps import AlarmSteps
from servers.web.channels import Channels
from servers.web.directory import Directory
from servers.web.image_socket import ImageSocket, Picture
from servers.web.log import Log
from servers.web.login.logins import Logins
from servers.web.login.visitor import visitor_of
from servers.web.metrics import Metrics
from servers.web.pv_socket import PvSocket
from servers.web.site import Site
from servers.web.trends import OpenHistory, Trends

log = logging.getLogger(__name__)

MAX_FORM: Final = 16 << 10  # bytes of what is posted: a login
MAX_MESSAGE: Final = 6 << 20  # bytes of a page's message: one with many PV names, or with a file for a command
HEARTBEAT: Final = 20.0  # s; a page that does not answer is left
SHUTDOWN: Final = 1.0  # s
#: Files of panels that are given out; nothing else of the folder is.
PANEL_TYPES: Final = (".bob", ".png", ".svg", ".jpg", ".jpeg", ".gif")
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'self'; "
    "base-uri 'none'; form-action 'self'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",  # no-referrer would make the Origin of a form's POST null
    "Cache-Control": "no-cache",
}
LOGINS: Final = web.AppKey("logins", Logins)
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
        settings: where it listens, and to whom.
        audit_path: where logins and refused writes are recorded; None for nowhere.
        alarms: prefix of the alarm device's PVs; "" where there is none.
        history: opens the facility's history to be read; None where it has none.
        log: the folder of the facility's log files.
        state_dir: of the facility whose processes are to be known.
    """

    facility: str
    pva: Mapping[str, str]
    mirrors: Sequence[str]
    panels: Path
    port: int = 8080
    settings: WebSettings = field(default_factory=WebSettings)
    audit_path: Path | None = None
    alarms: str = ""
    history: OpenHistory | None = None
    log: Path | None = None
    state_dir: Path | None = None


def application(config: WebConfig) -> web.Application:
    """The server's routes, all of them behind the logins.

    Raises:
        ConfigurationError: a file of the logins is faulty.
    """
    app = web.Application(client_max_size=MAX_FORM)
    logins = app[LOGINS] = Logins(config.settings, config.facility, config.port, Audit(config.audit_path))
    trends = Trends(config.history)
    facility_log = Log(config.log)
    figures = Metrics(config.state_dir, config.mirrors, config.alarms)
    steps = AlarmSteps(config.alarms)

    async def close_trends(_: web.Application) -> None:
        trends.close()

    async def close_log(_: web.Application) -> None:
        await facility_log.close()

    async def log_socket(request: web.Request) -> web.StreamResponse:
        return await facility_log.live(request, _opened(request))

    async def pv_socket(request: web.Request) -> web.StreamResponse:
        async with _opened(request) as answer:
            await PvSocket(app[SITE], answer, visitor_of(request)).serve()
        return answer

    async def image_socket(request: web.Request) -> web.StreamResponse:
        async with _opened(request) as answer:
            await ImageSocket(app[SITE], answer, app[PICTURES], visitor_of(request)).serve()
        return answer

    async def alarm_steps(request: web.Request) -> web.Response:
        return await steps.answer(request, app[SITE].channels)

    async def metrics(request: web.Request) -> web.Response:
        return await figures.answer(request, app[SITE])

    async def panel(request: web.Request) -> web.StreamResponse:
        return _file(config.panels, request.match_info["path"], PANEL_TYPES)

    async def page(request: web.Request) -> web.StreamResponse:
        with as_file(files("servers.web") / "page") as folder:
            return _file(folder, request.match_info["path"] or "index.html", None)

    logins.add_routes(app)
    app.router.add_get("/pvws/pv", pv_socket)
    app.router.add_get("/pvws/image", image_socket)
    app.router.add_get("/hist", trends.shown)
    app.router.add_get("/hist/pvs", trends.names)
    app.router.add_get("/hist/export.csv", trends.exported)
    app.router.add_get("/alarms/history", alarm_steps)
    app.router.add_get("/log", facility_log.shown)
    app.router.add_get("/log/live", log_socket)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/opi/{path:.*}", panel)
    app.router.add_get("/{path:.*}", page)
    app.on_response_prepare.append(_add_headers)
    app.on_cleanup.append(close_trends)
    app.on_cleanup.append(close_log)
    app.cleanup_ctx.append(_site(config, logins))
    return app


async def serve(config: WebConfig, stop: asyncio.Event) -> None:
    """Serve until ``stop``.

    Raises:
        ConfigurationError: the port is taken (by whom), there is no such folder, or a file of the logins is faulty.
    """
    if not config.panels.is_dir():
        raise ConfigurationError("web", [f"there is no folder of panels {config.panels}"])
    app = application(config)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, config.settings.bind, config.port, ssl_context=app[LOGINS].tls).start()
        except OSError as error:
            holder = port_holder(config.port)
            why = f"port {config.port} is taken{f' by {holder}' if holder else ''}: {error.strerror}"
            raise ConfigurationError("web", [why]) from error
        log.info("panels at %s://%s:%d/", config.settings.scheme, config.settings.bind, config.port)
        await stop.wait()
    finally:
        await runner.cleanup()


def _site(config: WebConfig, logins: Logins) -> Callable[[web.Application], AsyncIterator[None]]:
    async def live(app: web.Application) -> AsyncIterator[None]:
        channels = Channels(config.pva)
        directory = Directory(channels, config.mirrors)
        app[SITE] = Site(
            config.facility, importlib.metadata.version("diptych"), channels, directory, logins.audit, config.alarms
        )
        app[PICTURES] = {}
        following = [asyncio.create_task(directory.follow()), asyncio.create_task(logins.follow())]
        yield
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
        channels.close()
        logins.close()

    return live


@contextlib.asynccontextmanager
async def _opened(request: web.Request) -> AsyncIterator[web.WebSocketResponse]:
    """A web-socket that ends with the session of its person."""
    session = visitor_of(request).session
    answer = web.WebSocketResponse(heartbeat=HEARTBEAT, max_msg_size=MAX_MESSAGE, compress=False)
    await answer.prepare(request)
    session.sockets.add(answer)
    try:
        if session.why:  # it ended meanwhile
            await session.close(session.why)
        yield answer
    finally:
        session.sockets.discard(answer)


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
