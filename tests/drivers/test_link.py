"""Links over real sockets and pseudo-terminals."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest
import serial
import serial.rfc2217
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.core.errors import BadValueError, NotConnectedError, ProtocolError, TimeoutError
from devices.drivers.link import LINE_LIMIT, Link, TcpLink, open_link

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def tcp_peer(peer: Peer, scheme: str = "tcp") -> AsyncIterator[Link]:
    """A link to a server that runs ``peer`` for its one client."""
    server = await asyncio.start_server(peer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    link = await open_link(f"{scheme}://127.0.0.1:{port}", timeout=5.0)
    try:
        yield link
    finally:
        await link.close()
        server.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(4096):
        writer.write(data)
    writer.close()


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


@asynccontextmanager
async def pty_link(options: str = "") -> AsyncIterator[tuple[Link, int]]:
    """A serial link to the slave side of a pseudo-terminal, and the file descriptor of the master side."""
    master, slave = os.openpty()
    link = await open_link(f"serial://{os.ttyname(slave)}{options}", timeout=5.0)
    os.close(slave)
    try:
        yield link, master
    finally:
        await link.close()


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("scheme", ["tcp", "socket"])
def test_a_line_that_comes_in_pieces_is_one_line(scheme: str) -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"*IDN?\n"
        for piece in (b"Cryo-con,", b"24C,1234", b"\r\nnext\r", b"\n"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        await reader.read()
        writer.close()

    async def main() -> None:
        async with tcp_peer(peer, scheme) as link:
            await link.write(b"*IDN?\n")
            assert await link.read_until(b"\r\n") == b"Cryo-con,24C,1234"
            assert await link.read_until(b"\r\n") == b"next"

    asyncio.run(main())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"~")), min_size=1, max_size=8), st.data())
def test_the_cut_into_pieces_never_changes_the_lines(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))

    async def main() -> None:
        link = TcpLink("tcp://nowhere:1", 1.0)
        link._let_come = lambda more: None  # type: ignore[method-assign]
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            link.data_received(stream[start:end])
        assert [await link.read_until(b"\n") for _ in lines] == lines

    asyncio.run(main())


def test_binary_data_may_hold_terminators() -> None:
    async def main() -> None:
        async with tcp_peer(echo) as link:
            block = bytes(range(256)) * 3
            await link.write(b"<01:" + block + b"tail\n")
            assert await link.read_exactly(4) == b"<01:"
            assert await link.read_exactly(len(block)) == block
            assert await link.read_until(b"\n") == b"tail"

    asyncio.run(main())


def test_a_frame_larger_than_the_line_limit_comes_whole() -> None:
    frame = os.urandom(40 * LINE_LIMIT + 7)

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(frame)
        await reader.read()
        writer.close()

    async def main() -> None:
        async with tcp_peer(peer) as link:
            await link.write(b"FETCH\n")
            assert await link.read_exactly(len(frame)) == frame

    asyncio.run(main())


def test_a_flood_that_nobody_reads_stays_bounded() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for _ in range(400):
                writer.write(b"x" * LINE_LIMIT)
                await writer.drain()
        except ConnectionError:
            pass

    async def main() -> None:
        async with tcp_peer(peer) as link:
            await until(lambda: len(link._received) >= LINE_LIMIT)
            await asyncio.sleep(0.2)
            assert len(link._received) < 6 * LINE_LIMIT  # of 26 MB
            with pytest.raises(ProtocolError, match="more than 100 bytes without"):
                await link.read_until(b"\n", limit=100)

    asyncio.run(main())


def test_a_line_at_the_limit_is_good_and_one_byte_more_is_not() -> None:
    async def main() -> None:
        async with tcp_peer(echo) as link:
            await link.write(b"a" * 20 + b"\n")
            assert await link.read_until(b"\n", limit=20) == b"a" * 20
            await link.write(b"b" * 21 + b"\n")
            with pytest.raises(ProtocolError, match=r"tcp://127\.0\.0\.1:\d+: more than 20 bytes without"):
                await link.read_until(b"\n", limit=20)
            await link.drain()
            await link.write(b"c\n")
            assert await link.read_until(b"\n", limit=20) == b"c"

    asyncio.run(main())


def test_silence_is_a_timeout_that_names_the_question_and_leaves_the_link_open() -> None:
    async def main() -> None:
        async with tcp_peer(echo) as link:
            await link.write(b"INP A:TEMP?")
            with pytest.raises(
                TimeoutError, match=r"tcp://127\.0\.0\.1:\d+: no answer within 0\.05 s after b'INP A:TEM"
            ):
                await link.read_until(b"\n", timeout=0.05)
            assert link.connected
            await link.write(b"\n")
            assert await link.read_until(b"\n") == b"INP A:TEMP?"

    asyncio.run(main())


def test_what_came_before_the_question_can_be_thrown_away() -> None:
    async def main() -> None:
        async with tcp_peer(echo) as link:
            await link.write(b"late reply\n")
            await until(lambda: len(link._received) == 11)
            assert await link.drain() == 11
            await link.write(b"new\n")
            assert await link.read_until(b"\n") == b"new"

    asyncio.run(main())


def test_a_refused_connection_names_host_and_port() -> None:
    async def main() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound, not listening: nobody else gets it, and it refuses
            port = taken.getsockname()[1]
            with pytest.raises(NotConnectedError, match=f"tcp://127.0.0.1:{port}: connection refused"):
                await open_link(f"tcp://127.0.0.1:{port}")
            with pytest.raises(NotConnectedError, match=f"socket://127.0.0.1:{port}: "):
                await open_link(f"socket://127.0.0.1:{port}")

    asyncio.run(main())


@pytest.mark.parametrize("scheme", ["tcp", "socket"])
def test_a_peer_that_hangs_up_breaks_the_wait_at_once(scheme: str) -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"half an ans")
        writer.close()

    async def main() -> None:
        async with tcp_peer(peer, scheme) as link:
            await link.write(b"NAME?\n")
            with pytest.raises(NotConnectedError, match=r"127\.0\.0\.1.* after b'NAME\?"):
                await link.read_until(b"\n")
            assert not link.connected
            with pytest.raises(NotConnectedError):
                await link.write(b"again\n")

    asyncio.run(main())


def test_a_closed_link_says_so() -> None:
    async def main() -> None:
        async with tcp_peer(silence) as link:
            waiting = asyncio.ensure_future(link.read_until(b"\n"))
            await asyncio.sleep(0)
            await link.close()
            with pytest.raises(NotConnectedError, match="closed on this side"):
                await waiting
            await link.close()

    asyncio.run(main())


class UdpEcho(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for message in data.split(b"|"):
            self.transport.sendto(message, addr)


def test_each_datagram_is_one_message() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(UdpEcho, local_addr=("127.0.0.1", 0))
        port = transport.get_extra_info("sockname")[1]
        link = await open_link(f"udp://127.0.0.1:{port}", timeout=2.0)
        assert link.datagrams
        await link.write(b"77.35\n4.2|no end|last\n")
        assert await link.read_until(b"\n") == b"77.35\n4.2"
        assert await link.read_until(b"\n") == b"no end"
        assert await link.read_exactly(5) == b"last\n"
        await link.write(b"12345")
        with pytest.raises(ProtocolError, match="5 bytes instead of 4"):
            await link.read_exactly(4)
        await link.write(b"123456789\n")
        with pytest.raises(ProtocolError, match="more than 8"):
            await link.read_until(b"\n", limit=8)
        transport.close()
        await asyncio.sleep(0.05)
        await link.write(b"anybody?")
        with pytest.raises(NotConnectedError, match=f"udp://127.0.0.1:{port}: connection refused"):
            await link.read_until(b"\n")
        assert link.connected, "a refused datagram does not end a UDP socket"
        await link.close()

    asyncio.run(main())


@pytest.mark.parametrize("options", ["", "?baudrate=19200&parity=N&stopbits=1"])
def test_a_serial_line_carries_lines_both_ways(options: str) -> None:
    async def main() -> None:
        async with pty_link(options) as (link, master):
            await link.write(b"*IDN?\n")
            assert await asyncio.to_thread(os.read, master, 100) == b"*IDN?\n"
            os.write(master, b"Cryo-con,18i,")
            os.write(master, b"5\r\n\x00\xff\r\n")
            assert await link.read_until(b"\r\n") == b"Cryo-con,18i,5"
            assert await link.read_exactly(4) == b"\x00\xff\r\n"
            os.close(master)

    asyncio.run(main())


def test_an_unplugged_serial_line_breaks_the_wait() -> None:
    async def main() -> None:
        async with pty_link() as (link, master):
            await link.write(b"INP? A\n")
            asyncio.get_running_loop().call_later(0.05, os.close, master)
            with pytest.raises(NotConnectedError, match=r"serial:///dev/pts/\d+: lost"):
                await link.read_until(b"\n")
            with pytest.raises(NotConnectedError):
                await link.write(b"INP? A\n")

    asyncio.run(main())


def test_a_plain_device_name_is_a_serial_line() -> None:
    async def main() -> None:
        master, slave = os.openpty()
        link = await open_link(os.ttyname(slave), timeout=1.0)
        await link.write(b"hello\n")
        assert await asyncio.to_thread(os.read, master, 100) == b"hello\n"
        await link.close()
        os.close(slave)
        os.close(master)

    asyncio.run(main())


def test_a_missing_serial_device_is_not_connected() -> None:
    with pytest.raises(NotConnectedError, match="serial:///dev/no-such-line"):
        asyncio.run(open_link("serial:///dev/no-such-line?baudrate=9600"))


def serve_rfc2217(listener: socket.socket) -> None:
    """A terminal server for one client; its serial line is a plug that joins both wires."""

    class Wire:
        def write(self, data: bytes) -> None:
            connection.sendall(data)

    connection, _ = listener.accept()
    with connection, serial.serial_for_url("loop://", timeout=0) as line:
        telnet = serial.rfc2217.PortManager(line, Wire())
        while data := connection.recv(1024):
            line.write(b"".join(telnet.filter(data)))
            connection.sendall(b"".join(telnet.escape(line.read(line.in_waiting))))


@pytest.mark.filterwarnings("ignore::DeprecationWarning:serial")
def test_a_terminal_server_carries_lines_both_ways() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = threading.Thread(target=serve_rfc2217, args=(listener,), daemon=True)
            server.start()
            link = await open_link(f"rfc2217://127.0.0.1:{listener.getsockname()[1]}?baudrate=19200", timeout=5.0)
            await link.write(b'"Cold\xffPlate"\r\n')  # 0xff is Telnet's escape
            assert await link.read_until(b"\r\n") == b'"Cold\xffPlate"'
            await link.close()
            await asyncio.to_thread(server.join, 5.0)
            assert not server.is_alive()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("tcp://127.0.0.1", "is not tcp://host:port"),
        ("udp://:5001", "is not udp://host:port"),
        ("tcp://127.0.0.1:many", "Port could not be cast"),
        ("http://127.0.0.1:80", "begins with none of"),
        ("serial://ttyUSB0", "is not serial:///dev/name"),
        ("ttyUSB0", "is not serial:///dev/name"),
        ("serial:///dev/ttyUSB0?baudrate=fast", "baudrate = 'fast' is not a number"),
        ("/dev/ttyUSB0?speed=9600", "option 'speed' is none of baudrate"),
    ],
)
def test_a_wrong_url_says_what_is_wrong(url: str, text: str) -> None:
    with pytest.raises(BadValueError, match="url = ") as caught:
        asyncio.run(open_link(url))
    assert text in str(caught.value)
