"""Clients as sites have them: the console's socket, and raw lines."""

from __future__ import annotations

import asyncio
import json
import shlex
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from servers.azcam.service import AzcamService
from servers.azcam.settings import Address, AzcamSettings
from tests.ccd.camera import Camera, camera
from tests.support.running import until

T = TypeVar("T")


class ServerError(Exception):
    """The server answered ERROR."""


class Console:
    """What a console does with a socket: sends a line, reads until a line feed, splits the reply as a shell would."""

    def __init__(self, endpoint: str) -> None:
        host, _, port = endpoint.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), 5.0)
        self.socket.settimeout(20.0)
        assert self.command("register console") is None

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def line(self, command: str) -> str:
        """A reply as it comes, without its end."""
        self.socket.sendall(f"{command}\n".encode())
        reply = b""
        for _ in range(1024):
            piece = self.socket.recv(1024)
            reply += piece
            if reply.endswith(b"\n") or not piece:
                break
        return reply.decode().removesuffix("\r\n")

    def command(self, command: str) -> Any:
        """None, a text or a list of texts."""
        reply = self.line(command)
        words = [reply.strip()] if command == "exposure.get_status" else shlex.split(reply)
        if words[0] == "ERROR":
            raise ServerError(" ".join(words[1:]))
        if command == "exposure.get_status":
            return words[0].removeprefix("OK ")
        assert words[0] == "OK", reply
        return None if len(words) == 1 else words[1] if len(words) == 2 else words[1:]

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.command("exposure.get_status"))
        return found


class Served:
    """A camera with its services; ``talk`` runs what blocks beside the loop that serves it."""

    def __init__(self, camera: Camera, service: AzcamService) -> None:
        self.camera, self.service = camera, service

    async def console(self, work: Callable[[Console], T]) -> T:
        def session() -> T:
            with Console(self.service.endpoint) as console:
                return work(console)

        return await asyncio.to_thread(session)

    async def lines(self, *requests: str) -> list[str]:
        """The replies to these lines, one after the other."""
        return await self.console(lambda console: [console.line(each) for each in requests])

    async def raw(self, pieces: Sequence[bytes], lines: int) -> list[str]:
        """Send bytes piece by piece; so many lines of the answer."""
        host, _, port = self.service.endpoint.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await self.lines("echo")  # an answer from the same loop: this segment has been read by now
            return [(await asyncio.wait_for(reader.readline(), 10.0)).decode() for _ in range(lines)]
        finally:
            writer.close()


@asynccontextmanager
async def served(folder: Path, settings: AzcamSettings | None = None, **properties: Any) -> AsyncIterator[Served]:
    """The camera of the tests with its azcam services."""
    async with camera(folder / "data", **properties) as found:
        service = AzcamService(found.exposure, settings or AzcamSettings(web=Address(), system="tests"))
        await service.start()
        try:
            await until(lambda: found.tempcon.camera_temperature.reading.value is not None, "temperatures")
            yield Served(found, service)
        finally:
            await service.stop()


def on_camera(
    folder: Path, test: Callable[[Served], Any], settings: AzcamSettings | None = None, **properties: Any
) -> None:
    """Run a test on a served camera."""

    async def work() -> None:
        async with served(folder, settings, **properties) as found:
            await test(found)

    asyncio.run(work())
