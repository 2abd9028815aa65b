"""Sessions: who is logged in, until when, and over which sockets. In memory only: a restart logs everybody out."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from servers.web.login.person import Person

ENDED: Final = 4401  # web-socket close code: log in again
MAX_OF_PERSON: Final = 50  # the oldest one is ended
CLOSE_S: Final = 2.0  # for a page to say good-bye


@dataclass(eq=False)
class Session:
    """A login, or whatever stands for one.

    Attributes:
        credential: what it rests on: a hash of a password, a token. When that changes, it ends.
        idle_s, absolute_s: how long it lasts without and with activity; None for no bound.
        why: it has ended, and why; "" while it lasts.
    """

    person: Person
    credential: object = None
    idle_s: float | None = None
    absolute_s: float | None = None
    began: float = field(default_factory=time.monotonic)
    used: float = field(default_factory=time.monotonic)
    sockets: set[web.WebSocketResponse] = field(default_factory=set)
    why: str = ""

    def touch(self) -> None:
        """The person did something."""
        self.used = time.monotonic()

    def overdue(self) -> str:
        """Why it should end now; "" for not yet."""
        now = time.monotonic()
        if self.absolute_s is not None and now - self.began >= self.absolute_s:
            return "the session has lasted its time: log in again"
        if self.idle_s is not None and now - self.used >= self.idle_s:
            return "nothing was done for a long time: log in again"
        return ""

    async def close(self, why: str) -> None:
        """End it: its sockets are closed, and nothing is accepted over them from now on."""
        self.why = self.why or why
        leaving = (socket.close(code=ENDED, message=why.encode()) for socket in tuple(self.sockets))
        with suppress(TimeoutError):  # their handlers end all the same
            await asyncio.wait_for(asyncio.gather(*leaving, return_exceptions=True), CLOSE_S)


class Sessions:
    """All sessions by what the browser shows for them."""

    def __init__(self) -> None:
        self._of: dict[Hashable, Session] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._of)

    @property
    def all(self) -> list[tuple[Hashable, Session]]:
        return list(self._of.items())

    def begin(self, session: Session) -> str:
        """Keep a new session; its secret id. Another one is taken for every login."""
        same = [key for key, each in self._of.items() if each.person.name == session.person.name]
        for key in same[: max(0, len(same) + 1 - MAX_OF_PERSON)]:
            self.end(key, "there are too many sessions of one person")
        key = secrets.token_urlsafe(32)
        self._of[key] = session
        return key

    def keep(self, key: Hashable, session: Session) -> Session:
        """Keep a session that needs no secret: who comes is asked each time."""
        self._of[key] = session
        return session

    def find(self, key: Hashable) -> Session | None:
        """The session, if it still lasts."""
        session = self._of.get(key)
        if session is not None and (why := session.overdue()):
            self.end(key, why)
            return None
        return session

    def end(self, key: Hashable, why: str) -> Session | None:
        """End a session, if there is one."""
        session = self._of.pop(key, None)
        if session is not None:
            session.why = why
            task = asyncio.create_task(session.close(why))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        return session
