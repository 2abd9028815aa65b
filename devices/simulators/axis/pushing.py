"""How a simulated camera posts its pictures."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
from typing import Final
from urllib.parse import urlsplit

from devices.core.errors import NotConnectedError, ProtocolError, TimeoutError
from devices.simulators.axis.settings import AxisCameraSettings

ANSWER_S: Final = 5.0
SEPARATOR: Final = "picture"
CHUNK: Final = 4096


class Pusher:
    """Posts pictures, each by a connection of its own unless it is told to keep one."""

    def __init__(self, settings: AxisCameraSettings) -> None:
        url = urlsplit(settings.receiver)
        self._host, self._port, self._path = url.hostname or "127.0.0.1", url.port or 80, url.path or "/"
        self._form, self._keeps = settings.form, settings.keep_connection
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, picture: bytes) -> int:
        """Post a picture; the status of the answer.

        Raises:
            NotConnectedError: nobody listens, or it hangs up. TimeoutError. ProtocolError: the answer is none.
        """
        where = f"{self._host}:{self._port}"
        try:
            async with asyncio.timeout(ANSWER_S):
                reader, writer = self._connection or await asyncio.open_connection(self._host, self._port)
                self._connection = (reader, writer) if self._keeps else None
                try:
                    status = await self._exchange(reader, writer, picture)
                finally:
                    if not self._keeps:
                        writer.close()
        except builtins.TimeoutError:
            self.close()
            raise TimeoutError(f"{where} has not answered within {ANSWER_S:g} s") from None
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise NotConnectedError(f"{where}: {error}") from error
        except ValueError as error:
            self.close()
            raise ProtocolError(f"{where}: {error}") from error
        return status

    def close(self) -> None:
        """Close what was kept open."""
        if self._connection is not None:
            self._connection[1].close()
            self._connection = None

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, picture: bytes) -> int:
        headers, body = self._dressed(picture)
        lines = [f"POST {self._path} HTTP/1.1", f"Host: {self._host}:{self._port}", *headers]
        if not self._keeps:
            lines.append("Connection: close")
        head = "\r\n".join(lines)
        if self._form == "lower_case":
            first, _, others = head.partition("\r\n")
            head = f"{first}\r\n{others.lower()}"
        writer.write(head.encode() + b"\r\n\r\n")
        if self._form == "expect":
            status = await _status(reader)
            if status != 100:
                return status
        writer.write(body)
        with contextlib.suppress(ConnectionError):  # refused before all was sent: the answer says why
            await writer.drain()
        return await _status(reader)

    def _dressed(self, picture: bytes) -> tuple[list[str], bytes]:
        if self._form == "multipart":
            head = 'Content-Disposition: form-data; name="image"; filename="image.jpg"\r\nContent-Type: image/jpeg'
            body = f"--{SEPARATOR}\r\n{head}\r\n\r\n".encode() + picture + f"\r\n--{SEPARATOR}--\r\n".encode()
            return [f"Content-Type: multipart/form-data; boundary={SEPARATOR}", f"Content-Length: {len(body)}"], body
        if self._form == "chunked":
            pieces = [picture[place : place + CHUNK] for place in range(0, len(picture), CHUNK)]
            body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))
            return ["Content-Type: image/jpeg", "Transfer-Encoding: chunked"], body
        kind = "image/jpeg; charset=binary" if self._form == "parameters" else "image/jpeg"
        headers = [f"Content-Type: {kind}", f"Content-Length: {len(picture)}"]
        return [*headers, "Expect: 100-continue"] if self._form == "expect" else headers, picture


async def _status(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(maxsplit=2)[1])
    for line in head.splitlines():
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            await reader.readexactly(int(value))
    return status
