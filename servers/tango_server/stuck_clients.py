"""Clients that stopped reading: the kernel closes their connections before what waits for them fills the memory.

A client that is stopped, or hangs in its exit, takes no events; ZeroMQ keeps up to 1000 of them for it, which for
images is gigabytes. No limit can be set on ZeroMQ's side from here; one on the listening sockets (connections inherit
it) does. A client that comes back to life reconnects by itself.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket

log = logging.getLogger("diptych.events")

#: A connection whose peer takes no byte for this time is closed by the kernel, ms.
USER_TIMEOUT_MS = 2000


def limit_patience(milliseconds: int = USER_TIMEOUT_MS) -> int:
    """Set TCP_USER_TIMEOUT on every listening TCP socket of this process, and on what was accepted before.

    Returns how many sockets were changed. Connections that this process opened itself (hardware, database) are left
    alone. Does nothing where the system has no such option.

    Source: RFC 5482; tcp(7), TCP_USER_TIMEOUT.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is None or not os.path.isdir("/proc/self/fd"):
        return 0
    streams: list[tuple[socket.socket, bool, int]] = []
    with contextlib.ExitStack() as stack:
        for text in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                if not os.readlink(f"/proc/self/fd/{text}").startswith("socket:"):
                    continue
                stream = stack.enter_context(socket.socket(fileno=os.dup(int(text))))
                if stream.family in (socket.AF_INET, socket.AF_INET6) and stream.type == socket.SOCK_STREAM:
                    listening = bool(stream.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
                    streams.append((stream, listening, stream.getsockname()[1]))
        ours = {port for _, listening, port in streams if listening}
        changed = 0
        for stream, _, port in streams:
            with contextlib.suppress(OSError):
                if port in ours and stream.getsockopt(socket.IPPROTO_TCP, option) != milliseconds:
                    stream.setsockopt(socket.IPPROTO_TCP, option, milliseconds)
                    changed += 1
    return changed
