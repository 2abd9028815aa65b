"""The bytes an Archon sends, cut into replies: text lines, refusals, and blocks of 1024 bytes with a head of four."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import ProtocolError
from devices.drivers.archon_status import BLOCK

HEAD = 4
"""Bytes before each block: ``<RR:``."""

RECEIVE = (BLOCK + HEAD) * 2048
"""Bytes taken from the socket at once: few turns of the loop, and still copied out of a processor's cache."""

LONGEST_LINE = 65536

_BLOCK = np.dtype([("head", "<u4"), ("data", f"V{BLOCK}")])
_HEAD = re.compile(rb"[<?][0-9A-Fa-f]{2}")


class BlockSink:
    """Where the blocks of one fetch go.

    Args:
        reference: of the message that asked.
        into: uint8, (blocks * 1024,), contiguous.
    """

    def __init__(self, reference: int, into: NDArray[np.uint8]) -> None:
        self.reference = reference
        self.done = 0
        self.blocks = into.size // BLOCK
        self.head = np.frombuffer(b"<%02X:" % reference, "<u4")[0]
        self._into = into.view(_BLOCK["data"])

    def take(self, received: NDArray[np.uint8]) -> int:
        """Copy the blocks that begin here, as many as are whole and ours; returns how many."""
        count = min(received.size // (BLOCK + HEAD), self.blocks - self.done)
        blocks = received[: count * (BLOCK + HEAD)].view(_BLOCK)
        ours = blocks["head"] == self.head
        if not ours.all():
            count = int(ours.argmin())
        self._into[self.done : self.done + count] = blocks["data"][:count]
        self.done += count
        return count


class ReplyReader:
    """Cuts what comes into replies, however the stream is split; copies each block once.

    Args:
        on_line: called with (reference, refused, text) of each reply of text.
        on_blocks: called with the sink after blocks came.
    """

    def __init__(self, on_line: Callable[[int, bool, str], None], on_blocks: Callable[[BlockSink], None]) -> None:
        self._on_line = on_line
        self._on_blocks = on_blocks
        self._room = np.empty(RECEIVE + LONGEST_LINE, np.uint8)
        self._view = self._room.data
        self._filled = 0
        self.sinks: dict[int, BlockSink] = {}

    def room(self) -> memoryview:
        """Where the next bytes are put."""
        return self._view[self._filled :]

    def received(self, count: int) -> None:
        """So many bytes were put into `room`.

        Raises:
            ProtocolError: they are no replies of an Archon; nothing that follows can be understood.
        """
        self._filled += count
        start = 0
        while (used := self._one(start)) > 0:
            start += used
        if start:
            rest = self._filled - start
            self._view[:rest] = bytes(self._view[start : self._filled])
            self._filled = rest

    def _one(self, start: int) -> int:
        """Take the replies at ``start``; the bytes used, 0 when more must come first."""
        if self._filled - start < HEAD:
            return 0
        head = bytes(self._view[start : start + HEAD])
        if not _HEAD.match(head):
            raise ProtocolError(
                f"{bytes(self._view[start : min(self._filled, start + 40)])!r} is no reply of an Archon"
            )
        reference = int(head[1:3], 16)
        if head[0] == ord("<") and head[3] == ord(":") and reference in self.sinks:
            sink = self.sinks[reference]
            taken = sink.take(self._room[start : self._filled])
            if not taken:
                return 0
            self._on_blocks(sink)
            return taken * (BLOCK + HEAD)
        end = self._line_end(start)
        if end < 0:
            if self._filled - start > LONGEST_LINE:
                raise ProtocolError(f"more than {LONGEST_LINE} bytes without a line end after {head!r}")
            return 0
        text = bytes(self._view[start + 3 : end]).decode("latin-1").rstrip("\r")
        self._on_line(reference, head[0] == ord("?"), text)
        return end + 1 - start

    def _line_end(self, start: int) -> int:
        step = 512
        while start < self._filled:
            found = bytes(self._view[start : min(start + step, self._filled)]).find(b"\n")
            if found >= 0:
                return start + found
            start += step
            step = LONGEST_LINE
        return -1
