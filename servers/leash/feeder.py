"""The feeder: announces image files of a folder as they become complete."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import stat
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import zmq
import zmq.asyncio

from devices.core.errors import ConfigurationError
from devices.drivers.image_folder import Version
from devices.saxs.folder_watch import changed_images, images_below
from servers.leash.endpoint import Endpoint
from servers.leash.feeder_link import announcement

log = logging.getLogger(__name__)

SETTLED_S: Final = 0.3
LOOK_S: Final = 0.05
NOTHING: Final = Version(0, 0, 0)
MOST_ANNOUNCED: Final = 10_000
#: Announcements that wait for a server; of more the oldest are dropped.
MOST_WAITING: Final = 100_000


class Publisher:
    """Announces files to all servers that listen; what is complete before the first of them listens waits for it.

    Attributes:
        endpoint: where it listens.
    """

    def __init__(self, feeder: Endpoint, bind: str) -> None:
        """Raises:
        ConfigurationError: the address is taken, or is none of this host.
        """
        self._context = zmq.asyncio.Context()
        self._socket = self._context.socket(zmq.XPUB)  # a PUB that hears who subscribes
        self._socket.setsockopt(zmq.IPV6, int(":" in bind))
        self._socket.sndhwm = MOST_WAITING
        try:
            self._socket.bind(feeder.at(bind))
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise ConfigurationError("feeder", [f"cannot listen on {feeder.at(bind)}: {error.strerror}"]) from error
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self._waiting: deque[str] = deque(maxlen=MOST_WAITING)
        self._listeners = False

    async def announce(self, path: str) -> None:
        """Tell all that listen, or keep it for the first that will."""
        log.info("%s", path)
        if self._listeners:
            await self._socket.send(announcement(path))
        else:
            self._waiting.append(path)

    async def follow_listeners(self) -> None:
        """For ever: know whether anybody listens."""
        while True:
            message = await self._socket.recv()
            listeners = message[:1] == b"\1"
            if listeners != self._listeners:
                log.info("a server listens" if listeners else "nobody listens")
            self._listeners = listeners
            while self._listeners and self._waiting:
                await self._socket.send(announcement(self._waiting.popleft()))

    def close(self, linger_s: float = 1.0) -> None:
        self._context.destroy(linger=int(1000 * linger_s))


class SettledFiles:
    """Which of the files that changed are complete: each version of a file is handed out once.

    Args:
        settled_s: how long a complete file has not changed, s.
    """

    def __init__(self, settled_s: float = SETTLED_S) -> None:
        self._settled_s = settled_s
        self._changing: dict[str, tuple[Version, float]] = {}
        self._announced: OrderedDict[str, Version] = OrderedDict()

    def changed(self, paths: Iterable[str]) -> None:
        """Files that are new, were written to, or came by a new name."""
        for path in paths:
            self._changing.setdefault(path, (NOTHING, 0.0))

    @property
    def changing(self) -> list[str]:
        return list(self._changing)

    def complete(self, found: Mapping[str, Version | None], now_s: float) -> Iterator[str]:
        """Those that are complete: not empty, and the same at all looks for a while.

        Args:
            found: how they are now; None when there is no such file any more.
            now_s: of a clock that is never set.
        """
        for path, version in sorted(found.items()):
            before, since_s = self._changing[path]
            if version is None:
                del self._changing[path]
            elif version != before:
                self._changing[path] = version, now_s
            elif version.size and now_s - since_s >= self._settled_s:
                del self._changing[path]
                if self._announced.pop(path, None) != version:
                    yield path
                self._announced[path] = version
        while len(self._announced) > MOST_ANNOUNCED:
            self._announced.popitem(last=False)


def run(folder: Path, feeder: Endpoint, bind: str, *, existing: bool, polls: bool, settled_s: float) -> None:
    """Announce images of a folder until Ctrl-C or SIGTERM; see `feed`."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    logging.getLogger("watchfiles").setLevel(logging.WARNING)

    async def until_told() -> None:
        task = asyncio.ensure_future(feed(folder, feeder, bind, existing=existing, polls=polls, settled_s=settled_s))
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(name, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(until_told())


async def feed(folder: Path, feeder: Endpoint, bind: str, *, existing: bool, polls: bool, settled_s: float) -> None:
    """Announce images of a folder and all below it until cancelled.

    A path is announced as ``folder`` is spelled: relative ones are below the base folder of the server.

    Args:
        existing: whether those that are there already are announced, too.
        polls: look again and again; for file systems that other machines write to and tell nothing.
        settled_s: a file that has not changed for this time is complete, s.

    Raises:
        NotConnectedError: there is no such folder, or it went away. ConfigurationError: the address is taken.
    """
    publisher = Publisher(feeder, bind)
    files = SettledFiles(settled_s)
    loops = [publisher.follow_listeners(), _announce(files, publisher), _watch(folder, files, existing, polls)]
    tasks = [asyncio.create_task(loop) for loop in loops]
    log.info("announces images below %s at %s", folder, publisher.endpoint)
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        publisher.close()


async def _watch(folder: Path, files: SettledFiles, existing: bool, polls: bool) -> None:
    is_first = True
    async for paths in changed_images(folder, polls=polls):
        files.changed(_spelled(path, folder) for path in paths)
        if is_first and existing:
            for some in await asyncio.to_thread(lambda: list(images_below(folder))):
                files.changed(_spelled(path, folder) for path in some)
        is_first = False


async def _announce(files: SettledFiles, publisher: Publisher) -> None:
    while True:
        if changing := files.changing:
            found = await asyncio.to_thread(_versions, changing)
            for path in files.complete(found, time.monotonic()):
                await publisher.announce(path)
        await asyncio.sleep(LOOK_S)


def _spelled(path: str, folder: Path) -> str:
    """A path below a folder, which begins as the folder was given."""
    return os.path.normpath(os.path.join(folder, os.path.relpath(path, folder)))


def _versions(paths: Iterable[str]) -> dict[str, Version | None]:
    return {path: _version(path) for path in paths}


def _version(path: str) -> Version | None:
    try:
        status = os.stat(path)
    except OSError:  # removed meanwhile
        return None
    return Version(status.st_mtime_ns, status.st_size, status.st_ino) if stat.S_ISREG(status.st_mode) else None
