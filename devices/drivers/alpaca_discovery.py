"""Who is there: Alpaca servers answer a question by UDP with the port of their HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Final

from devices.core.errors import NotConnectedError
from devices.core.json_text import read_json_text

DISCOVERY_PORT: Final = 32227
QUESTION: Final = b"alpacadiscovery1"
#: Everybody on the networks of this host, and this host.
EVERYBODY: Final = ("255.255.255.255", "127.0.0.1")


def answer_of(question: bytes, port: int) -> bytes | None:
    """What a server whose HTTP is on `port` answers; None: nothing, for it was not asked.

    Later versions of the question begin as this one does.
    """
    if not question.startswith(QUESTION[:-1]) or not question[len(QUESTION) - 1 :][:1].isdigit():
        return None
    return json.dumps({"AlpacaPort": port}).encode()


async def discover(
    seconds: float = 1.0, addresses: Iterable[str] = EVERYBODY, port: int = DISCOVERY_PORT
) -> list[tuple[str, int]]:
    """Host and HTTP port of each Alpaca server that answered within some seconds, sorted.

    Raises:
        NotConnectedError: nobody could be asked: there is no network.
    """
    asked = list(addresses)
    loop = asyncio.get_running_loop()
    transport, listener = await loop.create_datagram_endpoint(
        _Listener,
        local_addr=("0.0.0.0", 0),  # noqa: S104 - a question to everybody leaves by every network  # nosec B104
        allow_broadcast=True,
    )
    try:
        for address in asked:
            transport.sendto(QUESTION, (address, port))
        await asyncio.sleep(seconds)
    finally:
        transport.close()
    if len(listener.problems) >= len(asked):
        raise NotConnectedError(f"no Alpaca server can be asked for: {listener.problems[0]}")
    return sorted(listener.found)


class _Listener(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.found: set[tuple[str, int]] = set()
        self.problems: list[OSError] = []

    def error_received(self, exc: Exception) -> None:
        if isinstance(exc, OSError):
            self.problems.append(exc)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        # Whoever answers something else is no Alpaca server.
        try:
            port = int(read_json_text(data)["AlpacaPort"])
        except (ValueError, LookupError, TypeError, OverflowError):
            return
        if 0 < port < 1 << 16:
            self.found.add((addr[0], port))
