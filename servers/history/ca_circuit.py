"""One Channel Access connection of the recorder: its channels, their values, and how it is kept.

Nothing here waits, and there is no thread: `Circuit.poll` takes what the kernel has collected since the last call, and
sends what is due. Python then handles a thousand values in one go, and is not woken for each of them.
"""

from __future__ import annotations

import logging
import socket
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from devices.core.errors import DiptychError, NotConnectedError, TimeoutError
from servers.history import ca_messages as ca
from servers.history.ca_messages import Decoder, Message, Update

log = logging.getLogger(__name__)

USER: Final = "historian"
BACK_OFF_S: Final = (0.5, 1.0, 2.0, 5.0)
# Of a circuit, before it is asked whether it lives, and again before it is given up: 30 s, as EPICS_CA_CONN_TMO.
QUIET_S: Final = 15.0
CHUNK_BYTES: Final = 1 << 18
POLL_BYTES: Final = 1 << 24  # at most in one call
# Channels asked for at a time. Each costs the mirror 0.2 ms, for which its other clients wait; 10 000 take 10 s.
AHEAD: Final = 200


class Lost(NamedTuple):
    """A channel ended that may have had values; the PV may be there again at once."""

    number: int


class Refused(NamedTuple):
    """The server does not know a PV.

    Attributes:
        port: where it says that the PV is served, on the same host; 0 when nobody knows.
    """

    number: int
    port: int


@dataclass(slots=True)
class Channel:
    name: str
    sid: int | None = None  # of the server; None until it answered


class Circuit:
    """A connection to one server, made when there is a channel to be had, and made again when it is lost.

    All channels end with it, and whoever wants them opens them again.

    Args:
        host, port: of the server, TCP.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self.port = host, port
        self._socket: socket.socket | None = None
        self._decoder = Decoder()
        self._outbox = bytearray()
        self._channels: dict[int, Channel] = {}
        self._wanted: deque[int] = deque()  # not asked for yet
        self._asked: set[int] = set()  # and not answered yet
        self._failures, self._retry_at = 0, 0.0
        self._is_told = False  # that it is lost
        self._heard_at = 0.0
        self._echo_at: float | None = None  # when it was asked whether it lives

    def __str__(self) -> str:
        return f"{self._host}:{self.port}"

    def open(self, number: int, name: str) -> None:
        """Want the values of a PV; `poll` gives them with this number, of the caller's choice."""
        self._channels[number] = Channel(name)
        self._wanted.append(number)

    def leave(self, number: int) -> None:
        """Want them no more; some may be on their way. Nothing when the channel ended already."""
        channel = self._channels.pop(number, None)
        if channel is not None and channel.sid is not None:
            self._outbox += ca.clear(number, channel.sid)

    def poll(self, at: float) -> list[list[Update] | Lost | Refused]:
        """What came since the last call, in order.

        Args:
            at: monotonic time, s.
        """
        found: list[list[Update] | Lost | Refused] = []
        try:
            if self._socket is None and not self._connect(at):
                return found
            for data in self._received():
                self._heard_at, self._echo_at = at, None
                for part in self._decoder.feed(data):
                    if not isinstance(part, Message):
                        found.append(part)
                    elif (end := self._answer(part)) is not None:
                        found.append(end)
            self._keep_alive(at)
            self._ask()
            self._send()
        except (OSError, DiptychError) as error:
            found += self._lose(error, at)
        return found

    def close(self) -> None:
        """End the connection; the channels are forgotten."""
        self._channels.clear()
        self._reset()

    def _connect(self, at: float) -> bool:
        """Begin a connection when somebody wants one; whether it was begun."""
        if not self._channels or at < self._retry_at:
            return False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._socket.connect_ex((self._host, self.port))  # how it ended is told by the first receive
        self._decoder = Decoder()
        self._outbox += ca.greeting(USER, socket.gethostname())
        self._heard_at = at
        return True

    def _received(self) -> Iterator[bytes]:
        assert self._socket is not None
        total = 0
        while total < POLL_BYTES:
            try:
                data = self._socket.recv(CHUNK_BYTES)
            except BlockingIOError:
                return
            if not data:
                raise NotConnectedError("the server hung up")
            total += len(data)
            yield data

    def _send(self) -> None:
        assert self._socket is not None
        while self._outbox:
            try:
                del self._outbox[: self._socket.send(self._outbox)]
            except BlockingIOError:
                return

    def _keep_alive(self, at: float) -> None:
        if self._echo_at is not None:
            if at - self._echo_at > QUIET_S:
                raise TimeoutError(f"no answer within {QUIET_S:g} s")
        elif at - self._heard_at > QUIET_S:
            self._echo_at = at
            self._outbox += ca.echo()

    def _ask(self) -> None:
        """Create channels, some at a time."""
        while self._wanted and len(self._asked) < AHEAD:
            number = self._wanted.popleft()
            if (channel := self._channels.get(number)) is not None:
                self._asked.add(number)
                self._outbox += ca.create(number, channel.name)

    def _answer(self, message: Message) -> Lost | Refused | None:
        match message.command:
            case ca.CREATE_CHAN:
                self._created(message.first, message.second)
            case ca.CREATE_CH_FAIL:  # another process of the same mirror may have it
                if (channel := self._channels.get(message.first)) is not None:
                    self._outbox += ca.search(message.first, channel.name)
                else:
                    self._asked.discard(message.first)
            case ca.SEARCH:
                return self._refused(message.second, message.data_type)
            case ca.NOT_FOUND:
                return self._refused(message.second)
            case ca.SERVER_DISCONN:
                if self._channels.pop(message.first, None) is not None:
                    return Lost(message.first)
            case ca.EVENT_ADD:  # without a value
                return self._failed(message.second, f"no value, status {message.first}")
            case ca.ERROR:
                text = message.payload[ca.HEADER.size :].partition(b"\0")[0].decode(errors="replace")
                return self._failed(message.first, f"{text} (status {message.second})")
        return None

    def _created(self, number: int, sid: int) -> None:
        if self._is_told:
            log.info("Channel Access %s: connected again", self)
        self._failures, self._is_told = 0, False
        self._asked.discard(number)
        if (channel := self._channels.get(number)) is None:  # it was left meanwhile
            self._outbox += ca.clear(number, sid)
        else:
            channel.sid = sid
            self._outbox += ca.subscribe(number, sid)

    def _refused(self, number: int, port: int = 0) -> Refused | None:
        self._asked.discard(number)
        if self._channels.pop(number, None) is None:
            return None
        return Refused(number, 0 if port == self.port else port)

    def _failed(self, number: int, reason: str) -> Refused | None:
        """The server gives no values of a channel."""
        channel = self._channels.get(number)
        if channel is None:
            return None
        log.warning("%s: %s", channel.name, reason)
        self.leave(number)
        return Refused(number, 0)

    def _lose(self, error: Exception, at: float) -> list[Lost]:
        if not self._is_told:  # one line for one outage
            text = (error.strerror if isinstance(error, OSError) else None) or str(error)
            log.warning("Channel Access %s: %s; tried again until it answers", self, text)
        self._is_told = True
        self._retry_at = at + BACK_OFF_S[min(self._failures, len(BACK_OFF_S) - 1)]
        self._failures += 1
        lost = [Lost(number) for number in self._channels]
        self._channels.clear()
        self._reset()
        return lost

    def _reset(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._echo_at = None, None
        self._outbox.clear()
        self._wanted.clear()
        self._asked.clear()
