"""The simulated camera: answers requests for pictures, turns the spindle, posts what it sees."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Final, Self
from urllib.parse import parse_qs, urlsplit

from devices.core.errors import DiptychError
from devices.simulators.axis.pushing import Pusher
from devices.simulators.axis.settings import AxisCameraSettings
from devices.simulators.axis.view import View
from devices.simulators.dcss.listener import DcssListener

log = logging.getLogger("diptych.simulators.axis")

SNAPSHOT: Final = "/axis-cgi/jpg/image.cgi"
STREAM: Final = "/axis-cgi/mjpg/video.cgi"
#: ``?frames=90`` turns the spindle by so many pictures, and says how many were taken.
ROTATE: Final = "/control/rotate"
BOUNDARY: Final = b"myboundary"
LONGEST_FRAMES: Final = 100_000
#: So many posts may wait for their answers; a camera has little memory.
AT_ONCE: Final = 4


class AxisSimulator:
    """A camera: ``async with AxisSimulator(settings) as camera: await camera.rotate(90)``.

    Attributes:
        port: where it answers.
        step: angle of the spindle, in steps. posted, refused, unheard: pictures that were taken, refused, or for which
            nobody listened.
    """

    def __init__(self, settings: AxisCameraSettings) -> None:
        self.settings = settings
        self.view = View(settings)
        self.port = 0
        self.step = self.posted = self.refused = self.unheard = 0
        self._count = 0
        self._pusher = Pusher(settings)
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._rotation: asyncio.Task[int] | None = None
        self._moved = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, port: int = 0) -> None:
        """Listen; 0: any free port.

        Raises:
            OSError: it is taken.
        """
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = int(self._server.sockets[0].getsockname()[1])
        given = self.settings
        if given.dcss:
            listener = DcssListener(given.dcss, self._shutter_changed, self._motor_stands)
            self._tasks.append(asyncio.create_task(listener.run(), name="listening to DCSS"))
        if given.every_s:
            self._tasks.append(asyncio.create_task(self._rotate_again(), name="turning by itself"))

    async def stop(self) -> None:
        """Close everything."""
        for task in (*self._tasks, *([self._rotation] if self._rotation else [])):
            task.cancel()
        self._pusher.close()
        if self._server is not None:
            self._server.close()
        for writer in self._clients:
            writer.transport.abort()

    async def prepare(self, frames: int) -> None:
        """Make the pictures of a rotation before it begins, so that the computer keeps up."""
        first = self.step
        for step in range(first, first + min(frames, self.view.steps)):
            await asyncio.to_thread(self.view.at, step)

    async def rotate(self, frames: int = LONGEST_FRAMES) -> int:
        """Turn by so many pictures and post each, at their rate; how many were taken."""
        loop, period = asyncio.get_running_loop(), 1.0 / self.settings.fps
        posts: set[asyncio.Task[None]] = set()
        before, due = self.posted, loop.time()
        last: asyncio.Task[None] | None = None
        try:
            for _ in range(frames):
                picture, _truth = await asyncio.to_thread(self.view.at, self.step)
                if len(posts) >= AT_ONCE:
                    await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED)
                last = asyncio.create_task(self._post(picture, last))
                posts.add(last)
                last.add_done_callback(posts.discard)
                self.step += 1
                self._moved.set()
                self._moved = asyncio.Event()
                due += period
                await asyncio.sleep(due - loop.time())
        finally:
            if posts:
                await asyncio.wait(posts)
        return self.posted - before

    async def _post(self, picture: bytes, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])  # cameras send in order
        given = self.settings
        self._count += 1
        if not given.receiver or (given.lose_every and self._count % given.lose_every == 0):
            return
        if given.damage_every and self._count % given.damage_every == 0:
            picture = picture[: len(picture) // 3]
        try:
            status = await self._pusher.post(picture)
        except DiptychError as error:
            self.unheard += 1
            log.debug("a picture is lost: %s", error)
            return
        if status == 200:
            self.posted += 1
        else:
            self.refused += 1

    def _shutter_changed(self, name: str, is_open: bool) -> None:
        if name != self.settings.trigger:
            return
        if self._rotation is not None:
            self._rotation.cancel()
            self._rotation = None
        if is_open:
            self._rotation = asyncio.create_task(self.rotate(), name="rotation")

    def _motor_stands(self, name: str, position: float) -> None:
        if name == self.settings.spindle:
            self.step = round(position / self.settings.step_deg)
        elif name in self.settings.stage_motors:
            self.view.move(self.settings.stage_motors.index(name), position)

    async def _rotate_again(self) -> None:
        given = self.settings
        while True:
            await asyncio.sleep(given.every_s)
            await self.rotate(round(given.fps * given.seconds))

    # Requests

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        with contextlib.suppress(
            OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError
        ):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10.0)
            words = head.decode("latin-1").split(None, 2)
            url = urlsplit(words[1] if len(words) > 2 else "")
            if url.path == SNAPSHOT:
                picture, _ = await asyncio.to_thread(self.view.at, self.step)
                _answer(writer, "200 OK", "image/jpeg", picture)
            elif url.path == STREAM:
                await self._stream(writer)
            elif url.path == ROTATE:
                frames = parse_qs(url.query).get("frames", ["90"])[0]
                taken = await self.rotate(min(int(frames), LONGEST_FRAMES)) if frames.isdigit() else 0
                _answer(writer, "200 OK", "text/plain", f"{taken}\n".encode())
            else:
                _answer(writer, "404 Not Found", "text/plain", b"there is no such page\n")
            await writer.drain()
        self._clients.discard(writer)
        writer.close()

    async def _stream(self, writer: asyncio.StreamWriter) -> None:
        kind = b"multipart/x-mixed-replace; boundary=" + BOUNDARY
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: " + kind + b"\r\nConnection: close\r\n\r\n")
        while True:
            picture, _ = await asyncio.to_thread(self.view.at, self.step)
            head = b"--%b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % (BOUNDARY, len(picture))
            writer.write(head + picture + b"\r\n")
            await writer.drain()
            # A camera streams whether anything moves or not.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), 1.0)


def _answer(writer: asyncio.StreamWriter, status: str, kind: str, body: bytes) -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode() + body)


async def run(port: int, options: Mapping[str, object]) -> None:
    """Simulate until cancelled.

    Args:
        port: where the camera answers.
        options: as `AxisCameraSettings` has them.
    Raises:
        ConfigurationError: wrong options. OSError: the port is taken.
    """
    simulator = AxisSimulator(AxisCameraSettings.of(options))
    await simulator.start(port)
    try:
        await simulator.prepare(simulator.view.steps)
        await asyncio.Event().wait()
    finally:
        await simulator.stop()
