"""The sockets of a simulated controller server: lines of text, files, image data; the controller stands behind it."""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, Self

#: A line or a file that is longer ends the connection, bytes.
LONGEST: Final = 65536
LARGEST_FILE: Final = 32 << 20
#: The most bytes that are sent for one GetImageData.
MOST_BYTES: Final = 5 << 20


class Refused(Exception):
    """The answer is ``ERROR`` and this text."""


@dataclass
class ServerFaults:
    """What is wrong now; tests change it while the simulator runs.

    Attributes:
        mute: nothing is answered. delay_s: everything is answered so much later.
        refused: beginnings of commands that are answered by ``ERROR``.
        stall_in_image, drop_in_image: in the middle of an image nothing more comes, or the connection ends.
        no_image: no image ever comes. short_image: it ends a pixel too early.
    """

    mute: bool = False
    delay_s: float = 0.0
    refused: set[str] = field(default_factory=set)
    stall_in_image: bool = False
    drop_in_image: bool = False
    no_image: bool = False
    short_image: bool = False


class SimulatedController(ABC):
    """What stands behind the sockets.

    Attributes:
        commands: every command that came, in order.
        files: what was uploaded and not deleted: name -> bytes.
    """

    def __init__(self) -> None:
        self.faults = ServerFaults()
        self.commands: list[str] = []
        self.files: dict[str, bytes] = {}
        self._uploads = 0

    @abstractmethod
    def start(self) -> None:
        """The server listens."""

    @abstractmethod
    def close(self) -> None:
        """It does no longer."""

    @abstractmethod
    async def answer(self, words: list[str]) -> str:
        """What stands behind OK; may wait, as the hardware would.

        Raises:
            Refused: the answer is ERROR. ValueError: likewise; a word is not what it should be.
        """

    @property
    @abstractmethod
    def image(self) -> memoryview:
        """All bytes of the image that is, or is going to be, read out."""

    @property
    @abstractmethod
    def image_ready(self) -> int:
        """Bytes of it that were read out."""

    async def reply(self, line: str) -> str:
        """The line that answers one."""
        self.commands.append(line)
        if any(line.startswith(beginning) for beginning in self.faults.refused):
            return f"ERROR {line.split()[0]} is refused"
        try:
            words = line.split()
            match words:
                case ["Echo", *_]:
                    text = line[5:].strip().strip('"')
                case ["cmd", "DeleteFile", name]:
                    if self.files.pop(name, None) is None:
                        raise Refused(f"there is no file {name}")
                    text = ""
                case _:
                    text = await self.answer(words)
        except (Refused, ValueError) as error:
            return f"ERROR {error}"
        return f"OK {text}".rstrip()

    def keep(self, content: bytes) -> str:
        """Store a file that was uploaded; its name."""
        self._uploads += 1
        name = f"/tmp/upload{self._uploads:04d}"  # noqa: S108 - a name in a reply; nothing is written
        self.files[name] = content
        return name


class ControllerServerSimulator:
    """The sockets; ``async with`` listens."""

    def __init__(self, controller: SimulatedController, host: str) -> None:
        self.controller = controller
        self._host = host
        self._socket: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients: set[socket.socket] = set()

    @property
    def faults(self) -> ServerFaults:
        return self.controller.faults

    @property
    def port(self) -> int:
        assert self._socket is not None, "not started"
        return int(self._socket.getsockname()[1])

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, port: int = 0) -> None:
        """Listen.

        Raises:
            OSError: the port is taken.
        """
        self._socket = socket.create_server((self._host, port))
        self._socket.setblocking(False)
        self.controller.start()
        self._keep(self._accept(self._socket))

    async def stop(self) -> None:
        """End all connections and what the controller does."""
        self.controller.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()

    def drop_connections(self) -> None:
        """As when the cable is pulled."""
        for client in self._clients:
            client.shutdown(socket.SHUT_RDWR)

    async def _accept(self, listening: socket.socket) -> None:
        while True:
            client, _ = await asyncio.get_running_loop().sock_accept(listening)
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._keep(self._serve(client))

    async def _serve(self, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._clients.add(client)
        rest, sent = b"", 0
        try:
            while True:
                line, separator, behind = rest.partition(b"\n")
                if not separator:
                    data = await loop.sock_recv(client, LONGEST)
                    if not data or len(rest) > LONGEST:
                        return
                    rest += data
                    continue
                rest = behind
                text = line.decode("latin-1").strip()
                if self.faults.delay_s:
                    await asyncio.sleep(self.faults.delay_s)
                if not text or self.faults.mute:
                    continue
                if text.startswith("GetImageData "):
                    sent = await self._send_image(client, text, sent)
                    if sent < 0:
                        return
                elif text.startswith("cmd UploadFile "):
                    rest = await self._take_file(client, text, rest)
                else:
                    await loop.sock_sendall(client, f"{await self.controller.reply(text)}\r\n".encode("latin-1"))
        except OSError:
            pass  # the client has gone, which is its right
        finally:
            self._clients.discard(client)
            client.close()

    async def _take_file(self, client: socket.socket, text: str, rest: bytes) -> bytes:
        """A file as it comes; returns what came behind it."""
        loop = asyncio.get_running_loop()
        refusal = await self.controller.reply(text) if "cmd UploadFile" in self.faults.refused else ""
        size = text.split()[-1]
        if refusal or not size.isdecimal() or int(size) > LARGEST_FILE:
            await loop.sock_sendall(client, f"{refusal or f'ERROR {size} bytes'}\r\n".encode("latin-1"))
            return rest
        self.controller.commands.append(text)
        await loop.sock_sendall(client, b"OK\r\n")
        content = bytearray(rest)
        while len(content) < int(size):
            data = await loop.sock_recv(client, LONGEST)
            if not data:
                raise ConnectionResetError
            content += data
        name = self.controller.keep(bytes(content[: int(size)]))
        await loop.sock_sendall(client, f"OK {name}\r\n".encode("latin-1"))
        return bytes(content[int(size) :])

    async def _send_image(self, client: socket.socket, text: str, sent: int) -> int:
        """Answer one GetImageData; how much of the image this connection has had now, -1: nothing more comes."""
        loop, faults = asyncio.get_running_loop(), self.faults
        image = self.controller.image
        most = text.split()[1]
        if not most.isdecimal():
            await loop.sock_sendall(client, f"ERROR {most} is no number of bytes\r\n".encode("latin-1"))
            return sent
        whole = len(image) - (2 if faults.short_image else 0)
        ready = 0 if faults.no_image else min(self.controller.image_ready, whole)
        count = max(0, min(int(most), ready - sent, MOST_BYTES))
        part = image[sent : sent + count]
        await loop.sock_sendall(client, f"{count:16d} ".encode("ascii"))
        if count and sent + count > whole // 2:
            if faults.drop_in_image:
                await loop.sock_sendall(client, part[: count // 2])
                return -1
            if faults.stall_in_image:
                await loop.sock_sendall(client, part[: count // 2])
                await asyncio.Event().wait()
        await loop.sock_sendall(client, part)
        return sent + count

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
