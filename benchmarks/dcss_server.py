"""A hardware server of the benchmark: ``python -m benchmarks.dcss_server ours|plain PORT``, until its input ends."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import time

from devices.dcss.dhs_link import DhsLink
from devices.dcss.handler import DhsHandler, Message, Sender
from devices.dcss.operation import DhsOperations, OperationCall

BUSY_S = 8.0


class Operations(DhsHandler):
    """``noop`` gives back its arguments, ``busy`` calculates in a thread, as Python does, without a break."""

    def __init__(self) -> None:
        self._operations = DhsOperations(logging.getLogger("benchmark"))
        self._operations.add("noop", self._noop)
        self._operations.add("busy", self._busy)

    def logged_in(self, sender: Sender) -> None:
        self._sender = sender

    def lost(self, reason: str) -> None:
        self._operations.lost()

    def take(self, message: Message) -> None:
        if message.command == "stoh_start_operation":
            self._operations.start(message, self._sender)

    async def _noop(self, call: OperationCall) -> tuple[str, ...]:
        return call.words

    async def _busy(self, call: OperationCall) -> None:
        await asyncio.to_thread(_calculate, time.monotonic() + BUSY_S)


def _calculate(end: float) -> None:
    while time.monotonic() < end:
        sum(number * number for number in range(1000))


async def ours(port: int) -> None:
    link = DhsLink("127.0.0.1", port, "loop", Operations())
    await link.start()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await link.stop()


def plain(port: int) -> None:
    """No operations, no checks, no return after a loss: what a blocking socket in Python can do at best."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = connection.makefile("rb")
        stream.read(200)
        connection.sendall(b"htos_client_is_hardware loop".ljust(200, b"\0"))
        while header := stream.read(26):
            words = stream.read(int(header[:12])).rstrip(b"\n\0").split(b" ")
            if words[0] == b"stoh_start_operation":
                text = b" ".join([b"htos_operation_completed", words[1], words[2], b"normal", *words[3:]]) + b"\0"
                connection.sendall(b"%12d %12d %s" % (len(text), 0, text))


if __name__ == "__main__":
    if sys.argv[1] == "plain":
        plain(int(sys.argv[2]))
    else:
        asyncio.run(ours(int(sys.argv[2])))
