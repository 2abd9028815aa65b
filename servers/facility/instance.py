"""One server instance by itself: in the foreground, in the background, stopped."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from devices.core.errors import BusyError, NotAllowedError, NotConnectedError, TimeoutError, UnknownNameError
from servers.facility import address, background, leash, programs, readiness, record
from servers.facility.environment import adopt
from servers.facility.facility_file import Facility, full_server_name, read_facility, short_server_name
from servers.facility.log_file import LogFile
from servers.facility.place import database_of, facility_of, words_for
from servers.facility.process import PYTHON, ending

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Instance:
    """A server instance, the facility it is of and the database it signs on to (None: it is served from the file)."""

    name: str
    facility: Facility
    database: str | None

    @classmethod
    def find(
        cls,
        instance: str,
        file_path: Path | None,
        *,
        facility_path: Path | None,
        state_dir: Path,
        port_offset: int,
        tango_host: str | None,
    ) -> Instance:
        """The instance that the options of `diptych serve` mean.

        Raises:
            ConfigurationError: the facility file is wrong or has no such instance.
            NotConnectedError: no database was named and no facility runs here.
        """
        if file_path:
            facility, database = read_facility(file_path, state_dir=state_dir, offset=port_offset), None
        else:
            facility = facility_of(facility_path, state_dir, port_offset)
            database = database_of(state_dir, tango_host or facility.tango_host)
        facility.server(instance)
        return cls(short_server_name(full_server_name(instance)), facility, database)

    def serve(self) -> int:
        """Serve in this process until a signal; returns the exit code.

        Raises:
            BusyError: it is served already.
            NotConnectedError: the database does not answer.
        """
        if not leash.is_held():
            self._refuse_second()
        address.require_own(self.facility.ports.bind)
        adopt(self.facility.ports, self._server_host())
        if self.database and not readiness.database_answers(self.database):
            raise NotConnectedError(f"no Tango database answers at {self.database}; `diptych up` starts one")
        self._refuse_other()
        from servers import host

        return host.serve(
            self.name,
            facility=self.facility,
            tango_host=self.database,
            ports=self.facility.ports,
            state_dir=self.facility.state_dir,
            file_mode=self.database is None,
        )

    def start_in_background(self) -> str:
        """Start it and return, with a line to show, when it answers on Tango.

        Raises:
            BusyError: it is served already.
            TimeoutError: it ended or did not answer in time; the text has the last line of its log.
        """
        self._refuse_second()
        self._refuse_other()
        state_dir = self.facility.state_dir
        command = [*PYTHON, "servers.main", "serve", self.name, "--state-dir", str(state_dir)]
        command += ["--port-offset", str(self.facility.ports.offset)]
        if self.database:
            command += ["--facility", str(self.facility.path), "--tango-host", self.database]
        else:
            command += ["--file", str(self.facility.path)]
        child = background.start(state_dir, self.name, command)
        readiness.wait_until(lambda: child.poll() is not None or self._answers(), START_SECONDS)
        if child.poll() is not None or not self._answers():
            happened = "does not answer" if child.returncode is None else ending(child.returncode)
            raise TimeoutError(f"{self.name} {happened}: {LogFile.of(state_dir, self.name).last_line()}")
        alone = "" if self.database else f" at {self._server_host()}, without a database (#dbase=no)"
        return f"{self.name} runs in the background{alone} (pid {child.pid}); {self._stop_words} ends it"

    def _answers(self) -> bool:
        server = full_server_name(self.name)
        return readiness.server_answers(self._server_host(), server, has_database=self.database is not None)

    def _server_host(self) -> str:
        """Where the server is found: by its database, or itself on the port that the database would have."""
        return self.database or self.facility.ports.endpoint("tango")

    @property
    def _stop_words(self) -> str:
        return words_for(f"stop {self.name}", self.facility.state_dir)

    def _refuse_second(self) -> None:
        running = record.running(self.facility.state_dir)
        process = background.process(self.facility.state_dir, self.name)
        pid = process.pid if process else running.processes.get(self.name) if running else None
        if pid and pid != os.getpid() and psutil.pid_exists(pid):  # of a process in the background it is the own one
            raise BusyError(f"{self.name} runs already (pid {pid}); {self._stop_words} stops it")

    def _refuse_other(self) -> None:
        """One that was started elsewhere, with another state directory or on another host."""
        if self.database and self._answers():
            raise BusyError(
                f"{self.name} runs already with the Tango database at {self.database}: end it where it runs, or give "
                f"this server another name"
            )


def resume(instance: str, state_dir: Path) -> str | None:
    """Let the facility start again what `stop` ended; a line to show, None when it holds nothing of this name back.

    Raises:
        TimeoutError: it does not come back in time; the text has the last line of its log.
    """
    name = short_server_name(full_server_name(instance))
    running = record.running(state_dir)
    if running is None or running.kept_by_others or not programs.is_held_back(state_dir, name):
        return None
    servers = facility_of(None, state_dir, 0, to_run=False).devices
    programs.release(state_dir, name)

    def is_back() -> bool:
        now = record.running(state_dir)
        if now is None or name not in now.processes:
            return False
        server = full_server_name(name)
        return server not in servers or readiness.server_answers(now.tango_host, server)

    if not readiness.wait_until(is_back, START_SECONDS):
        raise TimeoutError(f"{name} does not answer: {LogFile.of(state_dir, name).last_line()}")
    return f"{name} runs again under the facility"


def stop(instance: str, state_dir: Path) -> str:
    """Stop one instance and return a line to show.

    Raises:
        NotAllowedError: others keep it running.
        UnknownNameError: it does not run here.
        TimeoutError: it is still there after 10 s.
    """
    name = short_server_name(full_server_name(instance))
    if background.stop(state_dir, name, STOP_SECONDS):
        return f"{name} is stopped"
    running = record.running(state_dir)
    known = dict(running.processes) if running else {}
    if name not in known:
        raise UnknownNameError(
            f"{name} does not run on {state_dir}" + (f"; running: {', '.join(sorted(known))}" if known else "")
        )
    if running and running.kept_by_others:
        unit = f"diptych-{Path(running.facility).stem}-{name.replace('/', '.')}.service"
        raise NotAllowedError(
            f"{name} is kept running by systemd or Tango's Starter, stop it there: `systemctl stop {unit}`, or Astor"
        )
    programs.hold_back(state_dir, name)

    def is_gone() -> bool:
        now = record.running(state_dir)
        return now is None or name not in now.processes

    if not readiness.wait_until(is_gone, STOP_SECONDS):
        raise TimeoutError(f"{name} (pid {known[name]}) still runs after {STOP_SECONDS:g} s")
    return f"{name} is stopped; {words_for(f'serve {name} --background', state_dir)} starts it again"
