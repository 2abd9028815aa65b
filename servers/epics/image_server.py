"""The process that serves large attributes: ``python -m servers.epics.image_server DESCRIPTOR``, started by the mirror.

It is a mirror itself, of the large attributes only. It is told by its parent what to mirror, and ends with it.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from devices.core.errors import ConfigurationError
from servers.epics.audit import Audit
from servers.epics.configuration import MirrorConfig
from servers.epics.image_process import Report
from servers.epics.mirror import Mirror
from servers.epics.share import Share
from servers.garbage import collect_apart
from servers.log.formatter import log_to_stderr

log = logging.getLogger(__name__)

REPORT_PERIOD, LOOK_PERIOD = 0.5, 0.1  # s; a change of what is served is reported at once


class RelayedAudit(Audit):
    """Sends its lines to the mirror, which has the file."""

    def __init__(self, parent: Parent) -> None:
        super().__init__(None)
        self._parent = parent

    @property
    def is_kept(self) -> bool:
        return True

    def append(self, line: str) -> None:
        self._parent.send(line)


class Parent:
    """The mirror at the other end of a pipe."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, message: Report | str) -> None:
        with self._lock:
            self._connection.send(message)

    def receive(self) -> MirrorConfig | float | None:
        """What to mirror, or until when (s of the monotonic clock); None is the end."""
        try:
            message: MirrorConfig | float | None = self._connection.recv()
        except (EOFError, OSError):
            return None
        return message


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the mirror, which then ends this process
    log_to_stderr()
    collect_apart()
    parent = Parent(Connection(int(sys.argv[1])))
    config = parent.receive()
    if not isinstance(config, MirrorConfig):
        return 0
    mirror = Mirror(config, share=Share.LARGE, audit=RelayedAudit(parent))
    try:
        mirror.start()
    except ConfigurationError as error:
        log.error("%s", error)
        return 1
    stopped = threading.Event()
    threading.Thread(target=_obey, args=(parent, mirror, stopped), name="parent", daemon=True).start()
    _report(parent, mirror, stopped)
    mirror.stop()
    return 0


def _obey(parent: Parent, mirror: Mirror, stopped: threading.Event) -> None:
    while (config := parent.receive()) is not None:
        if isinstance(config, float):
            mirror.doors.extend(config)
            continue
        if mirror.config.withheld - config.withheld:
            break  # a name that is free again is rare enough for a new start
        mirror.reload(config)
    stopped.set()


def _report(parent: Parent, mirror: Mirror, stopped: threading.Event) -> None:
    served: Any = None
    due = 0.0
    while not stopped.wait(LOOK_PERIOD):
        now = time.monotonic()
        if mirror.served != served or now >= due:
            served, due = mirror.served, now + REPORT_PERIOD
            try:
                parent.send(Report(mirror.ca.port, mirror.pva.port, served, mirror.statistics()))
            except OSError:
                return  # the mirror is gone


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    os._exit(code)  # a thread may be inside Tango, waiting for a server that hangs
