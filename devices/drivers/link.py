"""Byte links to an instrument: TCP, UDP and serial lines behind one asyncio interface.

A link carries bytes and knows nothing of what they mean. One owner asks one question at a time; who may speak next is
the owner's business. After any error but ``TimeoutError`` and ``ProtocolError`` the link is dead: open a new one.
"""

from __future__ import annotations

import asyncio
import builtins
import os
import socket
from collections import deque
from typing import cast
from urllib.parse import urlsplit

from devices.core.errors import BadValueError, NotConnectedError, ProtocolError, TimeoutError
from devices.drivers.link_base import LINE_LIMIT, Link
from devices.drivers.link_serial import SERIAL_SCHEMES, SerialLink, open_serial

__all__ = ["LINE_LIMIT", "Link", "SerialLink", "TcpLink", "UdpLink", "open_link"]

DATAGRAMS_KEPT = 256
"""Unread datagrams beyond this number push the oldest out, as a kernel's own queue would do."""


class TcpLink(Link, asyncio.Protocol):
    """A TCP connection."""

    _transport: asyncio.Transport

    def __init__(self, url: str, timeout: float) -> None:
        super().__init__(url, timeout)
        self._writable = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._writable.set()
        # An instrument that loses its power says nothing; probes make the operating system find out.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        self._feed(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose("closed by the instrument" if exc is None else f"lost: {_reason(exc)}")
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _let_come(self, more: bool) -> None:
        if self._transport.is_closing():
            return
        if more:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    async def _send(self, data: bytes) -> None:
        self._transport.write(data)
        await self._writable.wait()

    async def _close(self) -> None:
        self._transport.abort()


class UdpLink(Link, asyncio.DatagramProtocol):
    """A connected UDP socket: one datagram, one message."""

    datagrams = True
    _transport: asyncio.DatagramTransport

    def __init__(self, url: str, timeout: float) -> None:
        super().__init__(url, timeout)
        self._messages: deque[bytes] = deque(maxlen=DATAGRAMS_KEPT)
        self._refusal: NotConnectedError | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own class for it is no DatagramTransport in Python 3.11.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._messages.append(data)
        self._arrival.set()

    def error_received(self, exc: Exception) -> None:
        # Nobody listens there now; the socket stays good for the next question.
        self._refusal = NotConnectedError(f"{self.url}: {_reason(exc)} {self._context()}")
        self._arrival.set()

    async def read_until(
        self, terminator: bytes = b"\n", limit: int = LINE_LIMIT, timeout: float | None = None
    ) -> bytes:
        message = await self._awaited(self._message, limit, timeout)
        if len(message) > limit:
            raise ProtocolError(f"{self.url}: {len(message)} bytes, more than {limit}, {self._context()}")
        return message.removesuffix(terminator)

    async def read_exactly(self, count: int, timeout: float | None = None) -> bytes:
        message = await self._awaited(self._message, count, timeout)
        if len(message) != count:
            raise ProtocolError(f"{self.url}: {len(message)} bytes instead of {count} {self._context()}")
        return message

    async def drain(self) -> int:
        await asyncio.sleep(0)
        stale = sum(map(len, self._messages))
        self._messages.clear()
        self._refusal = None
        return stale

    def _message(self) -> bytes | None:
        if self._messages:
            return self._messages.popleft()
        if self._refusal is not None:
            refusal, self._refusal = self._refusal, None
            raise refusal
        return None

    def _let_come(self, more: bool) -> None:
        """The queue is bounded already."""

    async def _send(self, data: bytes) -> None:
        self._transport.sendto(data)

    async def _close(self) -> None:
        self._transport.abort()


async def open_link(url: str, *, timeout: float = 2.0) -> Link:
    """Open the link that a URL names.

    Args:
        url: ``tcp://host:port``, ``udp://host:port``, ``serial:///dev/ttyUSB0?baudrate=9600``, a plain device name
            such as ``/dev/ttyUSB0``, or one of pyserial's ``socket://host:port`` and ``rfc2217://host:port``.
        timeout: the bound of opening, and the link's default bound of one read or write, in s.
    Raises:
        BadValueError: the URL is not of these kinds.
        NotConnectedError: refused, unreachable, or no such device.
        TimeoutError: no answer to the attempt to connect.
    """
    parts = urlsplit(url)
    if parts.scheme in SERIAL_SCHEMES:
        return await open_serial(url, timeout)
    if parts.scheme not in ("tcp", "udp"):
        raise BadValueError(f"url = {url!r} begins with none of tcp, udp, serial, socket, rfc2217, /dev/")
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadValueError(f"url = {url!r}: {error}") from None
    if not host or not port:
        raise BadValueError(f"url = {url!r} is not {parts.scheme}://host:port")
    loop = asyncio.get_running_loop()
    link: TcpLink | UdpLink
    try:
        async with asyncio.timeout(timeout):
            if parts.scheme == "tcp":
                _, link = await loop.create_connection(lambda: TcpLink(url, timeout), host, port)
            else:
                _, link = await loop.create_datagram_endpoint(lambda: UdpLink(url, timeout), remote_addr=(host, port))
    except builtins.TimeoutError:
        raise TimeoutError(f"{url}: no connection within {timeout:g} s") from None
    except OSError as error:
        raise NotConnectedError(f"{url}: {_reason(error)}") from None
    return link


def _reason(error: BaseException) -> str:
    """The bare reason of an operating system's error, without asyncio's repetition of the address."""
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__
