"""The client of a gRPC stream that does next to nothing: it keeps what comes, and when; all else is done later.

Four clients of grpc take more of a core than the server whose speed is asked for. The server sees no difference.

Source: RFC 9113 (HTTP/2), RFC 7541 (HPACK), gRPC over HTTP2 (github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 4, 6, 8
ACK, END_STREAM, END_HEADERS = 1, 1, 4
INITIAL_WINDOW_SIZE: Final = 4
LARGEST_WINDOW: Final = (1 << 31) - 1  # bytes: more than a benchmark sends
FIRST_WINDOW: Final = (1 << 16) - 1
FRAME_HEAD_BYTES: Final = 9
MESSAGE_HEAD_BYTES: Final = 5
RECEIVE_BYTES: Final = 1 << 18


class Http2Reader:
    """One call that is answered by a stream.

    Args:
        path: of a unix socket.
        method: ``/package.Service/Method``.
        request: serialized.
    """

    def __init__(self, path: str, method: str, request: bytes) -> None:
        self._received: list[tuple[int, bytes]] = []
        self._frames = b""  # the begin of a frame
        self._messages = b""  # the begin of a message
        names = {
            ":method": "POST", ":scheme": "http", ":path": method, ":authority": "localhost",
            "te": "trailers", "content-type": "application/grpc",
        }  # fmt: skip
        block = b"".join(b"\0" + _literal(name) + _literal(value) for name, value in names.items())
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.sendall(
            PREFACE
            + _frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE, LARGEST_WINDOW))
            + _frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", LARGEST_WINDOW - FIRST_WINDOW))
            + _frame(HEADERS, END_HEADERS, 1, block)
            + _frame(DATA, END_STREAM, 1, struct.pack(">BI", 0, len(request)) + request)
        )

    def receive(self, now_ns: int) -> bool:
        """Take what has come; False at the end."""
        came = self.socket.recv(RECEIVE_BYTES)
        data, at = self._frames + came, 0
        while at + FRAME_HEAD_BYTES <= len(data):
            begin = at + FRAME_HEAD_BYTES
            end = begin + int.from_bytes(data[at : at + 3], "big")
            if end > len(data):
                break
            kind, flags = data[at + 3], data[at + 4]
            if kind == DATA:
                self._received.append((now_ns, data[begin:end]))
            elif kind in (PING, SETTINGS) and not flags & ACK:
                self.socket.sendall(_frame(kind, ACK, 0, data[begin:end] if kind == PING else b""))
            at = end
        self._frames = data[at:]
        return bool(came)

    def messages(self) -> Iterator[tuple[int, bytes]]:
        """When each message was whole that came since the last time, ns, and its bytes."""
        received, self._received = self._received, []
        for now_ns, part in received:
            data, at = self._messages + part, 0
            while at + MESSAGE_HEAD_BYTES <= len(data):
                begin = at + MESSAGE_HEAD_BYTES
                end = begin + int.from_bytes(data[at + 1 : begin], "big")
                if end > len(data):
                    break
                yield now_ns, data[begin:end]
                at = end
            self._messages = data[at:]


def _literal(text: str) -> bytes:
    assert len(text) < 127  # the length is one byte
    return bytes([len(text)]) + text.encode()


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload
