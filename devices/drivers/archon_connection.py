"""One TCP connection to an Archon: messages with reference numbers, many under way, each with its time limit."""

from __future__ import annotations

import asyncio
import builtins
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError, NotConnectedError, ProtocolError, RefusedError, TimeoutError
from devices.drivers.archon_replies import BlockSink, ReplyReader
from devices.drivers.archon_status import BLOCK

UNDER_WAY = 128
"""Messages of one batch that wait for their replies at the same time; there are 256 reference numbers."""

BlocksDone = Callable[[int], None]


class _Message:
    """A message that waits for its reply."""

    def __init__(self, command: str, reply: asyncio.Future[str]) -> None:
        self.command = command
        self.reply = reply
        self.blocks_done: BlocksDone | None = None


class ArchonConnection(asyncio.BufferedProtocol):
    """Sends messages and matches replies.

    A reference number is free again when its reply came, also when nobody waits for it any more: a late reply is never
    taken for that of another message.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self.url = url
        self.timeout = timeout
        self._transport: asyncio.Transport | None = None
        self._reader = ReplyReader(self._on_line, self._on_blocks)
        self._waiting: dict[int, _Message] = {}
        self._free = deque(range(256))
        self._failure: NotConnectedError | None = None
        self._writable = asyncio.Event()
        self._last_arrival = 0.0
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def open(cls, host: str, port: int, timeout: float) -> ArchonConnection:
        """Connect.

        Raises:
            NotConnectedError: refused or unreachable. TimeoutError: no answer.
        """
        url = f"archon://{host}:{port}"
        try:
            async with asyncio.timeout(timeout):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: cls(url, timeout), host, port
                )
        except builtins.TimeoutError:
            raise TimeoutError(f"{url}: no connection within {timeout:g} s") from None
        except OSError as error:
            raise NotConnectedError(f"{url}: {error.strerror or error}") from None
        return connection

    @property
    def connected(self) -> bool:
        return self._failure is None

    async def message(self, command: str, timeout: float | None = None) -> str:
        """Send one command; its reply.

        Raises:
            RefusedError: the controller answered ``?``. TimeoutError: it did not answer. NotConnectedError.
        """
        return await self._reply(self._send([command])[0], timeout)

    async def messages(self, commands: Sequence[str], timeout: float | None = None) -> list[str]:
        """Send many commands, in order, without waiting for each; their replies.

        Raises:
            as `message`, at the first that fails; commands that were sent already are carried out.
        """
        replies: list[str] = []
        under_way: deque[_Message] = deque()
        position = 0
        try:
            while position < len(commands) or under_way:
                room = min(UNDER_WAY - len(under_way), len(self._free))
                if position < len(commands) and room > 0:
                    under_way += self._send(commands[position : position + room])
                    position += room
                    await self._writable.wait()
                if not under_way:
                    raise self._exhausted()
                replies.append(await self._reply(under_way.popleft(), timeout))
                while under_way and under_way[0].reply.done():
                    replies.append(await self._reply(under_way.popleft(), timeout))
        finally:
            for message in under_way:
                message.reply.cancel()
        return replies

    def post(self, command: str) -> None:
        """Send a command whose reply does not matter, as the last word before the link is closed."""
        if self._failure is None and self._free:
            self._send([command])[0].reply.cancel()

    async def fetch(
        self, command: str, into: NDArray[np.uint8], stall_timeout: float, blocks_done: BlocksDone | None = None
    ) -> None:
        """Send a command that is answered by blocks, and take them.

        Args:
            into: uint8, (blocks * 1024,), contiguous.
            stall_timeout: the longest time without a byte, s.
            blocks_done: called with the number of blocks that came.
        Raises:
            TimeoutError: they stopped coming; the link is closed, since what follows could not be told apart.
            RefusedError, NotConnectedError.
        """
        if not into.size or into.size % BLOCK:
            raise BadValueError(f"into has {into.size} bytes, not whole blocks of {BLOCK}")
        if self._free:
            self._reader.sinks[self._free[0]] = BlockSink(self._free[0], into)
        message = self._send([command])[0]
        message.blocks_done = blocks_done
        try:
            await self._reply(message, stall_timeout)
        except TimeoutError as error:
            self._lose(str(error).removeprefix(f"{self.url}: "))
            raise

    def close(self) -> None:
        """Close; what waits for a reply raises NotConnectedError."""
        self._lose("closed on this side")

    # asyncio.BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer: socket.socket = transport.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._writable.set()

    def get_buffer(self, sizehint: int) -> Any:
        return self._reader.room()

    def buffer_updated(self, nbytes: int) -> None:
        self._last_arrival = self._loop.time()
        try:
            self._reader.received(nbytes)
        except ProtocolError as error:
            self._lose(str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose("closed by the controller" if exc is None else f"lost: {exc}")

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # Replies

    def _on_line(self, reference: int, refused: bool, text: str) -> None:
        message = self._waiting.get(reference)
        if message is None:
            raise ProtocolError(f"reply {reference:02X} to nothing that was asked: {text[:60]!r}")
        if not refused and reference in self._reader.sinks:
            raise ProtocolError(f"{message.command}: answered by text, {text[:60]!r}, not by blocks")
        self._end(reference)
        if message.reply.done():
            return
        if refused:
            why = f" ({text})" if text else ""
            message.reply.set_exception(RefusedError(f"{self.url}: the controller refused {message.command}{why}"))
        else:
            message.reply.set_result(text)

    def _on_blocks(self, sink: BlockSink) -> None:
        message = self._waiting[sink.reference]
        if message.blocks_done is not None and not message.reply.done():
            message.blocks_done(sink.done)
        if sink.done == sink.blocks:
            self._end(sink.reference)
            if not message.reply.done():
                message.reply.set_result("")

    def _end(self, reference: int) -> None:
        del self._waiting[reference]
        self._reader.sinks.pop(reference, None)
        self._free.append(reference)

    def _send(self, commands: Sequence[str]) -> list[_Message]:
        if self._failure is not None:
            raise NotConnectedError(f"{self._failure} (not sent: {commands[0][:80]})")
        if len(self._free) < len(commands):
            raise self._exhausted()
        for command in commands:
            if "\n" in command or max(command, default="") > "\xff":
                raise BadValueError(f"{command!r} cannot be sent to an Archon: it has other signs than Latin-1")
        sent, data = [], []
        for command in commands:
            reference = self._free.popleft()
            message = self._waiting[reference] = _Message(command, self._loop.create_future())
            sent.append(message)
            data.append(f">{reference:02X}{command}\n")
        assert self._transport is not None
        self._transport.write("".join(data).encode("latin-1"))
        return sent

    async def _reply(self, message: _Message, timeout: float | None) -> str:
        """Wait for a reply; while a fetch goes on, which the controller ends first, time counts from its last byte."""
        seconds = self.timeout if timeout is None else timeout
        end = self._loop.time() + seconds
        try:
            while not message.reply.done():
                await asyncio.wait({message.reply}, timeout=end - self._loop.time())
                if not message.reply.done() and self._loop.time() >= end:
                    if not (self._reader.sinks and self._last_arrival + seconds > self._loop.time()):
                        raise TimeoutError(f"{self.url}: no answer to {message.command[:80]} within {seconds:g} s")
                    end = self._last_arrival + seconds
            return message.reply.result()
        finally:
            message.reply.cancel()

    def _exhausted(self) -> TimeoutError:
        first = next(iter(self._waiting.values()))
        return TimeoutError(f"{self.url}: {len(self._waiting)} messages have no answer, the first {first.command[:80]}")

    def _lose(self, why: str) -> None:
        if self._failure is not None:
            return
        self._failure = NotConnectedError(f"{self.url}: {why}")
        for message in self._waiting.values():
            if not message.reply.done():
                message.reply.set_exception(NotConnectedError(f"{self.url}: {why} (after {message.command[:80]})"))
                message.reply.exception()  # nobody need be waiting for it
        self._writable.set()
        if self._transport is not None:
            self._transport.abort()
