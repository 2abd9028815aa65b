"""Sends images to image servers: azcam, dataserver, lbtguider and ccdacq (ICE)."""

from __future__ import annotations

import asyncio
import builtins
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import BadValueError, NotConnectedError, RefusedError, StorageError, TimeoutError
from devices.drivers.send_image_header import DEFAULT_PORT, REPLY_BYTES, SendImageHeader

ServerType = Literal["azcam", "dataserver", "lbtguider", "ccdacq"]
SERVER_TYPES: Final[tuple[ServerType, ...]] = ("azcam", "dataserver", "lbtguider", "ccdacq")
_CHUNK_BYTES: Final = 1 << 20
_REASONS: Final = {"-2": "it has a file of this name", "-3": "it has no such folder"}

T = TypeVar("T")


@dataclass(frozen=True)
class ImageServer:
    """Where images are sent.

    Args:
        server_type: azcam: a header, the file, an answer is read. dataserver: the same without an answer. lbtguider:
            the number of bytes as a line, the file. ccdacq: the size as a line, pixels of the first amplifier.
        timeout_s: the longest time in which nothing moves.
    """

    host: str
    port: int = DEFAULT_PORT
    server_type: ServerType = "dataserver"
    timeout_s: float = 10.0

    async def send_file(self, path: str | Path, name: str, **header: Any) -> None:
        """Send a file.

        Args:
            path: the file.
            name: what it is called at the receiver.
            header: fields of `SendImageHeader`: overwrite, file_type, columns, rows, display.

        Raises:
            BadValueError: a name that cannot be sent; this type of server takes no files.
            StorageError: the file cannot be read.
            NotConnectedError, TimeoutError: the receiver is not there, or stopped to take.
            RefusedError: the receiver does not want it, and why.
        """
        if self.server_type not in ("azcam", "dataserver", "lbtguider"):
            raise BadValueError(f"an image server of the type {self.server_type} takes pixels, not files")
        with await _from_disk(path, open, path, "rb") as file:
            size = await _from_disk(path, file.seek, 0, 2)
            await _from_disk(path, file.seek, 0)
            if self.server_type == "lbtguider":
                head = f"{size}\r\n".encode("ascii")
            else:
                head = SendImageHeader(size, name, **header).encode()
            async with self._connected() as (reader, writer):
                answer = asyncio.ensure_future(reader.readexactly(REPLY_BYTES))
                try:
                    writer.write(head)
                    while content := await _from_disk(path, file.read, _CHUNK_BYTES):
                        # Receivers answer right after the header: one that refuses need not be sent the file.
                        if self.server_type == "azcam" and answer.done():
                            _check(answer.result())
                        writer.write(content)
                        await self._limited(writer.drain())
                    await self._end(writer, answer)
                except ConnectionError:
                    # What it said before it went away tells more.
                    if self.server_type == "azcam" and answer.done() and answer.exception() is None:
                        _check(answer.result())
                    raise
                finally:
                    answer.cancel()
                    with suppress(asyncio.CancelledError, asyncio.IncompleteReadError, OSError):
                        await answer

    async def send_pixels(self, pixels: NDArray[Any]) -> None:
        """Send the pixels of an amplifier to a ccdacq server.

        Args:
            pixels: (rows, columns), uint16.

        Raises:
            BadValueError: other pixels; this type of server takes files.
            NotConnectedError, TimeoutError: as for `send_file`.
        """
        if self.server_type != "ccdacq":
            raise BadValueError(f"an image server of the type {self.server_type} takes files, not pixels")
        if pixels.ndim != 2 or pixels.dtype != np.uint16:
            raise BadValueError(f"pixels, {pixels.shape} {pixels.dtype}, are not (rows, columns) of uint16")
        async with self._connected() as (reader, writer):
            writer.write(f"{pixels.shape[1]} {pixels.shape[0]}\r\nNoFilename NoImageType\r\n".encode("ascii"))
            rows = max(_CHUNK_BYTES // (2 * pixels.shape[1]), 1)
            for first in range(0, pixels.shape[0], rows):
                writer.write(pixels[first : first + rows].astype("<u2").tobytes())
                await self._limited(writer.drain())
            await self._limited(reader.readexactly(1))

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        where = f"image server {self.host}:{self.port}"
        try:
            reader, writer = await self._limited(asyncio.open_connection(self.host, self.port))
            try:
                yield reader, writer
            finally:
                writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()
        except asyncio.IncompleteReadError as error:
            raise NotConnectedError(f"{where} went away without an answer") from error
        except TimeoutError:
            raise TimeoutError(f"{where}: nothing moved for {self.timeout_s} s") from None
        except (NotConnectedError, StorageError):
            raise
        except OSError as error:
            raise NotConnectedError(f"{where}: {os.strerror(error.errno) if error.errno else error}") from error

    async def _end(self, writer: asyncio.StreamWriter, answer: asyncio.Future[bytes]) -> None:
        if self.server_type == "azcam":
            _check(await self._limited(asyncio.shield(answer)))
            return
        # Others say nothing. Most close when they have everything; azcam waits for 1 s, and so do we at most.
        writer.write_eof()
        await asyncio.wait([answer], timeout=1.0)

    async def _limited(self, step: Awaitable[T]) -> T:
        try:
            return await asyncio.wait_for(step, self.timeout_s)
        except builtins.TimeoutError:
            raise TimeoutError(f"nothing moved for {self.timeout_s} s") from None


async def _from_disk(path: str | Path, step: Callable[..., Any], *words: Any) -> Any:
    try:
        return await asyncio.to_thread(step, *words)
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error


def _check(answer: bytes) -> None:
    text = answer.decode("ascii", errors="replace").rstrip(" \0\r\n")
    if not text.startswith("0"):
        raise RefusedError(f"the image server refuses: {_REASONS.get(text, text)}")
