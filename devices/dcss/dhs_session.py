"""One TCP connection to the hardware port of DCSS: answers the login by itself, cuts and makes frames."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from devices.core.errors import ProtocolError
from devices.drivers.xos import Frame, XosDecoder, encode_frame, encode_login

ASK_WHO: Final = "stoc_send_client_type"


class DhsSession(asyncio.Protocol):
    """A connection from its beginning to its end.

    The login is answered where bytes arrive, before any handler is called: DCSS waits 1 s for it.

    Args:
        name: to log in as.
        arrived: is called with every later frame and its time of arrival (of the loop, s).
        protocol: 1, 2, or 0: DCSS shows it.
        dead_after_s: without any sign of the peer's computer, s.
        max_unsent_bytes: the connection ends when DCSS leaves more unread.
    Attributes:
        asked: done when DCSS has asked who we are, and has been told.
        ended: done with the reason when the connection is gone.
    """

    _transport: asyncio.Transport

    def __init__(
        self,
        name: str,
        arrived: Callable[[Frame, float], None],
        *,
        protocol: int = 0,
        dead_after_s: float = 5.0,
        max_unsent_bytes: int = 8 << 20,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._name, self._arrived = name, arrived
        self._dead_after_s, self._max_unsent_bytes = dead_after_s, max_unsent_bytes
        self._decoder = XosDecoder(protocol=protocol)
        self._failure = ""
        self.asked: asyncio.Future[None] = self._loop.create_future()
        self.ended: asyncio.Future[str] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        notice_silence(transport.get_extra_info("socket"), self._dead_after_s)

    def data_received(self, data: bytes) -> None:
        now = self._loop.time()
        try:
            frames = self._decoder.feed(data)
            for frame in frames:
                if self.asked.done():
                    self._arrived(frame, now)
                else:
                    self._log_in(frame)
        except ProtocolError as error:
            self.end(str(error))

    def eof_received(self) -> None:
        # Nothing that waits could still be heard.
        self.end("closed by DCSS")

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(self._failure or (f"lost: {exc}" if exc else "closed"))

    def send(self, text: str) -> bool:
        """Queue a message; never waits. False: the connection is gone."""
        if self._transport.is_closing():
            return False
        self._transport.write(encode_login(text) if self._decoder.protocol == 1 else encode_frame(text))
        unsent = self._transport.get_write_buffer_size()
        if unsent > self._max_unsent_bytes:
            self.end(f"DCSS leaves {unsent} byte unread")
            return False
        return True

    def end(self, why: str) -> None:
        """End the connection at once."""
        self._failure = self._failure or why
        self._transport.abort()

    async def finish(self, seconds: float) -> None:
        """End the connection when all has been sent, at the latest after some time, s."""
        self._failure = self._failure or "ended here"
        self._transport.close()
        await asyncio.wait([self.ended], timeout=seconds)
        self._transport.abort()

    def _log_in(self, frame: Frame) -> None:
        if not frame.text.startswith(ASK_WHO):
            raise ProtocolError(f"{frame.text!r:.80} came instead of {ASK_WHO}")
        self._transport.write(encode_login(f"htos_client_is_hardware {self._name}"))
        self.asked.set_result(None)


def notice_silence(connection: socket.socket, seconds: float) -> None:
    """Send at once, and end a connection whose peer's computer has given no sign for some time (whole seconds)."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    idle = max(1, round(seconds / 2))
    # Each of these is missing on one operating system or another.
    for option, value in (
        ("TCP_KEEPIDLE", idle),
        ("TCP_KEEPINTVL", 1),
        ("TCP_KEEPCNT", max(1, round(seconds) - idle)),
        ("TCP_USER_TIMEOUT", round(seconds * 1000)),
    ):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
