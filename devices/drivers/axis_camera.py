"""Pictures fetched from a camera of the AXIS kind: single ones, and its endless stream (MJPEG)."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncGenerator
from typing import Final

import aiohttp

from devices.core.errors import NotConnectedError, ProtocolError, TimeoutError

#: No picture of a goniometer's camera is larger, bytes.
MAX_IMAGE_BYTES: Final = 16 << 20
#: Between the pictures of a stream, s.
STREAM_SILENCE_S: Final = 5.0
MAX_HEADER_LINES: Final = 64
MAX_LINE_BYTES: Final = 1024


class AxisCamera:
    """A camera that is asked for pictures.

    Args:
        snapshot_url: ``http://HOST/axis-cgi/jpg/image.cgi?camera=1``; "" it has none.
        stream_url: ``http://HOST/axis-cgi/mjpg/video.cgi?camera=1``; "" it has none.
    """

    def __init__(self, snapshot_url: str = "", stream_url: str = "") -> None:
        self.snapshot_url, self.stream_url = snapshot_url, stream_url
        self._session: aiohttp.ClientSession | None = None

    async def snapshot(self, seconds: float = 2.0) -> bytes:
        """One picture, as the camera packs it.

        Raises:
            NotConnectedError: it cannot be reached, or has no address. TimeoutError. ProtocolError: no picture.
        """
        if not self.snapshot_url:
            raise NotConnectedError("the camera has no address to ask for single pictures")
        try:
            async with asyncio.timeout(seconds), self._client().get(self.snapshot_url) as response:
                self._check(response)
                data = await response.content.read(MAX_IMAGE_BYTES + 1)
                while (more := await response.content.read(MAX_IMAGE_BYTES)) and len(data) <= MAX_IMAGE_BYTES:
                    data += more
        except builtins.TimeoutError:
            raise TimeoutError(f"{self.snapshot_url}: no picture within {seconds:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise NotConnectedError(f"{self.snapshot_url}: {error}") from error
        if len(data) > MAX_IMAGE_BYTES:
            raise ProtocolError(f"{self.snapshot_url}: a picture of more than {MAX_IMAGE_BYTES} byte")
        return data

    async def stream(self) -> AsyncGenerator[bytes]:
        """The pictures of the stream, each as it comes, until it ends.

        Raises:
            NotConnectedError, TimeoutError, ProtocolError: as for `snapshot`; a stream that is silent for 5 s, too.
        """
        try:
            async with asyncio.timeout(STREAM_SILENCE_S) as patience, self._client().get(self.stream_url) as response:
                self._check(response)
                parts = _Parts(response.content)
                while (part := await parts.next()) is not None:
                    patience.reschedule(None)
                    yield part
                    patience.reschedule(asyncio.get_running_loop().time() + STREAM_SILENCE_S)
        except builtins.TimeoutError:
            raise TimeoutError(f"{self.stream_url}: no picture within {STREAM_SILENCE_S:g} s") from None
        except EOFError:
            raise NotConnectedError(f"{self.stream_url}: the stream ends within a picture") from None
        except (aiohttp.ClientError, ValueError, OSError) as error:
            raise NotConnectedError(f"{self.stream_url}: {error}") from error

    async def close(self) -> None:
        """End all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=2.0)
            self._session = aiohttp.ClientSession(timeout=timeout, trust_env=False)
        return self._session

    def _check(self, response: aiohttp.ClientResponse) -> None:
        if response.status != 200:
            raise ProtocolError(f"{response.url}: HTTP {response.status} {response.reason}")


class _Parts:
    """Takes a multipart stream apart; boundaries go by their dashes: not all cameras declare these."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content
        self._kept = bytearray()

    async def next(self) -> bytes | None:
        """The next part; None at the end."""
        boundary = b""
        while not boundary:
            try:
                boundary = (await self._until(b"\n", most=MAX_LINE_BYTES)).strip()
            except EOFError:
                return None
        if not boundary.startswith(b"--"):
            raise ProtocolError(f"a stream of pictures has {boundary[:40]!r} where a boundary is expected")
        length = -1
        for _ in range(MAX_HEADER_LINES):
            name, _, value = (await self._until(b"\n", most=MAX_LINE_BYTES)).strip().partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            if not name:
                return await (self._until(b"\r\n" + boundary, keep=True) if length < 0 else self._exactly(length))
        raise ProtocolError(f"a picture of the stream has more than {MAX_HEADER_LINES} header lines")

    async def _exactly(self, length: int) -> bytes:
        if length > MAX_IMAGE_BYTES:
            raise ProtocolError(f"a picture of {length} byte is larger than {MAX_IMAGE_BYTES} byte")
        while len(self._kept) < length:
            await self._more()
        return self._cut(length)

    async def _until(self, mark: bytes, *, keep: bool = False, most: int = MAX_IMAGE_BYTES) -> bytes:
        """What comes before a mark, which is taken too, or kept."""
        begin = 0
        while (place := self._kept.find(mark, begin)) < 0:
            begin = max(0, len(self._kept) - len(mark))
            if begin > most:
                raise ProtocolError(f"a part of the stream is larger than {most} byte")
            await self._more()
        found = self._cut(place)
        if not keep:
            self._cut(len(mark))
        return found

    async def _more(self) -> None:
        chunk = await self._content.readany()
        if not chunk:
            raise EOFError
        self._kept += chunk

    def _cut(self, length: int) -> bytes:
        found = bytes(self._kept[:length])
        del self._kept[:length]
        return found
