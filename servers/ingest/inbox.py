"""What a connection receives: heads in a small buffer, bodies straight to where they belong."""

from __future__ import annotations

from typing import Final

from devices.drivers.correlator_message import Receipt
from servers.ingest.request import RequestError, RequestHead

HEAD_BYTES: Final = 16384
#: Of a body, at once: what a core copies in 0.3 ms, so that one connection delays the others no longer.
BODY_BYTES_AT_ONCE: Final = 1 << 20


class Inbox:
    """Bytes in their order; asks for memory, knows no socket.

    Write to `writable`, tell `wrote`; then `take_head` until there is one, `begin_body`, and so on.
    """

    def __init__(self) -> None:
        self._head = memoryview(bytearray(HEAD_BYTES))
        self._filled = 0
        self._searched = 0
        self._body: memoryview | None = None
        self._received = 0

    @property
    def lacks_body(self) -> bool:
        """Whether a body has begun and is not complete."""
        return self._body is not None

    @property
    def received(self) -> int:
        """Bytes of the last body that have come."""
        return self._received

    @property
    def is_empty(self) -> bool:
        """Whether nothing of another request has come."""
        return not self._filled

    def writable(self) -> memoryview:
        """Where the next bytes go; empty: a head has to be taken first."""
        if self._body is None:
            return self._head[self._filled :]
        return self._body[self._received : self._received + BODY_BYTES_AT_ONCE]

    def wrote(self, count: int) -> None:
        """So many bytes have come."""
        if self._body is None:
            self._filled += count
            return
        self._received += count
        if self._received == len(self._body):
            self._body = None

    def take_head(self) -> RequestHead | None:
        """The next head, or None: it is not complete.

        Raises:
            RequestError: it is too long, or is none.
        """
        # Empty lines before a request are allowed (RFC 9112, 2.2), and are no end of it.
        begin = 0
        while begin < self._filled and self._head[begin] in b"\r\n":
            begin += 1
        if begin:
            self._drop(begin)
        end = self._end(self._searched)
        if end is None:
            self._searched = max(0, self._filled - 2)
            if self._filled == len(self._head):
                raise RequestError(431, Receipt.PARSE_ERROR, f"a head of more than {HEAD_BYTES} byte")
            return None
        text = bytes(self._head[:end]).rstrip(b"\r\n")
        self._drop(end)
        return RequestHead.parse(text)

    def begin_body(self, into: memoryview) -> None:
        """What comes next goes there, until it is full."""
        self._received = min(self._filled, len(into))
        into[: self._received] = self._head[: self._received]
        self._drop(self._received)
        self._body = into if self._received < len(into) else None

    def _end(self, begin: int) -> int | None:
        """Behind the first empty line, whose end before it is looked for from ``begin``."""
        text = bytes(self._head[begin : self._filled])
        ends = [found + len(mark) for mark in (b"\n\r\n", b"\n\n") if (found := text.find(mark)) >= 0]
        return begin + min(ends) if ends else None

    def _drop(self, count: int) -> None:
        rest = self._filled - count
        self._head[:rest] = bytes(self._head[count : self._filled])
        self._filled, self._searched = rest, 0
