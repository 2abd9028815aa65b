"""Takes pictures by HTTP: the body of a POST, or the parts of a form."""

from __future__ import annotations

import asyncio
import builtins
import ipaddress
import logging
import time
from dataclasses import dataclass
from typing import Final

from aiohttp import BodyPartReader, MultipartReader, web

from devices.core.errors import BadValueError, NotConnectedError
from devices.dcss.loop_frames import FrameInlet

log = logging.getLogger("diptych.axis")

METHODS: Final = ("POST", "PUT")
#: Parts of one form.
MAX_PARTS: Final = 16
SWEEP_S: Final = 0.5


@dataclass(frozen=True)
class AxisSettings:
    """Where pictures are taken, and how large and slow they may be.

    Attributes:
        host, port: to listen on.
        path: that is posted to; "": any.
        body_bytes: of one request.
        request_s: from the first byte of a request to its last. idle_s: between requests, and before the first.
        connections: at the same time; more are closed at once.
        cameras: addresses or networks that may post; none: all.
    """

    host: str = "127.0.0.1"
    port: int = 9000
    path: str = ""
    body_bytes: int = 16 << 20
    request_s: float = 5.0
    idle_s: float = 10.0
    connections: int = 32
    cameras: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()


class AxisReceiver:
    """Listens for pictures; one request never waits for another.

    Attributes:
        address: where it listens. turned_away: connections beyond the limit. timed_out: those that were too slow.
    """

    def __init__(self, inlet: FrameInlet, settings: AxisSettings) -> None:
        self._inlet, self._settings = inlet, settings
        self._server: asyncio.Server | None = None
        # Idle connections are closed here, and counted; so are those whose client does not stop after a refusal.
        self._http = web.Server(
            self._answer, access_log=None, keepalive_timeout=2.0 * settings.idle_s + SWEEP_S, lingering_time=0.2
        )
        #: Connections between requests: since when.
        self._idle: dict[asyncio.BaseProtocol, float] = {}
        #: Those that the server does not know yet.
        self._new: set[asyncio.BaseProtocol] = set()
        self._sweeping: asyncio.Task[None] | None = None
        self.address = (settings.host, settings.port)
        self.turned_away = self.timed_out = 0

    async def start(self) -> None:
        """Listen.

        Raises:
            NotConnectedError: the port is taken.
        """
        given = self._settings
        try:
            self._server = await asyncio.get_running_loop().create_server(self._connected, given.host, given.port)
        except OSError as error:
            raise NotConnectedError(f"pictures are not taken at {given.host}:{given.port}: {error.strerror}") from error
        self.address = self._server.sockets[0].getsockname()[:2]
        self._sweeping = asyncio.create_task(self._sweep(), name="axis connections")
        log.info("pictures are taken at %s:%d", *self.address)

    async def stop(self) -> None:
        """Listen no more, and close what is open."""
        if self._server is not None:
            self._server.close()
        if self._sweeping is not None:
            self._sweeping.cancel()
        await self._http.shutdown(0.5)

    def _connected(self) -> asyncio.BaseProtocol:
        if len(self._open) >= self._settings.connections:
            self.turned_away += 1
            return _TurnedAway()
        protocol = self._http()
        self._new.add(protocol)
        # Behind ``connection_made``, by which the server knows it.
        asyncio.get_running_loop().call_later(0.0, self._new.discard, protocol)
        self._idle[protocol] = time.monotonic()
        return protocol

    @property
    def _open(self) -> set[asyncio.BaseProtocol]:
        return self._new.union(self._http.connections)

    async def _sweep(self) -> None:
        """Close connections that say nothing: one that never sends its request, or half of its head."""
        while True:
            await asyncio.sleep(SWEEP_S)
            alive = self._open
            self._idle = {each: since for each, since in self._idle.items() if each in alive}
            late = time.monotonic() - self._settings.idle_s
            for each in [each for each, since in self._idle.items() if since < late]:
                assert isinstance(each, web.RequestHandler)
                if each.transport is not None and not each.transport.is_closing():
                    self.timed_out += 1
                    each.transport.abort()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        protocol = request.protocol
        self._idle.pop(protocol, None)
        try:
            async with asyncio.timeout(self._settings.request_s):
                return await self._take(request)
        except builtins.TimeoutError:
            self.timed_out += 1
            return self._refuse(408, f"no whole request within {self._settings.request_s:g} s")
        except web.HTTPRequestEntityTooLarge:
            return self._refuse(413, f"a request of more than {self._settings.body_bytes} byte")
        except BadValueError as error:
            return _text(415, str(error))
        except (ValueError, web.HTTPException) as error:
            return self._refuse(400, f"a request that is none: {error}")
        finally:
            self._idle[protocol] = time.monotonic()

    async def _take(self, request: web.BaseRequest) -> web.StreamResponse:
        if not self._may(request.remote):
            return self._refuse(403, f"{request.remote} is no camera of ours")
        if self._settings.path and request.path != self._settings.path:
            return self._refuse(404, f"{request.path:.80} is not {self._settings.path}")
        if request.method not in METHODS:
            response = self._refuse(405, f"{request.method} is none of {', '.join(METHODS)}")
            response.headers["Allow"] = ", ".join(METHODS)
            return response
        if (request.content_length or 0) > self._settings.body_bytes:
            return self._refuse(
                413, f"a request of {request.content_length} byte, more than {self._settings.body_bytes}"
            )
        if (expected := request.headers.get("Expect", "")).lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        elif expected:
            return self._refuse(417, f"Expect: {expected:.40} is not known")
        if request.content_type.startswith("multipart/"):
            images = await self._parts(request)
        else:
            images = [await self._body(request)]
        numbers = [self._inlet.take(image).sequence for image in images]
        return _text(200, " ".join(map(str, numbers)))

    async def _body(self, request: web.BaseRequest) -> bytes:
        """The body, of known length or chunked."""
        found = bytearray()
        async for chunk in request.content.iter_any():
            found += chunk
            self._check_size(len(found))
        return bytes(found)

    async def _parts(self, request: web.BaseRequest) -> list[bytes]:
        """The pictures of a form; fields of text beside them do not matter."""
        try:
            reader = MultipartReader(request.headers, request.content)
        except (ValueError, AssertionError) as error:
            raise ValueError(f"{request.headers.get('Content-Type', ''):.80}: {error}") from None
        found: list[bytes] = []
        size = 0
        for _ in range(MAX_PARTS):
            part = await reader.next()
            if part is None:
                break
            if not isinstance(part, BodyPartReader):
                raise ValueError("a form within a form")
            data = bytearray()
            while chunk := await part.read_chunk(65536):
                data += chunk
                self._check_size(size + len(data))
            size += len(data)
            kind = part.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if kind.startswith("image/") or part.filename:
                found.append(bytes(data))
        if not found:
            raise self._inlet.refuse("a form without a picture")
        return found

    def _check_size(self, size: int) -> None:
        if size > self._settings.body_bytes:
            raise web.HTTPRequestEntityTooLarge(self._settings.body_bytes, size)

    def _may(self, remote: str | None) -> bool:
        cameras = self._settings.cameras
        return not cameras or (remote is not None and any(ipaddress.ip_address(remote) in each for each in cameras))

    def _refuse(self, status: int, why: str) -> web.Response:
        self._inlet.refuse(why)
        response = _text(status, why)
        # What is left of the request is not worth reading.
        response.force_close()
        return response


class _TurnedAway(asyncio.Protocol):
    """A connection beyond the limit."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


def _text(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=f"{text}\n")
