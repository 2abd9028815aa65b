"""XPA: how programs for images (SAOImage DS9) are asked and told, over TCP, through their name server.

As observed between the programs of xpa-tools 2.1.20 and ds9 8.4.1: a request is a line on a connection of its own; its
answer is the ticket of a second connection, for the data, and then a line that says how it went.
"""

from __future__ import annotations

import asyncio
import builtins
import os
import re
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final, Literal, TypeVar

from devices.core.errors import (
    BadValueError,
    NotConnectedError,
    ProtocolError,
    RefusedError,
    StorageError,
    TimeoutError,
)

#: Where the name server listens, unless XPA_NSINET says otherwise.
NAME_SERVER_PORT: Final = 14285
#: Nothing that is asked for here is larger, bytes.
MOST_BYTES: Final = 64 << 20
VERSION: Final = "2.1.20"
_CHUNK_BYTES: Final = 1 << 20
_POINT: Final = re.compile(r"(\S+) (\S+) ([gsi]+) (\S+) (\S+)")
_METHOD: Final = re.compile(r"([0-9a-f]{1,8}):(\d{1,5})", re.IGNORECASE)
_TICKET: Final = re.compile(r"XPA\$DATA connect (\S+ \S+)")
_VERDICT: Final = re.compile(r"(?:\S+ )?XPA\$(OK|ERROR|MESSAGE|WARNING) ?(.*?)(?: ?\([^()]*\))?$")

T = TypeVar("T")
Kind = Literal["get", "set"]


@dataclass(frozen=True)
class AccessPoint:
    """A program that can be asked.

    Attributes:
        name: CLASS:NAME, as DS9:ds9; ``*`` is any.
        timeout_s: the longest time in which nothing moves.
    """

    host: str
    port: int
    name: str = "*:*"
    timeout_s: float = 10.0

    def __str__(self) -> str:
        return f"{self.name} {self.host}:{self.port}"

    async def get(self, words: str, timeout_s: float | None = None) -> bytes:
        """Ask for something.

        Args:
            timeout_s: how long to wait for it; None: as for everything.

        Raises:
            RefusedError: with the program's words. ProtocolError: this is no XPA, or it answers too much.
            NotConnectedError, TimeoutError: it is not there, or does not answer. BadValueError: not one line.
        """
        async with self._connected() as line:
            ticket = await self._ask(line, f"xpaget -e little -i g0 {self.name} {words}")
            async with self._connected() as channel:
                channel.write(ticket)
                found = await self._within(_all_of(channel, self.name), timeout_s)
            await self._check(line)
        return found

    async def set(self, words: str, data: bytes | Path = b"") -> None:
        """Tell something, with data or with the content of a file.

        Raises:
            StorageError: the file cannot be read. The others: as for `get`.
        """
        async with self._connected() as line:
            ticket = await self._ask(line, f"xpaset -e little -i s0 {self.name} {words}")
            async with self._connected() as channel:
                channel.write(ticket)
                await self._send(channel, data)
            await self._check(line)

    async def _ask(self, line: _Channel, request: str) -> bytes:
        """Send a request; what opens the connection for its data."""
        if not request.isprintable():
            raise BadValueError(f"{request!r} is not one line of text")
        line.write(f"{request}\n".encode())
        answer = await self._within(line.line())
        ticket = _TICKET.search(answer)
        if ticket is None:
            self._judge(answer)
            raise ProtocolError(f"{self} answered {answer!r:.80} instead of a ticket")
        return f"xpadata -f {ticket[1]}\n".encode()

    async def _check(self, line: _Channel) -> None:
        self._judge(await self._within(line.line()))

    def _judge(self, answer: str) -> None:
        verdict = _VERDICT.match(answer)
        if verdict is None:
            raise ProtocolError(f"{self} answered {answer!r:.80}, which is not XPA")
        if verdict[1] == "ERROR":
            raise RefusedError(f"{self.name} refuses: {verdict[2]}")

    async def _send(self, channel: _Channel, data: bytes | Path) -> None:
        if isinstance(data, bytes):
            channel.write(data)
            await self._within(channel.drain())
            return
        try:
            with await asyncio.to_thread(open, data, "rb") as file:
                while content := await asyncio.to_thread(file.read, _CHUNK_BYTES):
                    channel.write(content)
                    await self._within(channel.drain())
        except ConnectionError:
            raise
        except OSError as error:
            if error.filename is None:
                raise
            raise StorageError(f"{data} cannot be read: {error.strerror}") from error

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[_Channel]:
        async with _channel(self.host, self.port, self.timeout_s, str(self)) as channel:
            yield channel

    async def _within(self, step: Awaitable[T], seconds: float | None = None) -> T:
        return await _within(step, self.timeout_s if seconds is None else seconds, str(self))


