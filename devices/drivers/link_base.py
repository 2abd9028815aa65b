"""What every link to an instrument can do: write bytes, read a line or a block, each with a bound on time and size."""

from __future__ import annotations

import asyncio
import builtins
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from devices.core.errors import NotConnectedError, ProtocolError, TimeoutError

LINE_LIMIT = 65536
"""Default bound of one line, in bytes."""


class Link(ABC):
    """One open connection to an instrument.

    Attributes:
        url: what was opened, as given; every error text begins with it.
        timeout: the default bound of one read or write, in s.
        datagrams: each write is one message to the peer and each read takes one whole message.
    """

    datagrams = False

    def __init__(self, url: str, timeout: float) -> None:
        self.url = url
        self.timeout = timeout
        self._asked = b""
        self._received = bytearray()
        self._wanted = LINE_LIMIT
        self._arrival = asyncio.Event()
        self._failure: NotConnectedError | None = None

    @property
    def connected(self) -> bool:
        """Whether the link is open as far as is known without sending anything."""
        return self._failure is None

    async def write(self, data: bytes) -> None:
        """Send bytes; return when they have left for the operating system.

        Raises:
            NotConnectedError: the link is closed, refused or unplugged.
            TimeoutError: the peer takes no bytes.
        """
        if self._failure is not None:
            raise NotConnectedError(f"{self._failure} (not sent: {data[:80]!r})")
        self._asked = data
        async with self._bounded(self.timeout, "took no bytes"):
            await self._send(data)

    async def read_until(
        self, terminator: bytes = b"\n", limit: int = LINE_LIMIT, timeout: float | None = None
    ) -> bytes:
        """The next bytes up to ``terminator``, which is taken off too; over UDP the next datagram.

        Raises:
            NotConnectedError: the link was lost before the terminator came.
            TimeoutError: the terminator did not come within ``timeout`` s (default: the link's own).
            ProtocolError: more than ``limit`` bytes came without a terminator; ``drain`` before going on.
        """

        def line() -> bytes | None:
            end = self._received.find(terminator)
            if end > limit or (end < 0 and len(self._received) > limit):
                raise ProtocolError(f"{self.url}: more than {limit} bytes without {terminator!r} {self._context()}")
            return None if end < 0 else self._take(end, len(terminator))

        return await self._awaited(line, limit + len(terminator), timeout)

    async def read_exactly(self, count: int, timeout: float | None = None) -> bytes:
        """The next ``count`` bytes; over UDP the next datagram, which must have that length.

        Raises:
            NotConnectedError, TimeoutError: as ``read_until``.
            ProtocolError: over UDP, a datagram of another length came.
        """
        return await self._awaited(lambda: self._take(count) if len(self._received) >= count else None, count, timeout)

    async def drain(self) -> int:
        """Throw away everything that has come so far; the number of bytes thrown away."""
        await asyncio.sleep(0)
        stale = len(self._received)
        self._received.clear()
        self._let_come(True)
        return stale

    async def close(self) -> None:
        """Close the link; later calls of anything but ``close`` raise NotConnectedError."""
        self._lose("closed on this side")
        await self._close()

    @abstractmethod
    async def _send(self, data: bytes) -> None: ...

    @abstractmethod
    async def _close(self) -> None: ...

    @abstractmethod
    def _let_come(self, more: bool) -> None:
        """Tell the transport whether more bytes are welcome; they are not when more came than anybody asked for."""

    def _feed(self, data: bytes) -> None:
        self._received += data
        self._arrival.set()
        if len(self._received) >= max(LINE_LIMIT, self._wanted):
            self._let_come(False)

    def _lose(self, why: str) -> None:
        if self._failure is None:
            self._failure = NotConnectedError(f"{self.url}: {why}")
            self._arrival.set()

    def _take(self, count: int, tail: int = 0) -> bytes:
        taken = bytes(self._received[:count])
        del self._received[: count + tail]
        return taken

    def _context(self) -> str:
        return f"after {self._asked[:80]!r}" if self._asked else "(nothing was asked)"

    async def _awaited(self, attempt: Callable[[], bytes | None], wanted: int, timeout: float | None) -> bytes:
        self._wanted = wanted
        async with self._bounded(self.timeout if timeout is None else timeout, "no answer"):
            while (data := attempt()) is None:
                if self._failure is not None:
                    raise NotConnectedError(f"{self._failure} {self._context()}")
                self._arrival.clear()
                self._let_come(True)
                await self._arrival.wait()
        return data

    @asynccontextmanager
    async def _bounded(self, seconds: float, what: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds):
                yield
        except builtins.TimeoutError:
            raise TimeoutError(f"{self.url}: {what} within {seconds:g} s {self._context()}") from None
