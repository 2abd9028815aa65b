"""The client of an image ingest: sends sub-bands, and sends them again when they came damaged."""

from __future__ import annotations

import asyncio
import builtins
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import NotConnectedError, ProtocolError, TimeoutError
from devices.drivers.correlator_message import MessageName, Receipt
from devices.drivers.correlator_npy import npy_header

MAX_ANSWER: Final = 65536
#: Before a sub-band is sent again that had no place, s.
PAUSE_S: Final = 0.2
SERVICE_UNAVAILABLE: Final = 503
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[^\n]*")
_LENGTH: Final = re.compile(rb"\ncontent-length:[ \t]*([0-9]{1,6})[ \t]*\r?\n", re.IGNORECASE)


@dataclass(frozen=True)
class Delivery:
    """What became of a sub-band.

    Attributes:
        receipt: the digit of the last answer; status: its HTTP status; text: its first line.
        sends: how often it was sent.
    """

    receipt: Receipt
    status: int
    text: str
    sends: int

    @property
    def accepted(self) -> bool:
        """Whether the server has it."""
        return self.status == 200 and not self.receipt


class CorrelatorClient:
    """One node's connection, which stays for all its messages; not for several tasks at a time.

    Args:
        host, port: of the ingest.
        timeout_s: of one send with its answer, s.
        tries: how often a sub-band is sent at most.
        token: what the server asks for; empty: nothing.
    """

    def __init__(self, host: str, port: int, *, timeout_s: float = 15.0, tries: int = 5, token: str = "") -> None:
        self._host, self._port, self._timeout_s, self._tries = host, port, timeout_s, tries
        self._authorization = f"Authorization: Bearer {token}\r\n" if token else ""
        self._socket: socket.socket | None = None

    async def put_array(self, name: MessageName, array: NDArray[np.generic]) -> Delivery:
        """Send an array with the axes (y, x, sample), of any numeric type; as `put`."""
        array = np.asarray(array, order="C")
        return await self.put(name, [npy_header(array), array.reshape(-1).view(np.uint8).data])

    async def put(self, name: MessageName, body: Sequence[bytes | memoryview]) -> Delivery:
        """Send a body, in parts that are not copied; again while the server says that it came damaged.

        Raises:
            NotConnectedError: there is no connection, or it broke each time.
            TimeoutError: there was no answer in time. ProtocolError: the answer is none.
        """
        for sends in range(1, self._tries + 1):
            is_last = sends == self._tries
            try:
                async with asyncio.timeout(self._timeout_s):
                    status, text = await self.send(name, body)
            except builtins.TimeoutError:
                self.close()
                if is_last:
                    raise TimeoutError(f"{self._peer}: no answer within {self._timeout_s:g} s") from None
                continue
            except OSError as error:
                self.close()
                if is_last:
                    raise NotConnectedError(f"{self._peer}: {error}") from error
                continue
            except BaseException:
                self.close()
                raise
            delivery = Delivery(_receipt(text), status, text.partition("\n")[0], sends)
            if is_last or not (delivery.receipt.again or status == SERVICE_UNAVAILABLE):
                return delivery
            if not delivery.receipt.again:
                await asyncio.sleep(PAUSE_S)
        raise AssertionError("tries is at least 1")

    def close(self) -> None:
        """End the connection; the next message makes another one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    @property
    def _peer(self) -> str:
        return f"{self._host}:{self._port}"

    async def send(self, name: MessageName, body: Sequence[bytes | memoryview]) -> tuple[int, str]:
        """Send once, without a time limit; the status and the text of the answer.

        Raises:
            OSError: the connection cannot be made, or broke. ProtocolError: the answer is none.
        """
        if self._socket is None:
            self._socket = await _connect(self._host, self._port)
        head = (
            f"PUT {name.target()} HTTP/1.1\r\nHost: {self._peer}\r\n{self._authorization}"
            f"Content-Length: {sum(len(part) for part in body)}\r\n\r\n"
        )
        try:
            for part in (head.encode("ascii"), *body):
                await self.transmit(part)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server refused before it had all; it may have said why
        return await self._answer(self._socket)

    async def transmit(self, part: bytes | memoryview) -> None:
        """Send bytes over the connection that there is."""
        assert self._socket is not None
        await asyncio.get_running_loop().sock_sendall(self._socket, part)

    async def _answer(self, connection: socket.socket) -> tuple[int, str]:
        loop = asyncio.get_running_loop()
        received = b""
        while len(received) < MAX_ANSWER:
            head, end, text = received.partition(b"\r\n\r\n")
            status = _STATUS.match(head)
            if end and status is not None and status[1] == b"100":
                received = text
                continue
            length = _LENGTH.search(head + b"\r\n")
            if end and status is not None and length is not None and len(text) >= int(length[1]):
                if b"\nconnection: close" in head.lower():
                    self.close()
                return int(status[1]), text[: int(length[1])].decode("ascii", "replace")
            news = await loop.sock_recv(connection, MAX_ANSWER)
            if not news:
                raise ConnectionResetError("the server ended the connection")
            received += news
        raise ProtocolError(f"{self._peer}: an answer of more than {MAX_ANSWER} byte")


async def _connect(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    failure: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        connection = socket.socket(family, kind, protocol)
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await loop.sock_connect(connection, address)
        except OSError as error:
            connection.close()
            failure = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise failure


def _receipt(text: str) -> Receipt:
    # As the nodes read it, whatever the answer is.
    digit = text[-2:-1]
    if not digit.isdigit():
        raise ProtocolError(f"the answer {text[-40:]!r} has no digit")
    return Receipt(int(digit))
