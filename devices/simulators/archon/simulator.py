"""The sockets of the simulated Archon.

async with ArchonSimulator(columns=64, rows=48) as simulator:
    ... connect to 127.0.0.1, simulator.port ...
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Coroutine, Mapping
from typing import Any, Self

import numpy as np

from devices.simulators.archon.commands import ArchonController, Refused
from devices.simulators.archon.frames import BLOCK, HEAD
from devices.simulators.archon.settings import ArchonSettings, Faults

SENT_AT_ONCE = 1024
"""Blocks of a fetch; faults come between."""

LONGEST = 65536
"""A line that is longer ends the connection, bytes."""

_FETCH = re.compile(rb">[0-9A-F]{2}FETCH[0-9A-F]{16}\s*$", re.IGNORECASE)


class ArchonSimulator:
    """One simulated Archon and its socket.

    Args:
        options: as `ArchonSettings` has them.
    Attributes:
        controller: the state behind the socket, for tests to look at and to change.
        stall: set when a fetch has stopped in its middle (``faults.stall_in_fetch``).
    """

    def __init__(self, **options: object) -> None:
        self.settings = ArchonSettings.of(options)
        self.controller = ArchonController(self.settings)
        self._socket: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients: set[socket.socket] = set()

    @property
    def faults(self) -> Faults:
        return self.controller.faults

    @property
    def port(self) -> int:
        assert self._socket is not None, "not started"
        return int(self._socket.getsockname()[1])

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, port: int = 0) -> None:
        """Listen; 0 takes a free port."""
        self._socket = socket.create_server((self.settings.host, port))
        self._socket.setblocking(False)
        self.controller.start()
        self._keep(self._accept(self._socket))

    async def stop(self) -> None:
        """Close everything."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.controller.close()
        if self._socket is not None:
            self._socket.close()

    def drop_connections(self) -> None:
        """Hang up on everybody."""
        for client in list(self._clients):
            client.shutdown(socket.SHUT_RDWR)

    async def _accept(self, listening: socket.socket) -> None:
        while True:
            client, _ = await asyncio.get_running_loop().sock_accept(listening)
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._keep(self._serve(client))

    async def _serve(self, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._clients.add(client)
        rest = b""
        try:
            while (data := await loop.sock_recv(client, LONGEST)) and len(rest) < LONGEST:
                *lines, rest = (rest + data).split(b"\n")
                replies = bytearray()
                for line in lines:
                    if _FETCH.match(line):
                        await loop.sock_sendall(client, replies)
                        replies.clear()
                        if not await self._fetch(client, line):
                            return
                    else:
                        replies += await self._reply(line)
                await loop.sock_sendall(client, replies)
        except OSError:
            pass  # the client has gone, which is its right
        finally:
            self._clients.discard(client)
            client.close()

    async def _reply(self, line: bytes) -> bytes:
        """The bytes that answer one line."""
        if self.faults.delay_s:
            await asyncio.sleep(self.faults.delay_s)
        text = line.decode("latin-1").rstrip("\r")
        if self.faults.mute or not text.startswith(">") or not _is_reference(text[1:3]):
            return b""
        reference, command = text[1:3].upper(), text[3:]
        try:
            answer = self.controller.answer(command)
        except Refused:
            return f"?{reference}\n".encode("ascii")
        if command in ("APPLYALL", "APPLYCDS"):
            self._keep(self.controller.prepare())
        if answer is None:
            if command in ("REBOOT", "WARMBOOT"):
                self.controller.reboot()
                self.drop_connections()
            return b""
        return f"<{reference}{answer}\n".encode("latin-1")

    async def _fetch(self, client: socket.socket, line: bytes) -> bool:
        """Send blocks; False: nothing more is to come."""
        loop = asyncio.get_running_loop()
        text = line.decode("ascii").upper()
        reference, address, count = text[1:3], int(text[8:16], 16), int(text[16:24], 16)
        self.controller.commands.append(text[3:24])
        if self.faults.mute:
            return True
        if not count or "FETCH" in self.faults.refused:
            await loop.sock_sendall(client, f"?{reference}\n".encode("ascii"))
            return True
        blocks = self.controller.frames.blocks(address, count)
        head = np.frombuffer(f"<{reference}:".encode("ascii"), np.uint8)
        for first in range(0, count, SENT_AT_ONCE):
            part = blocks[first : first + SENT_AT_ONCE]
            part[:, :HEAD] = head
            faulty = first + part.shape[0] > count // 2
            if faulty and self.faults.drop_in_fetch:
                return False
            if faulty and self.faults.stall_in_fetch:
                await loop.sock_sendall(client, part.data.cast("B")[: BLOCK // 2])
                await asyncio.Event().wait()
            await loop.sock_sendall(client, part.data.cast("B"))
        return True

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _is_reference(text: str) -> bool:
    return len(text) == 2 and all(sign in "0123456789ABCDEFabcdef" for sign in text)


async def run(port: int, options: Mapping[str, object]) -> None:
    """Simulate until cancelled.

    Args:
        options: as `ArchonSettings` has them.
    Raises:
        ConfigurationError: wrong options, all of them. OSError: the port is taken.
    """
    simulator = ArchonSimulator(**options)
    try:
        await simulator.start(port)
        await asyncio.Event().wait()
    finally:
        await simulator.stop()
