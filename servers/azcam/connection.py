"""One client of the text protocol: lines, each answered before the next is looked at."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections import deque
from collections.abc import Coroutine
from typing import Any, Final, Protocol

from devices.core.client import asked_by
from servers.azcam import reply
from servers.azcam.commands import Commands
from servers.azcam.reply import AzcamError
from servers.azcam.settings import AzcamSettings

log = logging.getLogger("diptych.azcam")

#: The longest line, bytes.
MOST_LINE: Final = 65536
#: So many lines of one client are carried out before others have their turn.
TURN: Final = 50
#: A client that has so many lines waiting is not read from.
MOST_WAITING: Final = 1000


class Owner(Protocol):
    """Who has connections."""

    def gone(self, connection: Connection) -> None:
        """A connection has ended."""

    def end_server(self) -> None:
        """A client that may has asked this process to end."""


class Connection(asyncio.Protocol):
    """The bytes of one client.

    Args:
        too_many: whether it is one too many, and is told so.
    """

    def __init__(self, owner: Owner, commands: Commands, settings: AzcamSettings, *, too_many: bool = False) -> None:
        self._owner, self._commands, self._settings = owner, commands, settings
        self._too_many = too_many
        self._may = not settings.token
        self._transport: asyncio.Transport
        self._rest = b""
        self._lines: deque[bytes] = deque()
        self._task: asyncio.Task[None] | None = None
        self._is_scheduled = self._is_stuck = self._is_over = False
        self._label = self._client = ""

    # Called by the loop --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._label = str((transport.get_extra_info("peername") or ("?",))[0])
        self._client = f"azcam {self._label}"
        log.debug("%s connects", self._label)
        if self._too_many:
            self._say(reply.error(AzcamError(f"there are {self._settings.connections} clients already")))
            self._close()
        elif self._settings.welcome:
            self._say(self._settings.welcome)

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        is_one_line = data.find(b"\n") == len(data) - 1 and len(data) <= MOST_LINE
        if is_one_line and not self._rest and not self._lines and self._task is None:
            self._lines.append(data[:-1])  # what nearly all clients send
        else:
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._lines.extend(lines)
            if len(self._rest) > MOST_LINE or any(len(line) > MOST_LINE for line in self._lines):
                self._lines.clear()
                self._say(reply.error(ValueError(f"a line has more than {MOST_LINE} bytes")))
                self._close()
                return
            self._flow()
        if not self._is_scheduled:
            self._work()

    def eof_received(self) -> bool:
        # What the client has sent is answered.
        self._lines.append(b"closeconnection")
        if not self._is_scheduled:
            self._work()
        return True

    def pause_writing(self) -> None:
        self._is_stuck = True
        self._flow()

    def resume_writing(self) -> None:
        self._is_stuck = False
        self._flow()
        self._work()

    def connection_lost(self, error: Exception | None) -> None:
        # What the client has started goes on; only its waiting ends.
        self._is_over = True
        self._lines.clear()
        if self._task is not None:
            self._task.cancel()
        self._owner.gone(self)

    # For the service -----------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """End the connection."""
        self._is_over = True
        self._transport.abort()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    # Lines ---------------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        """Carry out lines, until one takes time or others should have their turn."""
        self._is_scheduled = False
        lines = self._lines
        answers: list[str] = []
        while lines and self._task is None and not self._is_stuck and not self._is_over and len(answers) < TURN:
            with asked_by(self._client):
                found = self._answer(lines.popleft())
                if isinstance(found, str):
                    answers.append(found)
                else:
                    self._task = asyncio.create_task(self._later(found), name=f"azcam command of {self._label}")
        if answers:
            self._transport.write(("\r\n".join(answers) + "\r\n").encode(errors="replace"))
        if self._is_over:
            self._transport.close()
            return
        self._flow()
        if lines and self._task is None and not self._is_stuck:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._work)

    async def _later(self, work: Coroutine[Any, Any, str]) -> None:
        answer = await work
        self._task = None
        self._say(answer)
        self._work()

    def _answer(self, raw: bytes) -> str | Coroutine[Any, Any, str]:
        try:
            line = raw.decode().strip()
        except UnicodeDecodeError as error:
            return reply.error(ValueError(f"a line is not UTF-8: {error.reason}"))
        first, _, rest = line.partition(" ")
        own = _SESSION.get(first.casefold())
        if own is not None:
            return own(self, rest.strip())
        if not self._may:
            return reply.error(AzcamError("a token is needed first: token TEXT"))
        if self._commands.parameters.logs_commands:
            log.info("%s: %s", self._label, line[:500])
        return self._commands.line(line)

    def _nothing(self, rest: str) -> str:
        self._is_over = True
        return reply.OK

    def _register(self, rest: str) -> str:
        self._label = f"{self._label.partition(' ')[0]} {rest[:80]}".rstrip()
        return reply.OK

    def _echo(self, rest: str) -> str:
        return f"{reply.OK} {rest}" if rest else reply.OK

    def _token(self, rest: str) -> str:
        if self._settings.token and not hmac.compare_digest(rest.encode(), self._settings.token.encode()):
            log.warning("%s: a wrong token", self._label)
            self._is_over = True
            return reply.error(AzcamError("this is not the token"))
        self._may = True
        return reply.OK

    def _updatemonitor(self, rest: str) -> str:
        return reply.error(AzcamError("there is no monitor"))

    def _exit(self, rest: str) -> str:
        if not (self._settings.exit and self._may):
            return reply.error(AzcamError("remote call not allowed: exit"))
        log.warning("%s ends the server", self._label)
        self._owner.end_server()
        return reply.OK

    # Bytes ---------------------------------------------------------------------------------------------------------

    def _say(self, line: str) -> None:
        if not self._transport.is_closing():
            self._transport.write(f"{line}\r\n".encode(errors="replace"))

    def _close(self) -> None:
        self._is_over = True
        self._transport.close()

    def _flow(self) -> None:
        """Read on, or not: a client that does not take its answers, or sends faster than they are made, waits."""
        if self._is_over or self._transport.is_closing():
            return
        wanted = not self._is_stuck and len(self._lines) < MOST_WAITING
        if wanted and not self._transport.is_reading():
            self._transport.resume_reading()
        elif not wanted and self._transport.is_reading():
            self._transport.pause_reading()


#: What a client may say of its connection, upper or lower case; an empty line ends it.
_SESSION: Final = {
    "": Connection._nothing,
    "closeconnection": Connection._nothing,
    "register": Connection._register,
    "echo": Connection._echo,
    "token": Connection._token,
    "updatemonitor": Connection._updatemonitor,
    "exit": Connection._exit,
}
