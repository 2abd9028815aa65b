"""The web API: ``/api`` as azcam has it, where every answer is 200, and ``/api/v2`` with codes that mean something."""

from __future__ import annotations

import hmac
import html
import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from devices.core import errors
from devices.core.client import asked_by
from servers.azcam.commands import Commands
from servers.azcam.method import Method
from servers.azcam.reply import AzcamError
from servers.azcam.settings import Address, AzcamSettings
from servers.web.origin import is_own_host, is_own_page

#: The longest body, bytes.
MOST_BODY: Final = 1 << 20
#: Class of an error -> what /api/v2 answers; the first that fits.
CODES: Final[tuple[tuple[type[Exception], HTTPStatus], ...]] = (
    (AzcamError, HTTPStatus.NOT_FOUND),
    (AttributeError, HTTPStatus.NOT_FOUND),
    (errors.UnknownNameError, HTTPStatus.NOT_FOUND),
    (errors.RangeError, HTTPStatus.BAD_REQUEST),
    (errors.BadValueError, HTTPStatus.BAD_REQUEST),
    (errors.BusyError, HTTPStatus.CONFLICT),
    (errors.NotAllowedError, HTTPStatus.CONFLICT),
    (errors.AbortedError, HTTPStatus.CONFLICT),
    (errors.NotConnectedError, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.InvalidReadingError, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.TimeoutError, HTTPStatus.GATEWAY_TIMEOUT),
    (errors.StorageError, HTTPStatus.INSUFFICIENT_STORAGE),
    (errors.DiptychError, HTTPStatus.BAD_GATEWAY),
)

log = logging.getLogger("diptych.azcam")