@dataclass(frozen=True)
class NameServer:
    """Where programs say that they can be asked (xpans); ds9 starts one on its host."""

    host: str = "127.0.0.1"
    port: int = NAME_SERVER_PORT
    timeout_s: float = 10.0

    async def look_up(self, template: str, kind: Kind = "set") -> list[AccessPoint]:
        """The programs of this name, CLASS:NAME, both with ``*`` for anything.

        Raises:
            NotConnectedError, TimeoutError: it is not there. ProtocolError: it is no name server.
        """
        if not template.isprintable() or " " in template:
            raise BadValueError(f"{template!r} is not a name")
        where = f"XPA name server {self.host}:{self.port}"
        found = []
        async with _channel(self.host, self.port, self.timeout_s, where) as channel:
            channel.write(f"version {VERSION}\nlookup {template} {kind[0]} *\n".encode())
            while not (line := await _within(channel.line(), self.timeout_s, where)).startswith("XPA$OK"):
                if line.startswith("XPA$ERROR"):
                    break  # it knows none
                point = _POINT.match(line)
                if point is None:
                    if not line.startswith("XPA$VERSION"):
                        raise ProtocolError(f"{where} answered {line!r:.80}")
                elif method := _METHOD.fullmatch(point[4]):
                    name = f"{point[1]}:{point[2]}"
                    host = str(IPv4Address(int(method[1], 16)))
                    found.append(AccessPoint(host, int(method[2]), name, self.timeout_s))
        return found

    async def find(self, template: str) -> AccessPoint:
        """The first one.

        Raises:
            NotConnectedError: there is none that listens on TCP. The others: as for `look_up`.
        """
        found = await self.look_up(template)
        if not found:
            raise NotConnectedError(f"the XPA name server at {self.host}:{self.port} knows no {template} on TCP")
        return found[0]


class _Channel:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, where: str) -> None:
        self._reader, self._writer, self._where = reader, writer, where

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def drain(self) -> None:
        await self._writer.drain()

    async def line(self) -> str:
        try:
            return (await self._reader.readuntil(b"\n")).decode(errors="replace").rstrip("\r\n")
        except asyncio.IncompleteReadError as error:
            raise NotConnectedError(f"{self._where} went away without an answer") from error
        except asyncio.LimitOverrunError as error:
            raise ProtocolError(f"{self._where} does not end its line") from error

    async def read(self) -> bytes:
        return await self._reader.read(_CHUNK_BYTES)


async def _all_of(channel: _Channel, name: str) -> bytes:
    parts, size = [], 0
    while part := await channel.read():
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise ProtocolError(f"{name} answers more than {MOST_BYTES} bytes")
    return b"".join(parts)


@asynccontextmanager
async def _channel(host: str, port: int, timeout_s: float, where: str) -> AsyncIterator[_Channel]:
    try:
        reader, writer = await _within(asyncio.open_connection(host, port), timeout_s, where)
        try:
            yield _Channel(reader, writer, where)
        except BaseException:
            writer.transport.abort()  # what the other end did not take is not worth waiting for
            raise
        writer.close()
    except (NotConnectedError, StorageError, TimeoutError):
        raise
    except OSError as error:
        raise NotConnectedError(f"{where}: {os.strerror(error.errno) if error.errno else error}") from error


async def _within(step: Awaitable[T], seconds: float, where: str) -> T:
    try:
        return await asyncio.wait_for(step, seconds)
    except builtins.TimeoutError:
        raise TimeoutError(f"{where}: nothing came for {seconds:g} s") from None
