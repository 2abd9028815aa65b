"""Images sent to image servers and received from them, over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devices.core.errors import (
    BadValueError,
    NotConnectedError,
    ProtocolError,
    RefusedError,
    StorageError,
    TimeoutError,
)
from devices.drivers.send_image import ImageServer
from devices.drivers.send_image_header import SendImageHeader
from devices.drivers.send_image_receiver import ImageReceiver

CONTENT = np.random.default_rng(9).bytes(3_000_001)
Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "a.fits"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "remote").mkdir()
    return tmp_path / "remote"


async def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not true():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)


def listening(client: Client, run: Callable[[int], Awaitable[None]]) -> None:
    """Run against a server on a free port that treats each client so."""

    async def main() -> None:
        server = await asyncio.start_server(client, "127.0.0.1", 0)
        async with server:
            await asyncio.wait_for(run(server.sockets[0].getsockname()[1]), 20.0)

    asyncio.run(main())


def test_the_header_is_256_characters_with_the_size_right_justified_in_16() -> None:
    header = SendImageHeader(34_102_080, "image.fits", True, 1, 4224, 4096, True).encode()
    assert header == b"        34102080 !image.fits 1 4224 4096 1".ljust(256)
    assert SendImageHeader.decode(header) == SendImageHeader(34_102_080, "image.fits", True, 1, 4224, 4096, True)
    assert SendImageHeader.decode(b"%16d image" % 5) == SendImageHeader(5, "image")


@pytest.mark.parametrize("name", ["", "two words.fits", "ä.fits", "x" * 250])
def test_names_that_the_header_cannot_hold_are_refused(name: str) -> None:
    with pytest.raises(BadValueError, match="a name for the receiver"):
        SendImageHeader(1, name).encode()


@pytest.mark.parametrize("content", [b"", b"GET / HTTP/1.1", b"\xff" * 256, b"12 name one"])
def test_what_is_no_header_is_a_protocol_error(content: bytes) -> None:
    with pytest.raises(ProtocolError, match="no header"):
        SendImageHeader.decode(content)


@pytest.mark.parametrize("server_type", ["azcam", "dataserver", "lbtguider"])
def test_an_image_arrives_whole_and_is_announced(server_type: Any, image: Path, folder: Path) -> None:
    came: list[tuple[Path, SendImageHeader]] = []

    async def main() -> None:
        guider = "guider.fits" if server_type == "lbtguider" else ""
        async with ImageReceiver(
            folder, port=0, guider_name=guider, on_image=lambda *got: came.append(got)
        ) as receiver:
            server = ImageServer("127.0.0.1", receiver.port, server_type)
            await server.send_file(image, "image.fits", columns=4224, rows=4096)
            await until(lambda: bool(came))

    asyncio.run(main())
    path, header = came[0]
    assert path == folder / ("guider.fits" if server_type == "lbtguider" else "image.fits")
    assert path.read_bytes() == CONTENT
    assert [each.name for each in folder.iterdir()] == [path.name]
    if server_type != "lbtguider":
        assert (header.columns, header.rows, header.file_type) == (4224, 4096, 1)


def test_a_file_of_the_same_name_is_kept_unless_it_is_to_be_replaced(image: Path, folder: Path) -> None:
    kept = folder / "image.fits"
    kept.write_bytes(b"precious")

    async def main() -> None:
        async with ImageReceiver(folder, port=0) as receiver:
            server = ImageServer("127.0.0.1", receiver.port, "azcam")
            with pytest.raises(RefusedError, match="it has a file of this name"):
                await server.send_file(image, "image.fits")
            assert kept.read_bytes() == b"precious"
            await server.send_file(image, "image.fits", overwrite=True)
            await until(lambda: kept.read_bytes() == CONTENT)

    asyncio.run(main())


@pytest.mark.parametrize("name", ["../escape.fits", "/etc/escape.fits", "nowhere/image.fits", "link/image.fits"])
def test_nothing_is_written_outside_the_receivers_folder(name: str, image: Path, folder: Path) -> None:
    (folder / "link").symlink_to(folder.parent)

    async def main() -> None:
        async with ImageReceiver(folder, port=0) as receiver:
            with pytest.raises(RefusedError, match="it has no such folder"):
                await ImageServer("127.0.0.1", receiver.port, "azcam").send_file(image, name)

    asyncio.run(main())
    assert sorted(each.name for each in folder.parent.iterdir()) == ["a.fits", "remote"]
    assert [each.name for each in folder.iterdir()] == ["link"]


def test_a_file_that_is_larger_than_allowed_is_refused(image: Path, folder: Path) -> None:
    async def main() -> None:
        async with ImageReceiver(folder, port=0, most_bytes=len(CONTENT) - 1) as receiver:
            with pytest.raises(RefusedError, match="-4"):
                await ImageServer("127.0.0.1", receiver.port, "azcam").send_file(image, "image.fits")

    asyncio.run(main())
    assert list(folder.iterdir()) == []


def test_the_clients_of_azcam_that_read_the_answer_last_are_told(image: Path, folder: Path) -> None:
    (folder / "image.fits").write_bytes(b"")

    def azcam(port: int, name: str) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(f"{len(CONTENT):16d} {name} 1 10 10 0".ljust(256).encode())
            client.sendall(CONTENT)
            answer = b""
            while len(answer) < 16:
                answer += client.recv(16 - len(answer))
            return answer

    async def main() -> None:
        async with ImageReceiver(folder, port=0) as receiver:
            assert await asyncio.to_thread(azcam, receiver.port, "image.fits") == b"-2".ljust(16)
            assert await asyncio.to_thread(azcam, receiver.port, "!image.fits") == b"0".ljust(16)
            await until(lambda: (folder / "image.fits").read_bytes() == CONTENT)

    asyncio.run(main())


def test_half_an_image_leaves_nothing_behind_and_the_next_one_is_taken(image: Path, folder: Path) -> None:
    async def main() -> None:
        async with ImageReceiver(folder, port=0) as receiver:
            _, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
            writer.write(SendImageHeader(len(CONTENT), "half.fits").encode() + CONTENT[:2_000_000])
            await writer.drain()
            await until(lambda: any(each.name.endswith(".part") for each in folder.iterdir()))
            writer.close()
            await until(lambda: not any(folder.iterdir()))
            await ImageServer("127.0.0.1", receiver.port, "azcam").send_file(image, "image.fits")
            await until(lambda: [each.name for each in folder.iterdir()] == ["image.fits"])

    asyncio.run(main())


def test_a_receiver_that_ends_in_the_middle_of_an_image_leaves_nothing_behind(folder: Path) -> None:
    async def main() -> None:
        async with ImageReceiver(folder, port=0) as receiver:
            _, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
            writer.write(SendImageHeader(len(CONTENT), "half.fits").encode() + CONTENT[:2_000_000])
            await until(lambda: any(folder.iterdir()))
        await until(lambda: not any(folder.iterdir()))
        writer.close()

    asyncio.run(main())


def test_a_client_that_sends_nothing_is_sent_away_and_holds_up_nobody(image: Path, folder: Path) -> None:
    async def main() -> None:
        async with ImageReceiver(folder, port=0, timeout_s=0.2, most_clients=1) as receiver:
            reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
            await ImageServer("127.0.0.1", receiver.port, "azcam").send_file(image, "image.fits")
            assert await asyncio.wait_for(reader.read(), 5.0) == b""
            writer.close()
            await until((folder / "image.fits").exists)

    asyncio.run(main())
    assert (folder / "image.fits").read_bytes() == CONTENT


def test_ccdacq_gets_the_size_and_the_pixels_of_the_first_amplifier() -> None:
    pixels = np.arange(5 * 3, dtype=np.uint16).reshape(5, 3)
    got: list[bytes] = []

    async def acquire(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.extend([await reader.readline(), await reader.readline(), await reader.readexactly(30)])
        writer.write(b"0")
        writer.close()

    listening(acquire, lambda port: ImageServer("127.0.0.1", port, "ccdacq").send_pixels(pixels))
    assert got == [b"3 5\r\n", b"NoFilename NoImageType\r\n", pixels.astype("<u2").tobytes()]


def test_a_server_that_takes_nothing_ends_in_a_timeout(tmp_path: Path) -> None:
    large = tmp_path / "large.fits"
    large.write_bytes(bytes(40_000_000))
    done = asyncio.Event()

    async def asleep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        await done.wait()
        writer.close()

    async def send(port: int) -> None:
        with pytest.raises(TimeoutError, match=r"nothing moved for 0.3 s"):
            await ImageServer("127.0.0.1", port, "azcam", timeout_s=0.3).send_file(large, "image.fits")
        done.set()

    listening(asleep, send)


def test_a_server_that_hangs_up_is_not_connected(image: Path) -> None:
    async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(256)
        writer.transport.abort()

    async def send(port: int) -> None:
        with pytest.raises(NotConnectedError, match=f"127.0.0.1:{port}"):
            await ImageServer("127.0.0.1", port, "azcam").send_file(image, "image.fits")

    listening(rude, send)


def test_no_server_no_file_and_the_wrong_kind_of_server_are_told_apart(image: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(NotConnectedError, match="refused"):
        asyncio.run(ImageServer("127.0.0.1", port).send_file(image, "image"))
    with pytest.raises(StorageError, match="No such file"):
        asyncio.run(ImageServer("127.0.0.1", port).send_file(tmp_path / "none.fits", "image"))
    with pytest.raises(BadValueError, match="ccdacq takes pixels"):
        asyncio.run(ImageServer("127.0.0.1", port, "ccdacq").send_file(image, "image"))
    with pytest.raises(BadValueError, match="dataserver takes files"):
        asyncio.run(ImageServer("127.0.0.1", port).send_pixels(np.zeros((2, 3), np.uint16)))