class WebApi:
    """The web API of one camera."""

    def __init__(self, commands: Commands, settings: AzcamSettings) -> None:
        self._commands, self._settings = commands, settings
        self._runner: web.AppRunner | None = None

    async def start(self, address: Address) -> Address:
        """Listen; returns where.

        Raises:
            OSError: it cannot.
        """
        app = web.Application(client_max_size=MOST_BODY, middlewares=[self._guard])
        app.router.add_get("/", self._page)
        app.router.add_get("/docs", self._page)
        app.router.add_get("/openapi.json", self._openapi)
        app.router.add_post("/api", self._post)
        app.router.add_get("/api/v2/{name}", self._get_v2)
        app.router.add_post("/api/v2/{name}", self._post_v2)
        app.router.add_get("/api/{name:.+}", self._get)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, address.host, address.port).start()
        host, port = self._runner.addresses[0][:2]
        return Address(host, port)

    async def stop(self) -> None:
        """Listen no more."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    # Who may ------------------------------------------------------------------------------------------------------

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        given = self._settings
        # A page of another site must not take exposures through its reader's browser.
        if not (is_own_host(request.host, given.names) or given.token):
            return _refusal(HTTPStatus.FORBIDDEN, "NotAllowedError", f"{request.host} is not a name of this server")
        foreign = request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
        if foreign or not is_own_page(request.host, request.headers.get("Origin"), ()):
            return _refusal(HTTPStatus.FORBIDDEN, "NotAllowedError", "pages of other sites may not use this server")
        said = request.headers.get("Authorization", "").encode()
        if given.token and not hmac.compare_digest(said, f"Bearer {given.token}".encode()):
            answer = _refusal(HTTPStatus.UNAUTHORIZED, "NotAllowedError", "a token is needed")
            answer.headers["WWW-Authenticate"] = "Bearer"
            return answer
        with asked_by(f"azcam {request.remote}"):
            found: web.StreamResponse = await handler(request)
        return found

    # As azcam ------------------------------------------------------------------------------------------------------

    async def _get(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        try:
            data = await self._bare(name, (), _once(request))
        except Exception as error:
            # The reply is azcam's, which does not say what was wrong.
            log.info("GET /api/%s: %s: %s", name, type(error).__name__, error)
            data = f"invalid API command: {name}"
        return _json({"message": "Finished", "command": name, "data": data})

    async def _post(self, request: web.Request) -> web.Response:
        command = ""
        try:
            body = await request.json()
            command = f"api.{body['command']}"
            data = await self._bare(str(body["command"]), list(body["args"]), dict(body["kwargs"]))
        except web.HTTPException:
            raise
        except Exception as error:
            data = repr(error)
        return _json({"message": "Finished", "command": command, "data": data})

    async def _bare(self, name: str, given: Any, named: Mapping[str, Any]) -> Any:
        name = name.removeprefix("api.")
        if name not in self._commands.bare:
            raise AttributeError(f"'API' object has no attribute '{name[:80]}'")
        _, method = self._commands.find(name)
        data = await self._commands.call(name, given, named)
        return None if method.is_silent else data

    # With codes ----------------------------------------------------------------------------------------------------

    async def _get_v2(self, request: web.Request) -> web.Response:
        return await self._v2(request, [], _once(request), reads_only=True)

    async def _post_v2(self, request: web.Request) -> web.Response:
        try:
            body = await request.json() if request.can_read_body else {}
        except ValueError as error:
            return _refusal(HTTPStatus.BAD_REQUEST, "BadValueError", f"no JSON: {error}")
        given = body if isinstance(body, list) else []
        if not isinstance(body, dict | list):
            return _refusal(HTTPStatus.BAD_REQUEST, "BadValueError", "an object or a list of arguments is expected")
        return await self._v2(request, given, body if isinstance(body, dict) else {}, reads_only=False)

    async def _v2(
        self, request: web.Request, given: list[Any], named: Mapping[str, Any], *, reads_only: bool
    ) -> web.Response:
        name = request.match_info["name"]
        try:
            _, method = self._commands.find(name)
            if reads_only and not method.reads_only:
                answer = _refusal(HTTPStatus.METHOD_NOT_ALLOWED, "NotAllowedError", f"{name} needs POST")
                answer.headers["Allow"] = "POST"
                return answer
            return _json({"data": await self._commands.call(name, given, named)})
        except Exception as error:
            code = next((code for kind, code in CODES if isinstance(error, kind)), None)
            if code is None:
                raise
            return _refusal(code, errors.reason(error), str(error))

    # For people ----------------------------------------------------------------------------------------------------

    async def _page(self, request: web.Request) -> web.Response:
        rows = "\n".join(
            f"<tr><td><code>{html.escape(name)}({html.escape(_signature(method))})</code><td>{html.escape(method.doc)}"
            for name, (_, method) in sorted(self._commands.all.items())
            if not name.startswith("api.")
        )
        title = html.escape(self._commands.camera.system_name)
        text = (
            f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
            "<style>body{font:15px sans-serif;margin:2em}td{padding:2px 1em 2px 0;vertical-align:top}</style>"
            f"<h1>{title}</h1><p>GET /api/v2/NAME?argument=value for what only reads, POST /api/v2/NAME with a JSON "
            "object of arguments for all. Names without a point are also under /api, as azcam has them. "
            "<a href=/openapi.json>openapi.json</a>"
            f"<table>{rows}</table></html>"
        )
        return web.Response(text=text, content_type="text/html")

    async def _openapi(self, request: web.Request) -> web.Response:
        paths: dict[str, Any] = {}
        for name, (_, method) in sorted(self._commands.all.items()):
            if name.startswith("api."):
                continue
            entry: dict[str, Any] = {"summary": method.doc, "responses": {"200": {"description": "data"}}}
            named = [{"name": each.name, "in": "query", "required": each.required} for each in method.arguments.all]
            body = {"type": "object", "properties": {each.name: {} for each in method.arguments.all}}
            content = {"requestBody": {"content": {"application/json": {"schema": body}}}}
            paths[f"/api/v2/{name}"] = {"post": {**entry, **content}}
            if method.reads_only:
                paths[f"/api/v2/{name}"]["get"] = {**entry, "parameters": named}
        about = {"title": self._commands.camera.system_name, "version": "2"}
        return _json({"openapi": "3.1.0", "info": about, "paths": paths})


def _once(request: web.Request) -> dict[str, str]:
    return dict(request.query)


def _signature(method: Method) -> str:
    return ", ".join(each.name if each.required else f"{each.name}=" for each in method.arguments.all)


def _json(value: Any) -> web.Response:
    return web.Response(text=json.dumps(value), content_type="application/json")


def _refusal(code: HTTPStatus, name: str, text: str) -> web.Response:
    return web.Response(
        status=code, text=json.dumps({"error": {"name": name, "message": text}}), content_type="application/json"
    )
