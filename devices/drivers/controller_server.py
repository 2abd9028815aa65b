"""A CCD controller server, as ARC and Magellan controllers have one: lines of text over TCP, images on a second socket.

A command is a line, answered by one line that begins with OK, ERROR or DEMO (no controller hangs on the server). One
command is under way at a time: nothing says that a server takes a second one before it answered the first.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError, NotConnectedError, ProtocolError, RefusedError, TimeoutError
from devices.drivers.controller_image import ImageSocket

#: Where the servers listen.
PORT: Final = 2405
LONGEST_LINE: Final = 65536
#: How often an image that is not ready is asked for again, s.
RETRY: Final = 0.02
#: The most bytes of one request for image data; the servers send no more at once.
MOST_BYTES: Final = 5 << 20

Received = Callable[[int], None]


class ControllerServer:
    """The client of a controller server.

    Args:
        timeout: until the answer of a command, s, unless a call says otherwise.
    Attributes:
        is_demo: whether the last answer was DEMO.
    """

    def __init__(self, host: str, port: int = PORT, *, timeout: float = 2.0) -> None:
        self.host = host
        self.port = port
        self.url = f"{host}:{port}"
        self.timeout = timeout
        self.is_demo = False
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._lock = asyncio.Lock()
        self._owed = 0

    @property
    def connected(self) -> bool:
        reader = self._reader
        return reader is not None and not reader.at_eof() and reader.exception() is None

    async def connect(self) -> None:
        """Open the connection; one that is open is closed first.

        Raises:
            NotConnectedError: refused or unreachable. TimeoutError: no answer.
        """
        await self.close()
        try:
            async with asyncio.timeout(self.timeout):
                self._reader, self._writer = await asyncio.open_connection(self.host, self.port, limit=LONGEST_LINE)
        except builtins.TimeoutError:
            raise TimeoutError(f"{self.url}: no connection within {self.timeout:g} s") from None
        except OSError as error:
            raise NotConnectedError(f"{self.url}: {error.strerror or error}") from None
        self._owed = 0

    async def close(self) -> None:
        """Close the connection; a command that waits raises NotConnectedError."""
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.transport.abort()

    async def command(self, text: str, timeout: float | None = None) -> str:
        """Send one command; what its answer says behind OK (or DEMO).

        Raises:
            RefusedError: the answer is ERROR. TimeoutError: there is none; the connection is closed, since a late
            answer would be taken for that of the next command. ProtocolError: it is something else. NotConnectedError.
        """
        if "\n" in text or "\r" in text or not text.isascii():
            raise BadValueError(f"{text!r} cannot be sent to a controller server: not one line of ASCII")
        async with self._lock:
            await self._settle(timeout)
            return await self._one(text, f"{text}\n".encode("ascii"), timeout)

    async def number(self, text: str, timeout: float | None = None) -> int:
        """Send one command that is answered by a whole number, decimal or 0x hexadecimal.

        Raises:
            as `command`; RefusedError: the server is in demo mode and has no numbers.
        """
        answer = await self.command(text, timeout)
        if self.is_demo:
            raise RefusedError(f"{self.url}: {text}: the server is in demo mode, without a controller")
        try:
            return int(answer, 0)
        except ValueError:
            raise self._wrong(text, f"OK {answer}", "a whole number") from None

    async def upload(self, data: bytes, timeout: float | None = None) -> str:
        """Bring a file to the server; its name there, for LoadFile and `delete`."""
        async with self._lock:
            await self._settle(timeout)
            try:
                await self._one("UploadFile", f"cmd UploadFile {len(data)}\n".encode("ascii"), timeout)
                name = await self._one("UploadFile: the file", data, timeout)
            except asyncio.CancelledError:
                # The server counts bytes: it would take the next commands for the file.
                await self.close()
                raise
        if not name:
            raise self._wrong("UploadFile", "OK", "the name of the file")
        return name

    async def delete(self, name: str) -> None:
        """Delete a file that was uploaded."""
        await self.command(f"cmd DeleteFile {name}")

    async def image(
        self, into: NDArray[np.uint8], stall_timeout: float, received: Received = lambda count: None
    ) -> None:
        """Take an image, over a connection of its own, straight into memory.

        Blocks are asked for one by one, so that the server never sends more than there is room for. What is not read
        out yet is asked for again.

        Args:
            into: uint8, (bytes,), contiguous.
            stall_timeout: the longest time without a byte, s.
            received: called with the number of bytes that came.
        Raises:
            TimeoutError: they stopped coming. RefusedError, ProtocolError, NotConnectedError.
        """
        image = await ImageSocket.open(self.host, self.port, self.timeout)
        loop, done = asyncio.get_running_loop(), 0
        progress = loop.time()
        try:
            while done < into.size:
                count = await image.block(into[done : done + MOST_BYTES], stall_timeout)
                if count:
                    done, progress = done + count, loop.time()
                    received(done)
                elif loop.time() - progress > stall_timeout:
                    raise TimeoutError(f"{self.url}: {done} of {into.size} bytes, and no more in {stall_timeout:g} s")
                else:
                    await asyncio.sleep(RETRY)
        finally:
            image.close()

    async def _settle(self, timeout: float | None) -> None:
        """Answers whose commands were cancelled come first."""
        while self._owed:
            await self._line("the command before", timeout)

    async def _one(self, what: str, data: bytes, timeout: float | None) -> str:
        if self._writer is None or not self.connected:
            raise NotConnectedError(f"{self.url}: not connected (not sent: {what[:80]})")
        self._writer.write(data)
        self._owed += 1
        line = await self._line(what, timeout)
        word, _, rest = line.partition(" ")
        self.is_demo = word.upper() == "DEMO"
        if word.upper() == "ERROR":
            raise RefusedError(f"{self.url}: {what[:80]}: {rest.strip() or 'refused without a reason'}")
        if not self.is_demo and word.upper() != "OK":
            raise self._wrong(what, line, "OK, ERROR or DEMO")
        return rest.strip()

    async def _line(self, what: str, timeout: float | None) -> str:
        seconds = self.timeout if timeout is None else timeout
        reader = self._reader
        if reader is None:
            raise NotConnectedError(f"{self.url}: not connected")
        try:
            async with asyncio.timeout(seconds):
                line = await reader.readline()
        except builtins.TimeoutError:
            await self.close()
            raise TimeoutError(f"{self.url}: no answer to {what[:80]} within {seconds:g} s") from None
        except ValueError:
            await self.close()
            raise ProtocolError(f"{self.url}: the answer to {what[:80]} is longer than {LONGEST_LINE} bytes") from None
        except OSError as error:
            await self.close()
            raise NotConnectedError(f"{self.url}: lost: {error} (after {what[:80]})") from None
        if not line.endswith(b"\n"):
            await self.close()
            raise NotConnectedError(f"{self.url}: closed by the server (after {what[:80]})")
        self._owed -= 1
        return line.decode("latin-1").strip()

    def _wrong(self, what: str, answer: str, wanted: str) -> ProtocolError:
        return ProtocolError(f"{self.url}: {what[:80]} was answered by {answer[:80]!r}, not by {wanted}")
