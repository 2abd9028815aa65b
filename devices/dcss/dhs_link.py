"""The connection of one hardware server (DHS) to DCSS: logs in, hands over what comes, comes back after every loss."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import logging
import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from devices.core.errors import BadValueError, TimeoutError
from devices.dcss.dhs_session import DhsSession
from devices.dcss.handler import DhsHandler, Message, Sender
from devices.drivers import dcs_text, tcl_list
from devices.drivers.dcs_record import WireRecord
from devices.drivers.xos import Frame

#: Between attempts while nobody listens there: that costs nobody anything, and who waits for DCSS waits no longer.
LONGEST_UNHEARD_S: Final = 0.5
#: DCSS says nothing to a login that it takes; its last reason to refuse one (the name is there already) needs 3 s.
ACCEPTED_AFTER_S: Final = 3.5
#: A thread that calculates keeps the interpreter for so long, s, in the process of a link. Eight of them with Python's
#: 5 ms each let DCSS wait 40 ms and more for each turn of the loop, and DCSS takes a login for 1 s only.
LONGEST_TURN_S: Final = 0.0005
#: DCSS asks at once.
ASKED_WITHIN_S: Final = 2.0


@dataclass(frozen=True)
class LinkSettings:
    """How a link behaves.

    Args:
        first_retry_s, longest_retry_s: waiting times after a loss: the first one, doubled up to the longest, s.
        connect_s: bound of one attempt to connect, s.
        dead_after_s: so long without any sign of the peer's computer ends the connection, s.
        protocol: 1, 2, or 0: DCSS shows it by its first registration.
        max_text_bytes: of what is sent, with its NUL.
        max_unsent_bytes: DCSS has stopped reading when so many wait; the connection is ended.
    """

    first_retry_s: float = 0.2
    longest_retry_s: float = 5.0
    connect_s: float = 1.0
    dead_after_s: float = 5.0
    protocol: int = 0
    max_text_bytes: int = dcs_text.MAX_TEXT_BYTES
    max_unsent_bytes: int = 8 << 20

    def __post_init__(self) -> None:
        if not 0.0 < self.first_retry_s <= self.longest_retry_s:
            raise BadValueError(f"first_retry_s = {self.first_retry_s:g} s is outside (0, {self.longest_retry_s:g}] s")
        if self.protocol not in (0, 1, 2):
            raise BadValueError(f"protocol = {self.protocol} is none of 0, 1, 2")


class DhsLink(Sender):
    """One name at one DCSS; a process may have several.

    Args:
        host, port: of the hardware port of DCSS.
        name: as in the database of DCSS.
        handler: is told everything, in the loop of `start`.
        record: takes down what goes over the wire.
    Attributes:
        state: ``stopped``, ``connecting``, ``logging in``, ``online``.
        logins, losses: since the start. sent, received: messages. dropped_stale: messages for a login that was over.
        latency: from the last message's arrival until its handler had it, s.
        last_loss: why. online_since: Unix time, s; 0.0: it is not.
    """

    def __init__(
        self,
        host: str,
        port: int,
        name: str,
        handler: DhsHandler,
        settings: LinkSettings | None = None,
        *,
        record: WireRecord | None = None,
    ) -> None:
        if dcs_text.word(name) != name or len(name) > dcs_text.MAX_NAME:
            raise BadValueError(f"name = {name!r} is no word of 1 to {dcs_text.MAX_NAME} letters, digits and _")
        self.host, self.port, self.name = host, port, name
        self._handler, self._settings, self._record = handler, settings or LinkSettings(), record
        self._log = logging.getLogger(f"diptych.dcss.{name}")
        self._session: DhsSession | None = None
        self._task: asyncio.Task[None] | None = None
        self._generation = 0
        self._told = ""
        self.state = "stopped"
        self.logins = self.losses = self.sent = self.received = self.dropped_stale = 0
        self.latency = self.online_since = 0.0
        self.last_loss = ""

    @property
    def generation(self) -> int:
        return self._generation

    @property
    def is_online(self) -> bool:
        """Whether DCSS has taken the login."""
        return self.state == "online"

    async def start(self) -> None:
        """Connect, and stay connected until `stop`; returns at once."""
        if self._task is None:
            sys.setswitchinterval(min(sys.getswitchinterval(), LONGEST_TURN_S))
            self.state = "connecting"
            self._task = asyncio.create_task(self._stay_connected(), name=f"dhs {self.name}")

    async def stop(self) -> None:
        """End the connection; what was sent before goes out first, within 1 s."""
        if self._task is None:
            return
        if self._session is not None:
            await self._session.finish(1.0)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None
        self.state = "stopped"

    def send(self, command: str, words: Sequence[object], *, generation: int | None = None, rest: str = "") -> bool:
        text = dcs_text.compose(command, words, rest, max_bytes=self._settings.max_text_bytes)
        session = self._session
        is_due = self.is_online and generation in (None, self._generation)
        if session is None or not is_due or not session.send(text):
            self.dropped_stale += 1
            return False
        self.sent += 1
        self._note("out", text)
        return True

    async def _stay_connected(self) -> None:
        delay = self._settings.first_retry_s
        while True:
            self.state = "connecting"
            session: DhsSession | None = None
            try:
                session = await self._connect()
                why = await self._live(session)
            except OSError as error:
                why = f"{self.host}:{self.port}: {os.strerror(error.errno) if error.errno else error}"
            finally:
                if self.is_online:
                    delay = self._settings.first_retry_s
                self._leave(session)
            self._trouble(why)
            # Only a DCSS that takes connections and refuses the login is left alone for longer and longer.
            bounded = delay if session is not None else min(delay, LONGEST_UNHEARD_S)
            await asyncio.sleep(bounded * random.uniform(0.8, 1.2))  # noqa: S311 (spreads the load, hides nothing)
            delay = min(self._settings.longest_retry_s, delay * 2)

    async def _connect(self) -> DhsSession:
        settings = self._settings
        self._session = session = DhsSession(
            self.name,
            self._arrived,
            protocol=settings.protocol,
            dead_after_s=settings.dead_after_s,
            max_unsent_bytes=settings.max_unsent_bytes,
        )
        try:
            async with asyncio.timeout(settings.connect_s):
                await asyncio.get_running_loop().create_connection(lambda: session, self.host, self.port)
        except builtins.TimeoutError:
            raise TimeoutError(f"no connection within {settings.connect_s:g} s") from None
        self.state = "logging in"
        return session

    async def _live(self, session: DhsSession) -> str:
        """Wait until a session ends; why it did."""
        either: list[asyncio.Future[Any]] = [session.asked, session.ended]
        await asyncio.wait(either, timeout=ASKED_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        if not session.asked.done():
            session.end(f"DCSS has not asked who we are within {ASKED_WITHIN_S:g} s")
        await asyncio.wait([session.ended], timeout=ACCEPTED_AFTER_S)
        if not session.ended.done():
            self._accepted()
        return await session.ended

    def _arrived(self, frame: Frame, when: float) -> None:
        """A frame after the login; what DCSS says first says that it knows us."""
        self._accepted()
        self.received += 1
        self._note("in", frame.text, frame.binary)
        command, _, text = frame.text.partition(" ")
        if not command:
            return
        text = text.strip(" ")
        try:
            self._handler.take(Message(command, _words(text), text, frame.binary))
        except Exception:
            # One message that its handler cannot bear must not cost the others theirs.
            self._log.exception("%s", dcs_text.masked(frame.text)[:200])
        self.latency = asyncio.get_running_loop().time() - when

    def _accepted(self) -> None:
        if self.state != "logging in":
            return
        self.state = "online"
        self._generation += 1
        self.logins += 1
        self.online_since = time.time()
        self._note("link", f"online {self._generation}")
        if self._told:
            self._log.info("%s: logged in again", self._peer)
        self._told = ""
        self._handler.logged_in(self)

    def _leave(self, session: DhsSession | None) -> None:
        """The session is over: nothing of it may be sent or come any more."""
        was_online, self.state = self.is_online, "connecting"
        self._session = None
        self.online_since = 0.0
        if session is not None:
            session.end("ended here")
        if was_online:
            self.losses += 1
            self.last_loss = session.ended.result() if session is not None and session.ended.done() else "ended here"
            self._note("link", f"lost: {self.last_loss}")
            self._handler.lost(self.last_loss)

    def _trouble(self, why: str) -> None:
        """Log a trouble once."""
        if why != self._told:
            self._log.warning("%s: %s", self._peer, why)
        self._told = why

    @property
    def _peer(self) -> str:
        return f"{self.name} at {self.host}:{self.port}"

    def _note(self, direction: str, text: str, binary: bytes = b"") -> None:
        if self._record is None:
            return
        try:
            self._record.note(self.name, direction, text, binary)
        except OSError as error:
            # A full disk ends the record, not the beamline.
            self._log.error("the wire is recorded no more: %s", error)
            self._record = None


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(tcl_list.split(text))
    except BadValueError:
        return tuple(text.split())  # no list: a person's text
