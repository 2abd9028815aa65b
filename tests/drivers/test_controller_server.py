"""The text dialect of a controller server, spoken with a server that answers as each test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest

from devices.core.errors import NotConnectedError, ProtocolError, RefusedError, TimeoutError
from devices.drivers.controller_server import ControllerServer

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(serve: Serve, timeout: float = 1.0) -> AsyncIterator[ControllerServer]:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    listening = await asyncio.start_server(one, "127.0.0.1", 0)
    client = ControllerServer("127.0.0.1", listening.sockets[0].getsockname()[1], timeout=timeout)
    try:
        await client.connect()
        yield client
    finally:
        await client.close()
        listening.close()


def answers(table: dict[str, str]) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(table[line.decode().strip()].encode() + b"\r\n")

    return serve


def test_an_answer_is_what_stands_behind_ok() -> None:
    async def main() -> None:
        table = {"Get PixelCount": "OK 1234", "TDL": "OK 0x00444F4E", "Echo": "OK", "bad": "ERROR no such thing"}
        async with served(answers(table)) as server:
            assert await server.command("Echo") == ""
            assert await server.number("Get PixelCount") == 1234
            assert await server.number("TDL") == 0x444F4E
            with pytest.raises(RefusedError, match="bad: no such thing"):
                await server.command("bad")
            with pytest.raises(ProtocolError, match="whole number"):
                await server.number("Echo")
            assert server.connected

    asyncio.run(main())


def test_a_server_in_demo_mode_accepts_commands_and_has_no_numbers() -> None:
    async def main() -> None:
        async with served(answers({"StartExposure": "DEMO", "Get PixelCount": "DEMO"})) as server:
            assert await server.command("StartExposure") == ""
            assert server.is_demo
            with pytest.raises(RefusedError, match="demo mode"):
                await server.number("Get PixelCount")

    asyncio.run(main())


def test_a_late_answer_is_never_taken_for_that_of_the_next_command() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            await asyncio.sleep(0.15 if line == b"slow\n" else 0.0)
            writer.write(b"OK " + line.strip() + b"\r\n")

    async def main() -> None:
        async with served(serve) as server:
            waiting = asyncio.create_task(server.command("slow"))
            await asyncio.sleep(0.05)
            waiting.cancel()
            assert await server.command("fast") == "fast"
            with pytest.raises(TimeoutError, match=r"slow within 0.05 s"):
                await server.command("slow", timeout=0.05)
            with pytest.raises(NotConnectedError, match="not connected"):
                await server.command("fast")
            await server.connect()
            assert await server.command("fast") == "fast"

    asyncio.run(main())


def test_a_server_that_hangs_up_is_not_connected() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()

    async def main() -> None:
        async with served(serve) as server:
            with pytest.raises(NotConnectedError, match="closed by the server"):
                await server.command("Echo")
            assert not server.connected

    asyncio.run(main())


def test_a_file_is_uploaded_and_has_a_name_there() -> None:
    held: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        word, command, size = (await reader.readline()).split()
        assert (word, command) == (b"cmd", b"UploadFile")
        writer.write(b"OK\r\n")
        held.append(await reader.readexactly(int(size)))
        writer.write(b"OK /tmp/file7\r\n")
        held.append(await reader.readline())
        writer.write(b"OK\r\n")

    async def main() -> None:
        async with served(serve) as server:
            name = await server.upload(b"S00600004844521B\n")
            await server.delete(name)
        assert held == [b"S00600004844521B\n", b"cmd DeleteFile /tmp/file7\n"]

    asyncio.run(main())


def image_of(pixels: bytes, not_ready: int = 0, most: int = 1 << 30, step: int = 4099) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left, waits = memoryview(pixels), not_ready
        while line := await reader.readline():
            word, size = line.split()
            assert word == b"GetImageData"
            count = 0 if waits else min(int(size), most, len(left))
            waits = max(0, waits - 1)
            writer.write(b"%16d " % count)
            for first in range(0, count, step):
                writer.write(left[first : min(count, first + step)])
                await writer.drain()
            left = left[count:]

    return serve


@pytest.mark.parametrize(("not_ready", "most"), [(0, 1 << 30), (3, 1 << 30), (2, 100_001)])
def test_an_image_comes_whole_whatever_blocks_it_is_sent_in(not_ready: int, most: int) -> None:
    sent = np.random.default_rng(5).integers(0, 65536, 6_000_007 // 2, np.uint16)

    async def main() -> None:
        seen: list[int] = []
        async with served(image_of(sent.tobytes(), not_ready, most)) as server:
            into = np.zeros(sent.nbytes, np.uint8)
            await server.image(into, 1.0, seen.append)
            assert np.array_equal(into.view("<u2"), sent)
            assert seen[-1] == sent.nbytes and len(seen) == max(2, -(-sent.nbytes // most))

    asyncio.run(main())


async def no_more_than_half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    writer.write(b"%16d " % 1000 + bytes(500))
    await reader.readline()


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    writer.write(b"%16d " % 1000 + bytes(500))


@pytest.mark.parametrize(
    ("serve", "error", "text"),
    [
        (image_of(b""), TimeoutError, "0 of 1000 bytes"),
        (no_more_than_half, TimeoutError, "in 0.2 s"),
        (hangs_up, NotConnectedError, "closed by the server"),
        (answers({"GetImageData 1000": "ERROR no image"}), RefusedError, "no image"),
        (answers({"GetImageData 1000": "ERROR the controller has not read an image"}), RefusedError, "controller"),
        (answers({"GetImageData 1000": "220 a mail server is ready"}), ProtocolError, "number of bytes"),
        (answers({"GetImageData 1000": f"{1001:16d} "}), ProtocolError, "1001 bytes were announced"),
    ],
)
def test_an_image_that_fails_says_how(serve: Serve, error: type[Exception], text: str) -> None:
    async def main() -> None:
        async with served(serve) as server:
            with pytest.raises(error, match=text):
                await server.image(np.zeros(1000, np.uint8), 0.2)

    asyncio.run(main())
