"""Discovery of an Alpaca server: who asks by UDP is told its port."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Final, cast

from devices.drivers.alpaca_discovery import answer_of

#: Where questions on this host alone are heard: to it, and to all of its network.
LOOPBACK: Final = ("127.0.0.1", "127.255.255.255")
EVERYWHERE: Final = ("0.0.0.0",)  # noqa: S104 - a socket on one address hears no broadcasts  # nosec B104


class Discovery:
    """Answers questions for Alpaca servers.

    Several servers of a host can share the port: a broadcast reaches all of them.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._transports: list[asyncio.DatagramTransport] = []

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the UDP port.

        Args:
            host: that the server listens on; unless it is loopback, questions of all networks are heard.
            port: 0 is any.
        Raises:
            OSError: it cannot.
        """
        loop = asyncio.get_running_loop()
        for address in LOOPBACK if host.startswith("127.") or host == "localhost" else EVERYWHERE:
            found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            with contextlib.ExitStack() as undo:
                undo.callback(found.close)
                found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                found.setblocking(False)
                found.bind((address, port))
                port = int(found.getsockname()[1])
                transport, _ = await loop.create_datagram_endpoint(lambda: _Answering(self._port), sock=found)
                self._transports.append(transport)
                undo.pop_all()
        return port

    def stop(self) -> None:
        """Listen no more."""
        while self._transports:
            self._transports.pop().close()


class _Answering(asyncio.DatagramProtocol):
    def __init__(self, port: int) -> None:
        self._port = port
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = answer_of(data, self._port)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)
