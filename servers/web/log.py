"""The log for pages: its newest entries as JSON, and live on a socket."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from aiohttp import WSMsgType, web

from devices.core.errors import BadValueError, RangeError
from servers.log.entry import Entry
from servers.log.folder import series_of
from servers.log.follower import Follower
from servers.log.newest import newest
from servers.log.question import Question, question_of
from servers.web import sender

log = logging.getLogger(__name__)

PERIOD_S: Final = 0.25
LIMIT_BYTES: Final = 16 << 20  # that one question may read
MAX_WAITING: Final = 1000  # entries for one page; of more it gets the newest
WORKERS: Final = 2  # one long question does not hold up what is live
OFF: Final = "this server was not told where the log is"

T = TypeVar("T")


@dataclass(eq=False)
class Viewer:
    """A page that follows the log."""

    question: Question
    waiting: deque[Entry] = field(default_factory=lambda: deque(maxlen=MAX_WAITING))
    left_out: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if self.question.matches(entry):
                self.left_out += len(self.waiting) == MAX_WAITING
                self.waiting.append(entry)
                self.wake.set()


class Log:
    """Answers questions about the log, and follows it while a page looks.

    Args:
        folder: of the log files; None: there is none.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="log")
        self._viewers: set[Viewer] = set()
        self._following: asyncio.Task[None] | None = None
        self._follower: Follower | None = None
        self._beginning = asyncio.Lock()

    async def shown(self, request: web.Request) -> web.Response:
        """``/log?level=WARNING&count=50``: the newest entries, the newest first."""
        folder, question, count = self._asked(request)
        answer = await self._run(lambda: newest(folder, question, count, LIMIT_BYTES))
        response = web.json_response(
            {
                "entries": [entry.as_dict() for entry in answer.entries],
                "complete": answer.is_complete,
                "servers": [series.server for series in series_of(folder)],
            }
        )
        response.enable_compression()
        return response

    async def live(
        self, request: web.Request, opened: AbstractAsyncContextManager[web.WebSocketResponse]
    ) -> web.StreamResponse:
        """``/log/live``, asked in the same way: what there is, oldest first, and then what comes."""
        folder, question, count = self._asked(request)
        async with opened as answer:
            viewer = Viewer(question)
            self._viewers.add(viewer)
            sending = sender.start(self._send(folder, viewer, count, answer), answer)
            try:
                async for message in answer:
                    if message.type is not WSMsgType.TEXT:
                        break
                    if _is_echo(message.data):
                        await answer.send_str(message.data)
            finally:
                self._viewers.discard(viewer)
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
        return answer

    async def close(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        self._workers.shutdown(wait=True, cancel_futures=True)
        if self._follower is not None:
            self._follower.close()

    def _asked(self, request: web.Request) -> tuple[Path, Question, int]:
        if self._folder is None:
            raise web.HTTPNotFound(text=OFF)
        try:
            return (self._folder, *question_of(request.query))
        except (BadValueError, RangeError) as error:
            raise web.HTTPBadRequest(text=str(error)) from error

    async def _send(self, folder: Path, viewer: Viewer, count: int, answer: web.WebSocketResponse) -> None:
        await self._follow(folder)
        past = await self._run(lambda: newest(folder, viewer.question, count, LIMIT_BYTES))
        servers = [series.server for series in series_of(folder)]
        beginning = {"type": "begin", "servers": servers, "complete": past.is_complete}
        await answer.send_str(json.dumps(beginning))
        known = {entry.id for entry in past.entries}
        await _send_entries(answer, reversed(past.entries), 0)
        while True:
            await viewer.wake.wait()
            viewer.wake.clear()
            entries, left_out = [entry for entry in viewer.waiting if entry.id not in known], viewer.left_out
            viewer.waiting.clear()
            viewer.left_out = 0
            await _send_entries(answer, entries, left_out)

    async def _follow(self, folder: Path) -> None:
        """Be sure that what comes from now on is heard."""
        async with self._beginning:
            if self._following is None or self._following.done():
                if self._follower is not None:
                    self._follower.close()
                self._follower = await self._run(lambda: Follower(folder))
                self._following = asyncio.create_task(self._hear(self._follower))

    async def _hear(self, follower: Follower) -> None:
        while self._viewers:
            try:
                entries = await self._run(follower.take)
            except OSError as error:
                log.warning("the log cannot be read: %s", error)
                entries = []
            for viewer in self._viewers:
                viewer.hear(entries)
            await asyncio.sleep(PERIOD_S)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._workers, work)


async def _send_entries(answer: web.WebSocketResponse, entries: Iterable[Entry], left_out: int) -> None:
    found = [entry.as_dict() for entry in entries]
    if found or left_out:
        await answer.send_str(json.dumps({"type": "entries", "entries": found, "left_out": left_out}))


def _is_echo(text: str) -> bool:
    with suppress(ValueError, RecursionError):
        message = json.loads(text)
        return isinstance(message, dict) and message.get("type") == "echo"
    return False
