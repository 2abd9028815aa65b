"""Real sockets for parsers that are part of a connection: a loop of its own, a peer that says what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")
PATIENCE_S = 0.3


@cache
def loop() -> asyncio.AbstractEventLoop:
    """A loop that turns in a thread until the process ends."""
    made = asyncio.new_event_loop()
    threading.Thread(target=made.run_forever, name="fuzz", daemon=True).start()
    return made


def wait(work: Coroutine[Any, Any, T], seconds: float = 60.0) -> T:
    """The result of a coroutine that runs in the loop."""
    return asyncio.run_coroutine_threadsafe(work, loop()).result(seconds)


class Peer:
    """A server that waits for the first words of a client, says its own, and hangs up."""

    def __init__(self) -> None:
        self.says = b""
        self.port = wait(self._start())

    async def _start(self) -> int:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            await asyncio.wait_for(reader.read(65536), PATIENCE_S)
            writer.write(self.says)
            await writer.drain()
        writer.close()


@cache
def peer() -> Peer:
    """The one peer; parsers are fed one after the other."""
    return Peer()


def asked(says: bytes, client: Callable[[int], Coroutine[Any, Any, Any]]) -> Any:
    """What a client makes of an answer.

    Args:
        client: connects to a port of this host, asks, and returns or raises.
    """
    peer().says = says
    return wait(client(peer().port))


def http(body: bytes, kind: str = "application/json") -> bytes:
    """An answer of a web server."""
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def said(port: int, data: bytes, seconds: float = PATIENCE_S, *, ends: bool = True) -> bytes:
    """What a server answers until it hangs up or is silent.

    Args:
        ends: whether the server is told that nothing follows.
    """
    found = b""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5.0) as link:
        link.settimeout(seconds)
        link.sendall(data)
        if ends:
            link.shutdown(socket.SHUT_WR)
        while piece := link.recv(65536):
            found += piece
    return found
