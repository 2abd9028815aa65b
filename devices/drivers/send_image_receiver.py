"""Receives images: the other end of sendimage (azcam, dataserver, lbtguider), confined to a folder."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final

from devices.core.errors import BadValueError, DiptychError, NotAllowedError, ProtocolError
from devices.drivers.allowed_folders import AllowedFolders
from devices.drivers.new_file import NewFile
from devices.drivers.send_image_header import DEFAULT_PORT, HEADER_BYTES, REPLY_BYTES, SendImageHeader

_CHUNK_BYTES: Final = 1 << 20
_log = logging.getLogger(__name__)


@dataclass
class ImageReceiver:
    """A server for images; a file appears when all of it is on the disk. Used as an asynchronous context manager.

    Args:
        folder: where images go, also by their name; nothing is written outside.
        on_image: called with each file that is there.
        guider_name: the lines of lbtguider are understood instead of azcam's header; each image gets this name.
        most_bytes: of a file.
        most_clients: more have to wait.
        timeout_s: a client that sends nothing for so long is sent away.
    """

    folder: Path
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    on_image: Callable[[Path, SendImageHeader], None] | None = None
    guider_name: str = ""
    most_bytes: int = 1 << 32
    most_clients: int = 4
    timeout_s: float = 10.0
    _server: asyncio.Server | None = field(default=None, init=False, repr=False)
    _clients: set[asyncio.Task[None]] = field(default_factory=set, init=False, repr=False)

    async def __aenter__(self) -> ImageReceiver:
        self._free = asyncio.Semaphore(self.most_clients)
        self._server = await asyncio.start_server(self._accept, self.host, self.port, limit=_CHUNK_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._clients):
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        peer = writer.get_extra_info("peername")
        try:
            async with self._free:
                path = await self._receive(reader, writer)
            _log.info("image from %s: %s", peer, path)
        except asyncio.CancelledError:
            pass  # the receiver ends
        except TimeoutError:
            _log.warning("image from %s: nothing came for %s s", peer, self.timeout_s)
        except (DiptychError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            _log.warning("image from %s: %s", peer, error)
        except Exception:
            _log.exception("image from %s", peer)
        finally:
            self._clients.discard(task)
            writer.close()

    async def _receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Path:
        header = await self._header(reader)
        try:
            path = self._allowed_path(header)
        except DiptychError as error:
            code = "-2" if isinstance(error, BadValueError) else "-3" if isinstance(error, NotAllowedError) else "-4"
            await self._answer(writer, code)
            await self._discard(reader, min(max(header.size_bytes, 0), self.most_bytes))
            raise
        await self._answer(writer, "0")
        async with _new_file(path, header.overwrite) as file:
            offset = 0
            while offset < header.size_bytes:
                most = min(header.size_bytes - offset, _CHUNK_BYTES)
                content = await asyncio.wait_for(reader.read(most), self.timeout_s)
                if not content:
                    raise ProtocolError(f"{path.name} ended after {offset} of {header.size_bytes} bytes")
                offset = await asyncio.to_thread(file.write, content, offset)
        if self.on_image is not None:
            self.on_image(path, header)
        return path

    async def _discard(self, reader: asyncio.StreamReader, most_bytes: int) -> None:
        """Take what a refused client sends all the same: azcam's reads the answer only when it has sent its file."""
        while most_bytes > 0 and (content := await asyncio.wait_for(reader.read(_CHUNK_BYTES), self.timeout_s)):
            most_bytes -= len(content)

    async def _header(self, reader: asyncio.StreamReader) -> SendImageHeader:
        if not self.guider_name:
            return SendImageHeader.decode(await asyncio.wait_for(reader.readexactly(HEADER_BYTES), self.timeout_s))
        line = await asyncio.wait_for(reader.readuntil(b"\n"), self.timeout_s)
        if not line.strip().isdigit() or len(line) > 22:
            raise ProtocolError(f"{line[:64]!r} is no number of bytes")
        return SendImageHeader(int(line), self.guider_name, overwrite=True)

    def _allowed_path(self, header: SendImageHeader) -> Path:
        if not 0 <= header.size_bytes <= self.most_bytes:
            raise ProtocolError(f"a file of {header.size_bytes} bytes is outside [0, {self.most_bytes}] bytes")
        path = AllowedFolders([self.folder]).resolve(header.name)
        if path.is_dir() or not path.parent.is_dir():
            raise NotAllowedError(f"{header.name} is no file in a folder that is there")
        if path.exists() and not header.overwrite:
            raise BadValueError(f"{path} exists already and is not to be overwritten")
        return path

    async def _answer(self, writer: asyncio.StreamWriter, code: str) -> None:
        if not self.guider_name:
            writer.write(code.ljust(REPLY_BYTES).encode("ascii"))
            await asyncio.wait_for(writer.drain(), self.timeout_s)


@asynccontextmanager
async def _new_file(path: Path, overwrite: bool) -> AsyncIterator[NewFile]:
    """A new file whose steps on the disk are not waited for by the loop."""
    file = await asyncio.to_thread(NewFile(path, overwrite).__enter__)
    try:
        yield file
    except BaseException as error:
        await asyncio.shield(asyncio.to_thread(file.__exit__, type(error), error, error.__traceback__))
        raise
    await asyncio.shield(asyncio.to_thread(file.__exit__, None, None, None))
