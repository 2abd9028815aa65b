"""Image data of a controller server: 16 digits, a blank, and so many bytes, which go straight into memory."""

from __future__ import annotations

import asyncio
import builtins
import socket
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import NotConnectedError, ProtocolError, RefusedError, TimeoutError

HEAD: Final = 17
"""Bytes of the count and the blank before a block."""

LONGEST_REFUSAL: Final = 256

RECEIVE_BUFFER: Final = 4 << 20
"""Of the socket: few turns of the loop per block."""


class ImageSocket(asyncio.BufferedProtocol):
    """One connection for image data; a block is under way at a time."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._transport: asyncio.Transport | None = None
        self._head = memoryview(bytearray(LONGEST_REFUSAL))
        self._filled = 0
        self._into = memoryview(b"")
        self._room: memoryview | None = None
        self._block: asyncio.Future[int] | None = None
        self._count = 0
        self._arrived = 0.0
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def open(cls, host: str, port: int, timeout: float) -> ImageSocket:
        """Connect.

        Raises:
            NotConnectedError: refused or unreachable. TimeoutError: no answer.
        """
        url = f"{host}:{port} (image)"
        try:
            async with asyncio.timeout(timeout):
                _, image = await asyncio.get_running_loop().create_connection(lambda: cls(url), host, port)
        except builtins.TimeoutError:
            raise TimeoutError(f"{url}: no connection within {timeout:g} s") from None
        except OSError as error:
            raise NotConnectedError(f"{url}: {error.strerror or error}") from None
        return image

    async def block(self, into: NDArray[np.uint8], stall_timeout: float) -> int:
        """Ask for as many bytes as there is room for; how many came, 0: there are none yet.

        Args:
            into: uint8, (bytes,), contiguous.
            stall_timeout: the longest time without a byte, s.
        Raises:
            TimeoutError, RefusedError, ProtocolError, NotConnectedError: the connection is of no use afterwards.
        """
        transport = self._transport
        if transport is None or transport.is_closing():
            raise NotConnectedError(f"{self.url}: not connected")
        self._into = into.data.cast("B")
        self._block = self._loop.create_future()
        self._arrived = self._loop.time()
        transport.write(f"GetImageData {into.size}\n".encode("ascii"))
        while not self._block.done():
            left = self._arrived + stall_timeout - self._loop.time()
            if left <= 0:
                self.close()
                raise TimeoutError(f"{self.url}: {into.size} bytes were asked for, none came in {stall_timeout:g} s")
            await asyncio.wait({self._block}, timeout=left)
        return self._block.result()

    def close(self) -> None:
        """Close; what has not come is not waited for."""
        if self._transport is not None:
            self._transport.abort()

    # asyncio.BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer: socket.socket = transport.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)

    def get_buffer(self, sizehint: int) -> Any:
        if self._room is not None:
            return self._room
        return self._head[self._filled : HEAD if self._filled < HEAD else LONGEST_REFUSAL]

    def buffer_updated(self, nbytes: int) -> None:
        self._arrived = self._loop.time()
        if self._block is None or self._block.done():
            self._end(ProtocolError(f"{self.url}: bytes that nobody asked for"))
        elif self._room is None:
            self._filled += nbytes
            self._read_head(bytes(self._head[: self._filled]))
        else:
            self._room = self._room[nbytes:]
            if not self._room:
                self._room = None
                self._block.set_result(self._count)

    def connection_lost(self, exc: Exception | None) -> None:
        why = "closed by the server" if exc is None else f"lost: {exc}"
        self._end(NotConnectedError(f"{self.url}: {why} before the image was whole"))

    def _read_head(self, head: bytes) -> None:
        assert self._block is not None
        if len(head) == HEAD and head[-1:] == b" " and head.strip().isdigit():
            self._filled, self._count = 0, int(head)
            if self._count > len(self._into):
                text = f"{self._count} bytes were announced where {len(self._into)} were asked for"
                self._end(ProtocolError(f"{self.url}: {text}"))
            elif self._count:
                self._room = self._into[: self._count]
            else:
                self._block.set_result(0)
        elif b"\n" in head or len(head) == LONGEST_REFUSAL:
            self._end(self._refusal(head))

    def _refusal(self, head: bytes) -> RefusedError | ProtocolError:
        text = head.decode("latin-1").strip()
        if text.upper().startswith("ERROR"):
            return RefusedError(f"{self.url}: GetImageData: {text[5:].strip() or 'refused without a reason'}")
        return ProtocolError(f"{self.url}: GetImageData was answered by {text!r}, not by a number of bytes")

    def _end(self, error: Exception) -> None:
        if self._block is not None and not self._block.done():
            self._block.set_exception(error)
            self._block.exception()  # nobody need be waiting for it
        self.close()
