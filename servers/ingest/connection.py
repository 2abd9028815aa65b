"""One connection of a node: requests one after the other, each answered before the next is looked at."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Final, Protocol

from devices.drivers.correlator_message import Receipt
from servers.ingest.inbox import Inbox
from servers.ingest.request import RequestError, RequestHead
from servers.ingest.settings import IngestSettings

log = logging.getLogger("diptych.ingest")

#: A client that is refused may go on sending for so long, so that it can read the answer (RFC 9112, 9.6).
LINGER_S: Final = 2.0
DISCARDED_AT_ONCE: Final = 1 << 16


class Receiver(Protocol):
    """Who carries out requests."""

    async def receive(self, head: RequestHead, connection: Connection) -> Receipt:
        """Carry out a request, whose body `Connection.read_into` reads.

        Raises:
            RequestError: it is not carried out; the connection ends unless its body was read.
        """

    def refused(self, connection: Connection, error: RequestError) -> None:
        """A request is answered with an error."""

    def gone(self, connection: Connection) -> None:
        """A connection has ended."""


class Connection(asyncio.BufferedProtocol):
    """The bytes of a connection, without copies: the socket writes into a head's buffer, or into a body's.

    Attributes:
        address: of the peer.
        sub_band: of all its messages, where the port tells it.

    Args:
        too_many: whether it is one too many, and is answered so.
    """

    def __init__(
        self, receiver: Receiver, settings: IngestSettings, sub_band: int | None = None, *, too_many: bool = False
    ) -> None:
        self.address = ""
        self.sub_band = sub_band
        self._receiver, self._settings, self._too_many = receiver, settings, too_many
        self._inbox = Inbox()
        self._discarded: memoryview | None = None
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._last = self._began = 0.0
        self._is_lost = False
        self._is_whole = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        self._task = asyncio.create_task(self._serve(), name=f"ingest of {self.address}")

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._inbox.writable() if self._discarded is None else self._discarded

    def buffer_updated(self, nbytes: int) -> None:
        self._last = _now()
        if self._discarded is not None:
            return
        self._inbox.wrote(nbytes)
        if not self._inbox.lacks_body:
            if not len(self._inbox.writable()) and self._transport is not None:
                self._transport.pause_reading()
            self._wake()

    def pause_writing(self) -> None:
        assert self._transport is not None
        self._transport.abort()  # it sends and sends, and reads no answers

    def eof_received(self) -> bool:
        self._lose()
        return True  # it may have closed its half only, and wait for the answer

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose()

    async def stop(self) -> None:
        """End it; what has not come whole is forgotten."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    @property
    def time_left(self) -> float:
        """Of the present request, s."""
        return max(0.0, self._began + self._settings.request_s - _now())

    async def read_into(self, body: memoryview, *, expects: bool) -> None:
        """Read the body of the present request.

        Raises:
            RequestError: the client was silent for too long, or the request took too long.
            ConnectionResetError: the client went away.
        """
        assert self._transport is not None
        if expects and self._inbox.is_empty:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._inbox.begin_body(body)
        self._last = _now()
        while self._inbox.lacks_body:
            self._check_time(Receipt.DATASIZE_ERROR, f"{self._inbox.received} of {len(body)} byte came in time")
            await self._more(self._deadline)
        self._is_whole = True

    async def _serve(self) -> None:
        assert self._transport is not None
        try:
            while await self._request():
                pass
        except OSError as error:
            log.info("%s went away in the middle of a request: %s", self.address, error)
        except Exception:
            log.exception("the connection of %s ends", self.address)
        finally:
            self._transport.close()
            self._receiver.gone(self)

    async def _request(self) -> bool:
        """Carry out one request; whether another one may follow."""
        keeps = self._is_whole = False
        try:
            if self._too_many:
                raise RequestError(503, Receipt.INVALID, "too many connections")
            head = await self._next_head()
            if head is None:
                return False
            self._is_whole = not head.length
            keeps = head.keeps
            receipt = await self._receiver.receive(head, self)
        except RequestError as error:
            keeps = keeps and self._is_whole
            self._receiver.refused(self, error)
            self._answer(error.status, error.receipt, f"{error}\n", keeps, error.headers)
            if not keeps:
                await self._linger()
        else:
            self._answer(200, receipt, "File Received, ", keeps)
        return keeps

    async def _next_head(self) -> RequestHead | None:
        """The head of the next request; None: the client wants no more, or was idle for too long."""
        self._last = self._began = _now()
        was_empty = True
        while (head := self._inbox.take_head()) is None:
            if self._inbox.is_empty:
                if self._is_lost or _now() >= self._began + self._settings.idle_s:
                    return None
                await self._more(self._began + self._settings.idle_s)
                continue
            if was_empty:
                was_empty, self._began = False, self._last
            self._check_time(Receipt.PARSE_ERROR, "the head of the request did not come in time")
            await self._more(self._deadline)
        self._began = self._last if was_empty else self._began
        return head

    @property
    def _deadline(self) -> float:
        return min(self._last + self._settings.silence_s, self._began + self._settings.request_s)

    def _check_time(self, receipt: Receipt, text: str) -> None:
        if _now() >= self._deadline:
            raise RequestError(408, receipt, text)

    async def _more(self, until: float) -> None:
        """Wait until something happens, or for a time of the loop."""
        assert self._transport is not None
        if self._is_lost:
            raise ConnectionResetError("it ended the connection")
        self._transport.resume_reading()
        self._waiter = asyncio.get_running_loop().create_future()
        await asyncio.wait([self._waiter], timeout=max(0.0, until - _now()))
        self._waiter = None

    def _lose(self) -> None:
        self._is_lost = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _answer(self, status: int, receipt: Receipt, text: str, keeps: bool, headers: tuple[str, ...] = ()) -> None:
        assert self._transport is not None
        # Nodes take the second-last character of whatever is answered as the digit of the receipt.
        body = f"{text}Process Server Status: {min(int(receipt), 9)}\n".encode("ascii", "replace")
        lines = [
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
            "Content-Type: text/plain",
            f"Content-Length: {len(body)}",
            *headers,
            *([] if keeps else ["Connection: close"]),
        ]
        self._transport.write("\r\n".join([*lines, "", ""]).encode("ascii") + body)

    async def _linger(self) -> None:
        """Let the client read the answer, and throw away what it still sends."""
        assert self._transport is not None
        self._discarded = memoryview(bytearray(DISCARDED_AT_ONCE))
        if not self._is_lost:
            self._transport.write_eof()
        self._began = self._last = _now()
        while not self._is_lost:
            until = min(self._last + LINGER_S, self._began + self._settings.request_s)
            if _now() >= until:
                return
            await self._more(until)


def _now() -> float:
    return asyncio.get_running_loop().time()
