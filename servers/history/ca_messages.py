"""Messages of Channel Access, as far as a subscriber to numbers needs them: what it sends, and what it is sent.

Values come thousands at a time, all of one size, so they are taken apart in runs.

Source:
    EPICS, *Channel Access Protocol Specification*, revision 1.6 (2019), "Message Structure", "Commands (TCP and UDP)",
    "Commands (TCP)"; DBR_TIME_DOUBLE as in db_access.h of EPICS base.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from devices.core.errors import ProtocolError

VERSION, EVENT_ADD, SEARCH, ERROR, CLEAR_CHANNEL, NOT_FOUND = 0, 1, 6, 11, 12, 14
CREATE_CHAN, CLIENT_NAME, HOST_NAME, ACCESS_RIGHTS, ECHO, CREATE_CH_FAIL, SERVER_DISCONN = 18, 20, 21, 22, 23, 26, 27
#: What a server may send to one who creates channels, subscribes and searches.
ANSWERS: Final = frozenset(
    (VERSION, EVENT_ADD, SEARCH, ERROR, CLEAR_CHANNEL, NOT_FOUND, CREATE_CHAN, ACCESS_RIGHTS, ECHO, CREATE_CH_FAIL,
     SERVER_DISCONN)
)  # fmt: skip
MINOR_VERSION: Final = 13
NORMAL: Final = 1  # ECA_NORMAL
TIME_DOUBLE: Final = 20  # DBR_TIME_DOUBLE
VALUE, ALARM = 1, 4  # DBE_VALUE, DBE_ALARM
DO_REPLY: Final = 10  # to a search that finds nothing
EPOCH_S: Final = 631_152_000  # 1990-01-01, s since 1970

HEADER: Final = struct.Struct(">HHHHII")  # command, bytes that follow, type, count, two parameters
EVENT: Final = struct.Struct(">12xHxx")  # three limits that nobody uses, the mask
# Command, bytes, type and count as one number; ECA status, number of the subscription; alarm status, severity, s since
# 1990, ns, value.
UPDATE: Final = struct.Struct(">QIIHHII4xd")
UPDATE_HEAD: Final = EVENT_ADD << 48 | (UPDATE.size - HEADER.size) << 32 | TIME_DOUBLE << 16 | 1
MAX_BYTES: Final = 1 << 14  # of what follows a header; nothing that was asked for is longer

Update = tuple[int, int, int, int, int, int, int, float]


class Message(NamedTuple):
    """Any message but a value."""

    command: int
    data_type: int
    elements: int
    first: int
    second: int
    payload: bytes = b""

    def __bytes__(self) -> bytes:
        payload = self.payload + bytes(-len(self.payload) % 8)
        return HEADER.pack(self.command, len(payload), self.data_type, self.elements, self.first, self.second) + payload


def greeting(user: str, host: str) -> bytes:
    """What opens a circuit."""
    return (
        bytes(Message(VERSION, 0, MINOR_VERSION, 0, 0))
        + bytes(Message(HOST_NAME, 0, 0, 0, 0, _text(host)))
        + bytes(Message(CLIENT_NAME, 0, 0, 0, 0, _text(user)))
    )


def create(number: int, name: str) -> bytes:
    """Ask for the channel of a PV; ``number`` stands for it on this circuit from now on."""
    return bytes(Message(CREATE_CHAN, 0, 0, number, MINOR_VERSION, _text(name)))


def search(number: int, name: str) -> bytes:
    """Ask where a PV is served."""
    return bytes(Message(SEARCH, DO_REPLY, MINOR_VERSION, number, number, _text(name)))


def subscribe(number: int, sid: int) -> bytes:
    """Ask for the value as a double, now and when it or its alarm changes."""
    return bytes(Message(EVENT_ADD, TIME_DOUBLE, 1, sid, number, EVENT.pack(VALUE | ALARM)))


def clear(number: int, sid: int) -> bytes:
    """Give a channel and its subscription back."""
    return bytes(Message(CLEAR_CHANNEL, 0, 0, sid, number))


def echo() -> bytes:
    return bytes(Message(ECHO, 0, 0, 0, 0))


class Decoder:
    """Bytes of a server, in any portions, as messages."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[list[Update] | Message]:
        """What is whole now, in order; values in lists.

        Raises:
            ProtocolError: no server of Channel Access sends this to a subscriber.
        """
        data = self._rest + data
        view, begin, end = memoryview(data), 0, len(data)
        while end - begin >= HEADER.size:
            values = []
            for update in UPDATE.iter_unpack(view[begin : end - (end - begin) % UPDATE.size]):
                if update[0] != UPDATE_HEAD or update[1] != NORMAL:
                    break
                values.append(update)
            if values:
                begin += len(values) * UPDATE.size
                yield values
                continue
            command, size, data_type, elements, first, second = HEADER.unpack_from(data, begin)
            if command not in ANSWERS or size > MAX_BYTES:
                raise ProtocolError(f"no message of Channel Access: {data[begin : begin + HEADER.size].hex(' ', 2)}")
            body = begin + HEADER.size
            if end - body < size:
                break
            begin = body + size
            yield Message(command, data_type, elements, first, second, data[body:begin])
        self._rest = data[begin:]


def _text(text: str) -> bytes:
    """With the NUL that ends it."""
    return text.encode() + b"\0"
