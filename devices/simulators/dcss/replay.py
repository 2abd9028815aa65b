"""Plays the part of DCSS in a record of the wire: a hardware server meets again what it met then."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Self

from devices.drivers.dcs_record import WireLine
from devices.drivers.xos import LOGIN_BYTES, XosDecoder, encode_frame, encode_login

#: A pause of the record that is longer is not waited for as a whole, s.
LONGEST_PAUSE_S: Final = 60.0


class Replay:
    """Sends the ``in`` lines of one hardware server's record, each when as many answers have come as then.

    Args:
        lines: a record. name: of the server whose lines are played; "": the first one's.
        speed: of the pauses between messages; 0: none.
        answer_s: how long an answer is waited for that came in the record, s.
    Attributes:
        expected: the ``out`` lines of the record. received: what came this time.
        over: set when all was played.
    """

    def __init__(self, lines: Sequence[WireLine], name: str = "", *, speed: float = 0.0, answer_s: float = 5.0) -> None:
        name = name or (lines[0].name if lines else "")
        self._lines = [line for line in lines if line.name == name]
        self._speed, self._answer_s = speed, answer_s
        self._server: asyncio.Server | None = None
        self._arrived = asyncio.Event()
        self._position = 0
        self.expected = [line.text for line in self._lines if line.direction == "out"]
        self.received: list[str] = []
        self.over = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None, "not started"
        return int(self._server.sockets[0].getsockname()[1])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(encode_login("stoc_send_client_type"))
        decoder = XosDecoder(protocol=2)
        reading: asyncio.Task[None] | None = None
        try:
            decoder.feed(await reader.readexactly(LOGIN_BYTES))
            reading = asyncio.create_task(self._read(reader, decoder))
            while self._position < len(self._lines):
                line = self._lines[self._position]
                if line.direction == "link" and line.text.startswith("lost"):
                    self._position += 1
                    return  # as then; the next connection goes on behind it
                await self._play(line, writer)
                self._position += 1
            self.over.set()
            await reading
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            if reading is not None:
                reading.cancel()
            writer.close()
            if self._position >= len(self._lines):
                self.over.set()

    async def _play(self, line: WireLine, writer: asyncio.StreamWriter) -> None:
        if line.direction == "out":
            answers = sum(each.direction == "out" for each in self._lines[: self._position + 1])
            try:
                async with asyncio.timeout(self._answer_s):
                    while len(self.received) < answers:
                        self._arrived.clear()
                        await self._arrived.wait()
            except TimeoutError:
                return  # it is missing; who compares sees it
        elif line.direction == "in":
            if self._speed and self._position:
                pause = line.time - self._lines[self._position - 1].time
                await asyncio.sleep(min(LONGEST_PAUSE_S, max(0.0, pause / self._speed)))
            writer.write(encode_frame(line.text, line.binary))
            await writer.drain()

    async def _read(self, reader: asyncio.StreamReader, decoder: XosDecoder) -> None:
        while data := await reader.read(65536):
            self.received += [frame.text for frame in decoder.feed(data)]
            self._arrived.set()
