"""The connections by which events come, seen from outside Tango: is the one to a server still there?

Tango does not look. Its heartbeat has a connection of its own, and an event connection that is broken (the kernel of
the other host closes it when this process is too slow for a burst, or a firewall forgets it) is never made again: there
is no error, and no event any more (measured, cppTango 10.3).
"""

from __future__ import annotations

import logging
import threading
import time
from urllib.parse import urlsplit

import psutil

log = logging.getLogger(__name__)

PERIOD = 5.0  # s between two looks at the table of connections, 5 ms for a thousand of them


class EventConnections:
    """The far ends of the TCP connections of this process; one for all servers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = psutil.Process()
        self._ends: frozenset[tuple[str, int]] = frozenset()
        self._next_look = 0.0

    def has(self, endpoint: str) -> bool:
        """Whether there was a connection to ``tcp://ADDRESS:PORT`` at the last look."""
        with self._lock:
            if time.monotonic() >= self._next_look:
                self._next_look = time.monotonic() + PERIOD
                self._ends = self._look()
            parts = urlsplit(endpoint)
            return (parts.hostname, parts.port) in self._ends

    def _look(self) -> frozenset[tuple[str, int]]:
        try:
            found = self._process.net_connections("tcp")
        except (psutil.Error, OSError) as error:  # a system that does not tell
            log.debug("connections: %s", error)
            return frozenset()
        return frozenset(
            (each.raddr.ip, each.raddr.port) for each in found if each.raddr and each.status == psutil.CONN_ESTABLISHED
        )
