"""Requests of Alpaca clients to the members of devices, and their answers."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import html
import ipaddress
import json
import logging
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
from aiohttp import web

from devices.core.client import asked_by
from devices.core.errors import DiptychError, reason
from servers.alpaca.call import MOST_NUMBER, Call, read_call
from servers.alpaca.device import AlpacaDevice, own_version
from servers.alpaca.member import BadRequest, error_number
from servers.alpaca.picture_answer import send_bytes, send_json, wants_bytes
from servers.alpaca.settings import AlpacaSettings

#: The longest body, bytes.
MOST_BODY: Final = 1 << 16
#: So many pictures are on their way at once; each takes its size in memory.
MOST_PICTURES: Final = 4

log = logging.getLogger("diptych.alpaca")


class Application:
    """The paths of one Alpaca server.

    Args:
        devices: asked at each request: those that there are now.
        connections: how many there are now.
    """

    def __init__(
        self, devices: Callable[[], Sequence[AlpacaDevice]], settings: AlpacaSettings, connections: Callable[[], int]
    ) -> None:
        self._devices, self._settings, self._connections = devices, settings, connections
        self._number = 0
        self._pictures = asyncio.Semaphore(MOST_PICTURES)
        self.web = web.Application(client_max_size=MOST_BODY, middlewares=[self._guard])
        for path, work in (
            ("/", self._page),
            ("/setup", self._page),
            ("/setup/v1/{kind}/{number}/setup", self._page),
            ("/management/apiversions", self._api_versions),
            ("/management/v1/description", self._description),
            ("/management/v1/configureddevices", self._configured_devices),
        ):
            self.web.router.add_get(path, work)
        self.web.router.add_get("/api/v1/{kind}/{number}/{member}", self._member, allow_head=False)
        self.web.router.add_put("/api/v1/{kind}/{number}/{member}", self._member)

    # Who may --------------------------------------------------------------------------------------------------------

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        given = self._settings
        if self._connections() > given.connections:
            answer = web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text="too many connections")
            answer.force_close()
            return answer
        # A page of another site must not take exposures through its reader's browser.
        foreign = request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
        if foreign or not (given.token or _is_address(request.host, given.names)):
            return web.Response(status=HTTPStatus.FORBIDDEN, text=f"{request.host[:80]} is not a name of this server")
        if given.token and not hmac.compare_digest(_said(request).encode(), given.token.encode()):
            answer = web.Response(status=HTTPStatus.UNAUTHORIZED, text="a token is needed")
            answer.headers["WWW-Authenticate"] = 'Basic realm="Alpaca"'
            return answer
        try:
            found: web.StreamResponse = await handler(request)
        except BadRequest as error:
            return web.Response(status=HTTPStatus.BAD_REQUEST, text=str(error))
        except (web.HTTPException, ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            log.exception("%s %s", request.method, request.path)
            return web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR, text=f"{type(error).__name__}: {error}")
        return found

    # Members --------------------------------------------------------------------------------------------------------

    async def _member(self, request: web.Request) -> web.StreamResponse:
        kind, number, name = (request.match_info[each] for each in ("kind", "number", "member"))
        known = {(each.device_type.casefold(), str(each.number)): each for each in self._devices()}
        device = known.get((kind, number))
        if device is None:
            raise BadRequest(f"there is no device {kind[:40]} {number[:40]}")
        call = await read_call(request)
        member = device.member(name, is_put=call.is_put)
        if member is None:
            raise BadRequest(f"a {kind} has no member {name[:40]} for {request.method}")
        server = self._next()
        try:
            with asked_by(f"alpaca {request.remote}"):
                value = await device.answer(member, call)
            if isinstance(value, np.ndarray):
                async with self._pictures:
                    send = send_bytes if wants_bytes(request) else send_json
                    return await send(request, value, call.transaction, server)
        except DiptychError as error:
            log.debug("%s %s %s: %s: %s", request.method, kind, name, reason(error), error)
            # Also where a picture was asked for: alpyca cannot read an error as ImageBytes.
            return self._answer(call, server, None, error_number(error), str(error))
        return self._answer(call, server, value)

    def _answer(self, call: Call, server: int, value: Any, error: int = 0, text: str = "") -> web.Response:
        answer: dict[str, Any] = {} if value is None else {"Value": value}
        answer |= {
            "ClientTransactionID": call.transaction,
            "ServerTransactionID": server,
            "ErrorNumber": int(error),
            "ErrorMessage": text,
        }
        return web.Response(text=json.dumps(answer, allow_nan=False), content_type="application/json")

    def _next(self) -> int:
        self._number = self._number % MOST_NUMBER + 1
        return self._number

    # Management -----------------------------------------------------------------------------------------------------

    async def _managed(self, request: web.Request, value: Any) -> web.Response:
        return self._answer(await read_call(request), self._next(), value)

    async def _api_versions(self, request: web.Request) -> web.Response:
        return await self._managed(request, [1])

    async def _description(self, request: web.Request) -> web.Response:
        about = {
            "ServerName": "Diptych",
            "Manufacturer": "Diptych",
            "ManufacturerVersion": own_version(),
            "Location": self._settings.location,
        }
        return await self._managed(request, about)

    async def _configured_devices(self, request: web.Request) -> web.Response:
        found = [
            {
                "DeviceName": each.device_name,
                "DeviceType": each.device_type,
                "DeviceNumber": each.number,
                "UniqueID": each.unique_id,
            }
            for each in self._devices()
        ]
        return await self._managed(request, found)

    async def _page(self, request: web.Request) -> web.Response:
        rows = "".join(
            f"<tr><td>{html.escape(each.device_name)}<td>{each.device_type} {each.number}" for each in self._devices()
        )
        text = (
            "<!doctype html><html lang=en><meta charset=utf-8><title>Alpaca server</title>"
            "<style>body{font:15px sans-serif;margin:2em}td{padding:2px 1em 2px 0}</style><h1>Alpaca server</h1>"
            f"<table>{rows}</table><p>What can be set up stands in the facility file; the devices have their own "
            "panels.</html>"
        )
        return web.Response(text=text, content_type="text/html")


def _is_address(host: str, names: Sequence[str]) -> bool:
    """Whether a client asked for this server by an address, which no name of another site can stand for."""
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost" or name in names:
        return True
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True


def _said(request: web.Request) -> str:
    """The token that a client says, as a bearer's or as the password of anybody."""
    scheme, _, words = request.headers.get("Authorization", "").partition(" ")
    if scheme.casefold() == "bearer":
        return words.strip()
    try:
        return base64.b64decode(words, validate=True).decode().partition(":")[2] if scheme.casefold() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        return ""
