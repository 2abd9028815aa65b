"""Frames of DCSS (xos): 200 bytes, or two decimal sizes in 26 bytes followed by text and binary.

Source:
    The DCS administration guide, chapter 9; what servers and hardware servers in the field send.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from devices.core.errors import BadValueError, ProtocolError

#: Of a frame of the first protocol, and of the first message each way in the second one.
LOGIN_BYTES: Final = 200
HEADER_BYTES: Final = 26
#: What is taken; DCSS itself has no bound.
MAX_TEXT_BYTES: Final = 1 << 20
MAX_BINARY_BYTES: Final = 64 << 20
#: Two integers with blanks or NUL around: who wrote the header decides what stands between.
_HEADER: Final = re.compile(rb"[ \0]*([0-9]{1,12})[ \0]+([0-9]{1,12})[ \0]*")
_ENDS: Final = " \t\r\n\0"


@dataclass(frozen=True)
class Frame:
    """One message.

    Attributes:
        text: without padding, NUL and line end; what is not ASCII is U+FFFD.
        binary: what came behind the text.
    """

    text: str
    binary: bytes = b""


class XosDecoder:
    """Cuts a stream into frames, wherever TCP has cut it.

    Args:
        first: the protocol of the first frame: 1 as at the hardware port; 0: whatever comes, as at the GUI port.
        protocol: of all later ones: 1, 2, or 0: the first of them shows which.
    Attributes:
        protocol: as given, or as found (0: not yet).
    """

    def __init__(self, *, first: int = 1, protocol: int = 0) -> None:
        self._first, self.protocol = first, protocol
        self._buffer = bytearray()
        self._is_first = True
        self._sizes: tuple[int, int] | None = None

    @property
    def is_between_frames(self) -> bool:
        """Whether nothing of a frame has come that is not complete yet."""
        return not self._buffer and self._sizes is None

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are complete with these bytes.

        Raises:
            ProtocolError: no sizes where they belong, or too great ones; the stream cannot be read any further.
        """
        self._buffer += data
        frames: list[Frame] = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> Frame | None:
        if not self._buffer and self._sizes is None:
            return None
        protocol = self._first if self._is_first else self.protocol
        if not protocol:
            protocol = 2 if self._buffer[:1] in b" \0" + b"0123456789" else 1
        if not self._is_first and not self.protocol:
            self.protocol = protocol
        frame = self._fixed() if protocol == 1 else self._sized()
        if frame is not None:
            self._is_first = False
        return frame

    def _fixed(self) -> Frame | None:
        if len(self._buffer) < LOGIN_BYTES:
            return None
        text = _text(self._take(LOGIN_BYTES))
        return Frame(text)

    def _sized(self) -> Frame | None:
        if self._sizes is None:
            if len(self._buffer) < HEADER_BYTES:
                return None
            self._sizes = _sizes(self._take(HEADER_BYTES))
        text_size, binary_size = self._sizes
        if len(self._buffer) < text_size + binary_size:
            return None
        self._sizes = None
        text = _text(self._take(text_size))
        return Frame(text, self._take(binary_size) if binary_size else b"")

    def _take(self, count: int) -> bytes:
        taken = bytes(memoryview(self._buffer)[:count])
        del self._buffer[:count]
        return taken


def encode_login(text: str) -> bytes:
    """A frame of 200 bytes, padded with NUL.

    Raises:
        BadValueError: the text has no room in it.
    """
    data = _ascii(text)
    if len(data) >= LOGIN_BYTES:
        raise BadValueError(f"text of {len(data)} byte is longer than {LOGIN_BYTES - 1} byte: {text:.60}...")
    return data.ljust(LOGIN_BYTES, b"\0")


def encode_frame(text: str, binary: bytes = b"") -> bytes:
    """A frame of the second protocol; the NUL behind the text is counted.

    Raises:
        BadValueError: longer than `MAX_TEXT_BYTES` or `MAX_BINARY_BYTES`.
    """
    data = _ascii(text)
    if len(data) >= MAX_TEXT_BYTES:
        raise BadValueError(f"text of {len(data)} byte is longer than {MAX_TEXT_BYTES - 1} byte")
    if len(binary) > MAX_BINARY_BYTES:
        raise BadValueError(f"binary of {len(binary)} byte is longer than {MAX_BINARY_BYTES} byte")
    return b"%12d %12d %s\0%s" % (len(data) + 1, len(binary), data, binary)


def _ascii(text: str) -> bytes:
    # Each NUL would end the text for the receiver.
    return text.replace("\0", " ").encode("ascii", "replace")


def _text(data: bytes) -> str:
    return data.lstrip(b"\0").partition(b"\0")[0].decode("ascii", "replace").strip(_ENDS)


def _sizes(header: bytes) -> tuple[int, int]:
    found = _HEADER.fullmatch(header)
    if found is None:
        raise ProtocolError(f"header = {header!r} is not two sizes")
    text, binary = int(found[1]), int(found[2])
    if text > MAX_TEXT_BYTES:
        raise ProtocolError(f"text of {text} byte is longer than {MAX_TEXT_BYTES} byte")
    if binary > MAX_BINARY_BYTES:
        raise ProtocolError(f"binary of {binary} byte is longer than {MAX_BINARY_BYTES} byte")
    return text, binary
