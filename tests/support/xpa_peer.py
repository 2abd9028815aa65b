"""The other end of XPA in this process: a name server and one program behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class XpaPeer:
    """It answers and remembers.

    Attributes:
        answers: words of a get -> what is given; a text of XPA$ERROR refuses, None says nothing for ever.
        refuses: words of a set -> why.
        told: words and data of each set.
    """

    name_server_port: int = 0
    port: int = 0
    answers: dict[str, bytes | None] = field(default_factory=dict)
    refuses: dict[str, str] = field(default_factory=dict)
    told: list[tuple[str, bytes]] = field(default_factory=list)
    _tickets: dict[str, tuple[str, asyncio.Future[bytes]]] = field(default_factory=dict)

    async def name_server(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readline()).startswith(b"version ")
        writer.write(b"XPA$VERSION 2.1.20\n")
        word, template, kind, _ = (await reader.readline()).decode().split()
        assert (word, kind) in (("lookup", "g"), ("lookup", "s"))
        if template in ("DS9:*", "*:*", "DS9:tests"):
            writer.write(b"DS9 old gs /tmp/.xpa/DS9_old.7 somebody NONE\n")
            writer.write(f"DS9 tests gs 7f000001:{self.port} somebody NONE\n".encode())
        writer.write(b"XPA$OK\n")
        writer.close()

    async def program(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = (await reader.readline()).decode().rstrip("\n")
        if first.startswith("xpadata -f "):
            await self._data(first.removeprefix("xpadata -f "), reader, writer)
        else:
            await self._request(first, writer)
        writer.close()

    async def _request(self, line: str, writer: asyncio.StreamWriter) -> None:
        head, _, words = line.partition(" DS9:tests ")
        kind, _, _, _, mark = head.split()
        ticket = f"0x{len(self._tickets) + 0xC0:x} 13"
        data: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._tickets[ticket] = (words if kind == "xpaget" else "", data)
        where = f"(DS9:tests 7f000001:{self.port})"
        writer.write(f"{mark} XPA$DATA connect {ticket} {where}\n".encode())
        content = await data
        why = self.refuses.get(words)
        if kind == "xpaset" and why is None:
            self.told.append((words, content))
        elif kind == "xpaget" and words not in self.answers:
            why = "undefined command for this xpa"
        writer.write(f"{mark} XPA${f'ERROR {why}' if why else 'OK'} {where}\n".encode())

    async def _data(self, ticket: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        words, data = self._tickets.pop(ticket)
        if not words:
            data.set_result(await reader.read(-1))
            return
        content = self.answers.get(words, b"")
        if content is None:
            await reader.read()  # until the other end has enough of it
        writer.write(content or b"")
        data.set_result(b"")


@asynccontextmanager
async def xpa_peer() -> AsyncIterator[XpaPeer]:
    """It listens on loopback."""
    peer = XpaPeer()
    tasks: set[asyncio.Task[None]] = set()

    def served(handler: Callable[..., object]) -> Callable[..., None]:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(handler(reader, writer))  # type: ignore[arg-type,var-annotated]
            tasks.add(task)

        return accept

    names = await asyncio.start_server(served(peer.name_server), "127.0.0.1", 0)
    program = await asyncio.start_server(served(peer.program), "127.0.0.1", 0)
    peer.name_server_port = names.sockets[0].getsockname()[1]
    peer.port = program.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        names.close()
        program.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
