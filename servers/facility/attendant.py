"""A facility whose processes others keep running: systemd, or Tango's Starter.

Somebody still has to bring the database up to the file before a server starts, and to say which processes there are:
the `diptych` commands, the health panel and the log read that in the state directory. Processes are known by their
command lines, so it does not matter who started them, or when.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import psutil

from devices.core.errors import NotConnectedError
from servers.facility import lock, programs, readiness, record, starter
from servers.facility.environment import adopt
from servers.facility.facility_file import Facility, short_server_name
from servers.facility.log_file import LogFile
from servers.facility.process import Program
from servers.facility.pulse import Pulse
from servers.facility.rehearsal import rehearse

DATABASE_SECONDS: Final = 60.0
ROUND_SECONDS: Final = 1.0
LOG_CHECK_SECONDS: Final = 10.0


def attend(facility: Facility, tango_host: str | None, starter_folder: Path | None = None) -> int:
    """Register a facility, then keep the record of its processes until SIGTERM; returns the exit code.

    Args:
        starter_folder: where Tango's Starter has the servers that it runs.

    Raises:
        BusyError: another facility runs on the state directory.
        ConfigurationError: the file is wrong.
        NotConnectedError: no database answers within 60 s.
    """
    from servers import registry

    host = tango_host or facility.tango_host or facility.ports.endpoint("tango")
    own_database = tango_host is None and facility.tango_host is None
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with lock.state_lock(facility.state_dir):
        adopt(facility.ports, host)
        rehearse(facility)
        if not readiness.wait_until(lambda: stop.is_set() or readiness.database_answers(host), DATABASE_SECONDS):
            raise NotConnectedError(f"no Tango database answers at {host}")
        if stop.is_set():
            return 0
        registry.bring_up_to_date(facility, host, whole=own_database, show=lambda line: print(line, flush=True))
        found = all_programs(facility, host, own_database=own_database)
        if starter_folder is not None:
            names = {short_server_name(server) for server in facility.start_order if server not in facility.programs}
            found = [starter.started(each, starter_folder) if each.name in names else each for each in found]
        attendant = Attendant(facility, host, found, own_database=own_database)
        attendant.look()
        notify("READY=1")
        try:
            while not stop.wait(ROUND_SECONDS):
                attendant.look()
        finally:
            record.forget(facility.state_dir)
    return 0


class Attendant:
    """Looks for the processes of a facility and notes them.

    Args:
        expected: their command lines.
        own_database: whether the embedded database is one of them.
    """

    def __init__(self, facility: Facility, tango_host: str, expected: Sequence[Program], *, own_database: bool) -> None:
        self._facility = facility
        self._tango_host = tango_host
        self._own_database = own_database
        self._expected = expected
        self._pids: Mapping[str, int] = {}
        self._starts: dict[str, int] = {program.name: 0 for program in expected}
        self._ready = False
        self._written: record.Running | None = None
        self._logs_limited = 0.0
        self._pulse = Pulse(facility.state_dir, "facility")

    def look(self) -> None:
        """One round."""
        self._pulse.beat()
        pids = find(self._expected)
        for name, pid in pids.items():
            if self._pids.get(name) != pid:
                self._starts[name] += 1
        self._pids = pids
        self._ready = self._ready or (len(pids) == len(self._expected) and not self._silent())
        self._write()
        if time.monotonic() - self._logs_limited > LOG_CHECK_SECONDS:
            self._logs_limited = time.monotonic()
            for log in LogFile.all(self._facility.state_dir):
                log.limit()

    def _silent(self) -> bool:
        return bool(readiness.silent_servers(self._tango_host, self._facility.start_order))

    def _write(self) -> None:
        now = record.Running.of(
            self._facility,
            self._tango_host,
            processes=dict(self._pids),
            starts=dict(self._starts),
            own_database=self._own_database,
            ready=self._ready,
            kept_by_others=True,
        )
        if now != self._written:
            with contextlib.suppress(OSError):  # the disk is full: next time
                now.write(self._facility.state_dir)
                self._written = now


def all_programs(facility: Facility, tango_host: str, *, own_database: bool) -> list[Program]:
    """Every program of a facility but for what only `diptych up` needs."""
    database = [programs.database(facility)] if own_database else []
    return [*database, *programs.all_but_database(facility, tango_host)]


def find(wanted: Iterable[Program]) -> dict[str, int]:
    """Process name -> pid, by the command line; of several the oldest, as the others are its children."""
    names = {tuple(program.command): program.name for program in wanted}
    found: dict[str, tuple[float, int]] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            name = names.get(tuple(process.cmdline()))
            if name is not None and process.status() != psutil.STATUS_ZOMBIE:
                age = (process.create_time(), process.pid)
                found[name] = min(found.get(name, age), age)
    return {name: pid for name, (_, pid) in found.items()}


def notify(state: str) -> None:
    """Tell systemd, where it started this process (protocol of sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.connect(f"\0{address[1:]}" if address.startswith("@") else address)
            sock.send(state.encode())
