"""The connection to one PVAccess client, seen from outside p4p: how many bytes the client has not taken yet."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time

MAX_WAITING = 16 << 20  # bytes that may wait for one client; a single value may be larger
P4P_QUEUE = 4  # values that p4p queues for a client at least; in a full queue it replaces the last one, which is lost
SETTLE_TIME = 0.1  # s; after it, what the kernel does not hold has been sent or was replaced by something newer

# struct tcp_info of Linux: tcpi_bytes_acked is a u64 at 120, tcpi_notsent_bytes a u32 at 144.
_TCP_INFO = struct.Struct("=120xQ16xI")


class PeerConnection:
    """Counts what was posted to a client against what its system has acknowledged.

    p4p queues as many values as a client asks for (areaDetector's driver: 100), which for frames is gigabytes, and does
    not tell how many wait. The kernel does. Where it does not (another system than Linux), there is always room.

    Args:
        peer: ``HOST:PORT`` of the client's end.

    Source:
        tcp(7), TCP_INFO; include/uapi/linux/tcp.h.
    """

    def __init__(self, peer: str) -> None:
        host, _, port = peer.rpartition(":")
        self._peer = host.strip("[]"), int(port)
        self._descriptor = self._find()
        self._posted = 0
        self._last_post = 0.0
        self._acknowledged_before = self._counts()[0]

    def has_room(self, size: int) -> bool:
        """Whether a value of so many bytes may be posted now."""
        if not self._posted:
            return True
        acknowledged, unsent = self._counts()
        if not unsent and time.monotonic() - self._last_post > SETTLE_TIME:
            self._posted, self._acknowledged_before = 0, acknowledged
            return True
        waiting = self._posted - (acknowledged - self._acknowledged_before)
        if waiting <= 0:  # what is acknowledged has headers, too; they must not add up
            self._posted, self._acknowledged_before = 0, acknowledged
            return True
        return waiting + size <= min(MAX_WAITING, P4P_QUEUE * size)

    def posted(self, size: int) -> None:
        """Count a value that was posted."""
        if self._descriptor >= 0:
            self._posted += size
            self._last_post = time.monotonic()

    def _counts(self) -> tuple[int, int]:
        """Bytes acknowledged since the connection was made, and bytes that the kernel has not sent."""
        with contextlib.suppress(OSError), self._socket(self._descriptor) as ours:
            if ours.getpeername()[:2] == self._peer:
                found = _TCP_INFO.unpack(ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size))
                return int(found[0]), int(found[1])
        self._descriptor = -1  # closed: the channel will be, too
        return 0, 0

    def _find(self) -> int:
        """The file descriptor of our end, which p4p does not give away; -1 when there is none."""
        for text in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/self/fd/{text}").startswith("socket:"):
                    with self._socket(int(text)) as candidate:
                        if candidate.type == socket.SOCK_STREAM and candidate.getpeername()[:2] == self._peer:
                            return int(text)
        return -1

    @staticmethod
    def _socket(descriptor: int) -> socket.socket:
        # A second descriptor for a moment: the first one stays p4p's.
        return socket.socket(fileno=os.dup(descriptor))
