"""The line to a Cryo-con: one message at a time, 100 ms apart, puts before polls, no answer to the wrong question."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from enum import IntEnum
from typing import Any, NamedTuple, TypeVar

from devices.core.errors import BadValueError, NotConnectedError, ProtocolError, RangeError, RefusedError, TimeoutError
from devices.drivers.cryocon_protocol import MESSAGE_LIMIT, is_nack, split_answers
from devices.drivers.link import LINE_LIMIT, Link, open_link

T = TypeVar("T")

BLOCK_LIMIT = 20_000
"""The most lines of one block (a curve, a table, the data log)."""


class Turn(IntEnum):
    """Who goes first when several messages wait."""

    PUT = 0
    QUERY = 1
    POLL = 2


class Waiting(NamedTuple):
    """A message that waits: whose turn it is, its number, what sends it, and who wants the answer."""

    turn: Turn
    number: int
    job: Callable[[], Awaitable[Any]]
    future: asyncio.Future[Any]


class CommandLine:
    """The discipline of a half-duplex text line.

    A task of its own does the talking, so that a caller who gives up never leaves a reply behind unread.

    Args:
        url: as ``open_link`` takes it.
        timeout: the bound of one message, in s.
        spacing: the least time between the end of one message and the start of the next, in s.
    """

    def __init__(self, url: str, *, timeout: float = 2.0, spacing: float = 0.1) -> None:
        self.url = url
        self.timeout = timeout
        self.spacing = spacing
        self._link: Link | None = None
        self._identity = ""
        self._unsure = False
        self._order = itertools.count()
        self._waiting: list[Waiting] = []
        self._arrival = asyncio.Event()
        self._last: Turn | None = None
        self._current: asyncio.Future[Any] | None = None
        self._worker: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether the link is open as far as is known."""
        return self._link is not None and self._link.connected

    async def open(self) -> str:
        """Open the link anew and ask who is there; the answer to ``*IDN?``.

        Raises:
            NotConnectedError, TimeoutError: nobody there, or nobody answers.
        """
        await self.close()
        link = await open_link(self.url, timeout=self.timeout)
        try:
            await link.drain()
            await link.write(b"*IDN?\n")
            self._identity = await self._line_like(
                link, lambda line: line.lower().startswith("cryo") and ";" not in line
            )
        except BaseException:
            await link.close()
            raise
        self._link = link
        self._unsure = False
        self._worker = asyncio.create_task(self._serve(), name=f"line {self.url}")
        return self._identity

    async def close(self) -> None:
        """Close the link; whoever waits gets NotConnectedError."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
            self._worker = None
        pending = [self._current] if self._current is not None else []
        pending += [each.future for each in self._waiting]
        self._waiting.clear()
        for future in pending:
            if not future.done():
                future.set_exception(NotConnectedError(f"{self.url}: closed on this side"))
        self._current = None
        await self._hang_up()

    async def ask(self, message: str, answers: int, turn: Turn = Turn.QUERY) -> list[str]:
        """Send one line and return its ``answers`` answers.

        Raises:
            RefusedError: fewer or more answers came, with a NACK among them; the text names the line.
            ProtocolError: fewer or more answers came for another reason.
            NotConnectedError, TimeoutError: as the link says.
        """

        async def job() -> list[str]:
            parts = split_answers(await self._converse(message))
            if len(parts) == answers + 1 and not parts[-1]:
                parts.pop()  # firmware that ends a reply with the separator
            if len(parts) != answers:
                if any(map(is_nack, parts)):
                    raise RefusedError(f"{self.url}: {message!r} was refused (NACK)")
                self._unsure = True
                raise ProtocolError(f"{self.url}: {len(parts)} answers instead of {answers} to {message!r}")
            return parts

        return await self._in_turn(job, turn)

    async def put(self, message: str, name: str) -> str:
        """Send a command that ends with one query; that query's answer.

        Raises:
            RefusedError: there is a NACK in the reply; the text names ``name``.
        """

        async def job() -> str:
            parts = split_answers((await self._converse(message)).rstrip(";"))
            if any(map(is_nack, parts)):
                raise RefusedError(f"{self.url}: {name} was refused (NACK)")
            return parts[-1]

        return await self._in_turn(job, Turn.PUT)

    async def query(self, message: str) -> str:
        """Send one line as it is and return the one line that comes back, whatever it says."""
        return await self._in_turn(lambda: self._converse(message), Turn.QUERY)

    async def read_block(self, message: str) -> list[str]:
        """Ask for several lines that end with a line of ``;`` alone.

        Raises:
            RefusedError: the first line is NACK.
        """

        async def job() -> list[str]:
            lines: list[str] = []
            line = await self._converse(message)
            self._unsure = True
            while line != ";":
                if not lines and is_nack(line):
                    self._unsure = False
                    raise RefusedError(f"{self.url}: {message!r} was refused (NACK)")
                if len(lines) == BLOCK_LIMIT:
                    raise ProtocolError(f"{self.url}: more than {BLOCK_LIMIT} lines after {message!r}")
                lines.append(line)
                line = await self._next_line(self._open_link())
            self._unsure = False
            return lines

        self._needs_stream(message)
        return await self._in_turn(job, Turn.QUERY)

    async def write_block(self, message: str, lines: list[str], spacing: float) -> None:
        """Send a message of several lines and the ``;`` that ends it; the instrument answers nothing."""

        async def job() -> None:
            await self._settle()
            link = self._open_link()
            for line in (message, *lines, ";"):
                await link.write(self._encoded(line))
                await asyncio.sleep(spacing)

        self._needs_stream(message)
        await self._in_turn(job, Turn.PUT)

    async def _in_turn(self, job: Callable[[], Awaitable[T]], turn: Turn) -> T:
        self._open_link()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(Waiting(turn, next(self._order), job, future))
        self._arrival.set()
        return await future

    async def _next(self) -> Waiting:
        """Puts first, polls last; but a client that puts all the time must not silence the polls.

        So no turn has two messages in a row while another waits: a put waits for one message at most.
        """
        while not (waiting := [each for each in self._waiting if not each.future.done()]):
            self._arrival.clear()
            await self._arrival.wait()
        chosen = min([each for each in waiting if each.turn is not self._last] or waiting)
        waiting.remove(chosen)
        self._waiting, self._last = waiting, chosen.turn
        return chosen

    async def _serve(self) -> None:
        while True:
            # The pause comes before the choice, so that a put which arrives meanwhile still goes first.
            await asyncio.sleep(self.spacing)
            _, _, job, future = await self._next()
            self._current = future
            try:
                result = await job()
            except Exception as error:
                if isinstance(error, NotConnectedError):
                    await self._hang_up()
                if not future.done():
                    future.set_exception(error)
            else:
                if not future.done():
                    future.set_result(result)
            self._current = None

    async def _converse(self, message: str) -> str:
        data = self._encoded(message)
        await self._settle()
        link = self._open_link()
        await link.drain()
        self._unsure = True
        await link.write(data)
        line = await self._next_line(link)
        self._unsure = False
        return line

    async def _settle(self) -> None:
        """After a lost or odd reply, ask something whose answer cannot be mistaken, and skip all that comes before."""
        if not self._unsure:
            return
        link = self._open_link()
        twice = f"{self._identity};{self._identity}"
        try:
            await link.drain()
            await link.write(b"*IDN?;:*IDN?\n")
            await self._line_like(link, lambda line: line.rstrip(";") == twice)
        except TimeoutError:
            raise NotConnectedError(f"{self.url}: no answer after a lost reply; link closed") from None
        self._unsure = False
        await asyncio.sleep(self.spacing)

    async def _line_like(self, link: Link, wanted: Callable[[str], bool]) -> str:
        deadline = asyncio.get_running_loop().time() + self.timeout
        while True:
            line = await self._next_line(link, max(0.0, deadline - asyncio.get_running_loop().time()))
            if wanted(line):
                return line

    async def _next_line(self, link: Link, timeout: float | None = None) -> str:
        return (await link.read_until(b"\n", LINE_LIMIT, timeout)).decode("latin-1").strip(" \t\r\0")

    async def _hang_up(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    def _open_link(self) -> Link:
        if self._link is None:
            raise NotConnectedError(f"{self.url}: not connected")
        return self._link

    def _needs_stream(self, message: str) -> None:
        if self._open_link().datagrams:
            raise BadValueError(f"{self.url}: {message!r} takes several lines, and UDP carries one; use tcp or serial")

    def _encoded(self, message: str) -> bytes:
        if not message.isascii() or not message.isprintable():
            raise BadValueError(f"{message[:80]!r} is not one line of printable ASCII")
        if len(message) > MESSAGE_LIMIT:
            raise RangeError(f"{message[:80]!r}... has {len(message)} characters, more than {MESSAGE_LIMIT}")
        return message.encode("ascii") + b"\n"
