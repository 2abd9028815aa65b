"""A mount to talk to: on TCP and on a pseudo-terminal, with faults on demand.

async with Lx200Simulator(rate=50.0) as simulator:
    ... connect to simulator.url ...
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Self

from devices.core.errors import BadValueError
from devices.pipelines.ccd.alt_az_mount import AltAzMount
from devices.pipelines.ccd.sky_place import Site
from devices.simulators._pty_line import PtyLine
from devices.simulators.lx200.commands import ACK, Lx200Commands

#: A command, or the question for the alignment; whatever stands between is nobody's.
_COMMAND: Final = re.compile(r":([^#\x06]*)#|(\x06)")
LONGEST: Final = 256
KEPT: Final = 10_000


class Lx200Simulator:
    """One simulated mount and its lines.

    Args:
        rate, acceleration: of its axes, deg/s and deg/s2.
        lowest: altitude below which it refuses to go, deg.
    Attributes:
        commands: what it answers, for tests to look at and to change.
        messages: every command that came.
        is_mute: nothing is answered.
    """

    def __init__(
        self,
        *,
        longitude: float = -110.7889,
        latitude: float = 32.4417,
        height: float = 0.0,
        rate: float = 4.0,
        acceleration: float = 2.0,
        lowest: float = 0.0,
        product: str = "LX2001",
    ) -> None:
        mount = AltAzMount(Site(longitude, latitude, height), rate, acceleration)
        self.commands = Lx200Commands(mount, product=product, lowest=lowest)
        self.messages: deque[str] = deque(maxlen=KEPT)
        self.is_mute = False
        self._garbage: deque[bytes] = deque()
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()
        self._ptys: list[PtyLine] = []
        self._host = "127.0.0.1"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen on TCP; 0 takes a free port."""
        self._host = host
        self._server = await asyncio.start_server(self._serve, host, port)

    async def stop(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
        self.drop_connections()
        for pty in self._ptys:
            await pty.close()

    @property
    def mount(self) -> AltAzMount:
        return self.commands.mount

    @property
    def port(self) -> int:
        """The TCP port."""
        assert self._server is not None, "not started"
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """Where the TCP socket is."""
        return f"tcp://{self._host}:{self.port}"

    async def open_pty(self) -> str:
        """Offer a serial line as well; the device name for the other end to open."""
        pty = PtyLine(Conversation(self).answers)
        self._ptys.append(pty)
        return pty.path

    def garbage(self, data: bytes) -> None:
        """Send this instead of the next answer."""
        self._garbage.append(data)

    def drop_connections(self) -> None:
        """Hang up on every TCP client."""
        for writer in list(self._clients):
            writer.transport.abort()

    def reply(self, command: str) -> bytes:
        """What goes back for one command, faults included."""
        self.messages.append(command)
        answer = self.commands.answer(command)
        if self.is_mute or not answer:
            return b""
        # The degree sign of the protocol is the byte 0xDF.
        return self._garbage.popleft() if self._garbage else answer.replace("*", "\xdf").encode("latin-1")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        conversation = Conversation(self)
        try:
            while data := await reader.read(LONGEST):
                async for answer in conversation.answers(data):
                    writer.write(answer)
                    await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client has gone, or the loop ends; asyncio's streams would log a traceback for it
        finally:
            self._clients.discard(writer)
            writer.close()


class Conversation:
    """The bytes of one client, cut into commands."""

    def __init__(self, simulator: Lx200Simulator) -> None:
        self._simulator = simulator
        self._rest = ""

    async def answers(self, data: bytes) -> AsyncIterator[bytes]:
        """The answers to the commands that these bytes complete."""
        text, end = self._rest + data.decode("latin-1"), 0
        for found in _COMMAND.finditer(text):
            end = found.end()
            if answer := self._simulator.reply(found[1] if found[2] is None else ACK):
                yield answer
        self._rest = text[end:][-LONGEST:]


async def run(port: int, options: Mapping[str, object]) -> None:
    """Simulate until cancelled.

    Args:
        options: ``longitude``, ``latitude`` (degrees east, north), ``height`` (m), ``rate`` (deg/s), ``acceleration``
            (deg/s2), ``lowest`` (deg), ``product``, ``host``.
    Raises:
        BadValueError: an option is unknown, or its value wrong.
        OSError: the port is taken.
    """
    texts = ("product", "host")
    numbers = ("longitude", "latitude", "height", "rate", "acceleration", "lowest")
    values: dict[str, Any] = {}
    for name, value in options.items():
        if name not in (*numbers, *texts):
            raise BadValueError(f"option {name!r} of the lx200 simulator is none of {', '.join((*numbers, *texts))}")
        try:
            values[name] = str(value) if name in texts else float(str(value))
        except ValueError:
            raise BadValueError(f"{name} = {value!r} is not a number") from None
    host = values.pop("host", "127.0.0.1")
    simulator = Lx200Simulator(**values)
    try:
        await simulator.start(host, port)
        await asyncio.Event().wait()
    finally:
        await simulator.stop()
