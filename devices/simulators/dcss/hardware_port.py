"""The hardware port of a simulated DCSS, with faults on demand."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final

from devices.core.errors import ProtocolError
from devices.drivers.xos import LOGIN_BYTES, XosDecoder, encode_frame
from devices.simulators.dcss.core import Dcss, HostClient, log
from devices.simulators.dcss.hardware_messages import HardwareMessages

LOCAL: Final = ("127.0.0.1", "::1")
#: Behind this the real DCSS, whose writes wait, stands still as a whole.
FROZEN_BYTES: Final = 1 << 20


@dataclass
class Faults:
    """What goes wrong at the hardware port; 0 or "": nothing.

    Attributes:
        close_next: so many connections are taken and closed at once.
        reset_at: the connection is reset when its server's n-th message comes.
        mute: nothing is read or sent; connections stay.
        pause_s: within each frame, behind its 7th byte, s.
        padding: of the 200 bytes that ask for the name, a byte of 0 to 255.
        ask_late_s: before the name is asked for, s.
    """

    close_next: int = 0
    reset_at: int = 0
    mute: bool = False
    pause_s: float = 0.0
    padding: int = 0
    ask_late_s: float = 0.0


class HardwarePort:
    """Listens for hardware servers.

    Args:
        login_s: how long one may take to answer, s. other_host_s, twice_s: before a login is refused that comes from
            another computer, or for a name that is there already, s.
    """

    def __init__(
        self,
        dcss: Dcss,
        *,
        login_s: float = 1.0,
        other_host_s: float = 1.0,
        twice_s: float = 3.0,
        host: str = "127.0.0.1",
    ) -> None:
        self.dcss, self.login_s, self.other_host_s, self.twice_s = dcss, login_s, other_host_s, twice_s
        self.faults = Faults()
        self.messages = HardwareMessages(dcss)
        self.connections: set[HardwareConnection] = set()
        #: Reasons of refused logins; how long the answers took to the question for the name, s.
        self.refused: list[str] = []
        self.answers_s: list[float] = []
        self._host, self.port = host, 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, port: int) -> None:
        """Listen; 0: any port, from then on the same."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: HardwareConnection(self), self._host, port or self.port, reuse_address=True
        )
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def stop(self, how: str = "close") -> None:
        """Listen no more, and end all connections (``close`` or ``reset``)."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self.connections):
            connection.end(how)
        for task in list(self._tasks):
            task.cancel()
        # The ends are told to whoever waits in the next turns of the loop.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def away(self, seconds: float, how: str = "close") -> None:
        """Be dead for some time, s."""
        await self.stop(how)
        await asyncio.sleep(seconds)
        await self.start(self.port)

    def drop(self, name: str = "", how: str = "close") -> None:
        """End the connection of a hardware server, or of all."""
        for connection in list(self.connections):
            if name in ("", connection.name):
                connection.end(how)

    def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something until it ends or the port does."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class HardwareConnection(HostClient, asyncio.Protocol):
    """One hardware server, from its connection on; ``name`` is "" before its login."""

    _transport: asyncio.Transport

    def __init__(self, port: HardwarePort) -> None:
        self._port = port
        self._decoder = XosDecoder()
        self._deadline: asyncio.TimerHandle | None = None
        self._received = 0
        self._asked = 0.0
        self._slow: deque[bytes] = deque()
        self.name = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Without an end to it, a connection whose other end is gone would keep its name for hours.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option in (name for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT") if hasattr(socket, name)):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), 2)
        self._port.connections.add(self)
        faults, loop = self._port.faults, asyncio.get_running_loop()
        if faults.close_next:
            faults.close_next -= 1
            self.end("close")
        else:
            loop.call_later(faults.ask_late_s, self._ask) if faults.ask_late_s else self._ask()

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._decoder.feed(data)
        except ProtocolError as error:
            self._port.dcss.violation(f"{self.name}: {error}")
            self.end("close")
            return
        for frame in frames:
            if self._transport.is_closing() or self._port.faults.mute:
                return
            if self._deadline is not None:
                self._log_in(frame.text)
                continue
            self._received += 1
            if self._received == self._port.faults.reset_at:
                self._port.faults.reset_at = 0
                self.end("reset")
                return
            if self.name:
                self._port.messages.take(self.name, frame.text, frame.binary)

    def eof_received(self) -> None:
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._port.connections.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()
        if self.name:
            self._port.dcss.left(self)

    def send(self, text: str) -> None:
        if self._transport.is_closing() or self._port.faults.mute:
            return
        if self._decoder.protocol == 1:
            # Copied into 200 bytes: what is longer is cut, and then lacks its NUL.
            data = (text.encode("ascii", "replace") + b"\0").ljust(LOGIN_BYTES, b"\0")[:LOGIN_BYTES]
        else:
            data = encode_frame(text)
        if self._port.faults.pause_s or self._slow:
            self._slow.append(data)
            if len(self._slow) == 1:
                self._port.keep(self._send_slowly())
        else:
            self._transport.write(data)
        if self._transport.get_write_buffer_size() > FROZEN_BYTES:
            self._port.dcss.violation(f"{self.name} does not read: DCSS stands still")
            self.end("reset")

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are, whatever they are."""
        self._transport.write(data)

    def end(self, how: str) -> None:
        """End the connection: ``close`` (the other end reads its end) or ``reset``."""
        if how == "reset":
            linger = struct.pack("ii", 1, 0)
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._transport.abort()
        else:
            self._transport.close()

    def _ask(self) -> None:
        if self._transport.is_closing():
            return
        padding = bytes([self._port.faults.padding])
        self._transport.write(b"stoc_send_client_type\0".ljust(LOGIN_BYTES, padding))
        loop = asyncio.get_running_loop()
        self._asked = loop.time()
        self._deadline = loop.call_later(self._port.login_s, self._refuse, f"no answer in {self._port.login_s:g} s")

    def _log_in(self, text: str) -> None:
        assert self._deadline is not None
        self._deadline.cancel()
        self._deadline = None
        port, loop = self._port, asyncio.get_running_loop()
        port.answers_s.append(loop.time() - self._asked)
        command, _, name = text.partition(" ")
        known = port.dcss.database.hosts.get(name)
        if command != "htos_client_is_hardware" or known is None:
            self._refuse(f"{text!r:.80}: no such hardware")
        elif not _is_peer(self._transport.get_extra_info("peername")[0], known.computer):
            loop.call_later(
                port.other_host_s, self._refuse, f"{name} comes from another computer than {known.computer}"
            )
        elif name in port.dcss.online:
            loop.call_later(port.twice_s, self._refuse, f"{name} is there already")
        else:
            self.name = name
            self._decoder.protocol = known.protocol
            port.dcss.joined(self)

    def _refuse(self, why: str) -> None:
        if not self._transport.is_closing():
            log.warning("login refused: %s", why)
            self._port.refused.append(why)
            self._transport.close()

    async def _send_slowly(self) -> None:
        while self._slow:
            data = self._slow[0]
            self._transport.write(data[:7])
            await asyncio.sleep(self._port.faults.pause_s)
            self._transport.write(data[7:])
            self._slow.popleft()


def _is_peer(address: str, computer: str) -> bool:
    # A server on this computer may stand in the database under any of the computer's names.
    return computer == address or (address in LOCAL and computer in (*LOCAL, "localhost", socket.gethostname()))
