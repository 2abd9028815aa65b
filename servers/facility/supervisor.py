"""A whole facility as one process tree: started, watched, started again where it dies, stopped without a trace.

Children live in the supervisor's session, each in a process group of its own: Ctrl-C reaches the supervisor only, which
then ends the servers first and the database they sign off from last.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Coroutine, Iterator
from datetime import datetime
from typing import Final

from devices.core.errors import BusyError, ConfigurationError, NotConnectedError
from servers.facility import address, lock, port_check, programs, readiness, record
from servers.facility.endpoints import table
from servers.facility.environment import adopt, child_environment
from servers.facility.facility_file import Facility, short_server_name
from servers.facility.log_file import LogFile
from servers.facility.process import Process, Program
from servers.facility.pulse import Pulse
from servers.facility.rehearsal import rehearse

STOP_SECONDS: Final = 5.0
LAST_STOP_SECONDS: Final = 2.0
DATABASE_START_SECONDS: Final = 30.0
LOG_CHECK_SECONDS: Final = 10.0
HOLD_CHECK_SECONDS: Final = 0.3
PROGRESS_SECONDS: Final = 5.0
# READY does not wait longer for a device that is still INIT: it may be off for the night.
SETTLE_SECONDS: Final = 5.0


def run_facility(facility: Facility, tango_host: str | None = None) -> int:
    """Run a facility until Ctrl-C or SIGTERM; returns the exit code.

    Args:
        facility: what to run.
        tango_host: HOST:PORT of an existing Tango database; without it (and none in the file) it has its own.

    Raises:
        BusyError: another facility runs on the state directory.
        ConfigurationError: ports are taken.
        NotConnectedError: the database does not answer.
    """
    with lock.state_lock(facility.state_dir):
        return asyncio.run(Supervisor(facility, tango_host or facility.tango_host).run())


class Supervisor:
    """Starts, watches and stops the processes of one facility."""

    def __init__(self, facility: Facility, tango_host: str | None) -> None:
        self.facility = facility
        self.tango_host = tango_host or facility.ports.endpoint("tango")
        self._own_database = tango_host is None
        self._log = LogFile.of(facility.state_dir, "facility")
        self._began = time.monotonic()
        self._stop = asyncio.Event()
        self._ready = False
        self._record_is_old = False
        self._processes: dict[str, Process] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._leash_fd = -1
        self._environment: dict[str, str] = {}
        self._failure: BaseException | None = None

    async def run(self) -> int:
        self._check_machine()
        programs.clear_holds(self.facility.state_dir)
        # The supervisor is a client of its own facility and of no other.
        adopt(self.facility.ports, self.tango_host)
        self._environment = child_environment(self.facility.ports, self.tango_host)
        loop = asyncio.get_running_loop()
        Pulse(self.facility.state_dir, "facility").follow(loop)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup ignores SIGHUP and means it; a shell script ignores SIGINT for what it starts with & and does not.
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue
            loop.add_signal_handler(number, self._on_signal, number)
        with self._leash():
            try:
                await self._until_stopped()
            finally:
                await self._stop_all()
                record.forget(self.facility.state_dir)
        if self._failure:
            raise self._failure
        return 0

    async def _until_stopped(self) -> None:
        """Bring everything up and watch it; the first error of the facility as a whole ends it."""
        stop = asyncio.create_task(self._stop.wait())
        work = asyncio.create_task(self._bring_up_and_watch())
        await asyncio.wait({stop, work}, return_when=asyncio.FIRST_COMPLETED)
        for task in (stop, work):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work

    async def _bring_up_and_watch(self) -> None:
        self._announce(
            f"starting {self.facility.name} ({self.facility.path}), state and logs in {self.facility.state_dir}"
        )
        self._keep(programs.guard(self.facility))
        # All take seconds; nothing is registered before the devices are known to be sound.
        for program in programs.simulators(self.facility):
            self._keep(program)
        await asyncio.gather(self._start_database(), asyncio.to_thread(rehearse, self.facility))
        if not self._own_database:
            await asyncio.to_thread(self._refuse_second)
        await asyncio.to_thread(self._register)
        for program in programs.with_database(self.facility, self.tango_host):
            self._keep(program)
        await self._wait_until_ready()
        await self._watch()

    async def _start_database(self) -> None:
        if self._own_database:
            self._keep(programs.database(self.facility))
        await self._wait_for_database(DATABASE_START_SECONDS if self._own_database else 3.0)

    async def _wait_for_database(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not await asyncio.to_thread(readiness.database_answers, self.tango_host):
            if time.monotonic() > deadline:
                raise NotConnectedError(
                    f"no Tango database answers at {self.tango_host}"
                    + (f": {self._processes['database'].log.last_line()}" if self._own_database else "")
                )
            await asyncio.sleep(0.05)
        self._announce(f"Tango database answers at {self.tango_host}")

    def _refuse_second(self) -> None:
        """A shared database may know running servers of these names: their settings are not to be overwritten."""
        servers = self.facility.start_order
        silent = readiness.silent_servers(self.tango_host, servers)
        if running := [short_server_name(server) for server in servers if server not in silent]:
            raise BusyError(
                f"the Tango database at {self.tango_host} has these servers running already: {', '.join(running)}; end "
                f"them where they run, or give those of {self.facility.path.name} other names; nothing was changed"
            )

    def _register(self) -> bool:
        """Bring the database up to the facility file; returns whether something had to change."""
        from servers import registry

        return (
            registry.bring_up_to_date(self.facility, self.tango_host, whole=self._own_database, show=self._announce) > 0
        )

    async def _wait_until_ready(self) -> None:
        told = time.monotonic()
        servers = dict.fromkeys(self.facility.start_order)
        while True:
            silent = [s for s in servers if not await asyncio.to_thread(readiness.server_answers, self.tango_host, s)]
            missing = silent or await asyncio.to_thread(readiness.unanswered_pvs, self.facility)
            if not missing and not await asyncio.to_thread(readiness.panels_answer, self.facility):
                missing = ["web"]
            if not missing:
                break
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                self._announce(f"waiting for {', '.join(short_server_name(name) for name in missing)}")
            await asyncio.sleep(0.1)
        states = await self._settled_states([d for server in servers for d in self.facility.device_names(server)])
        self._ready = True
        self._write_record()
        self._show(table(self.facility, self.tango_host, states, time.monotonic() - self._began))

    async def _settled_states(self, devices: list[str]) -> dict[str, str | None]:
        """The states of the devices, once none is INIT any more; not for long, one may wait for its hardware."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            states = await asyncio.to_thread(readiness.device_states, self.tango_host, devices)
            if "INIT" not in states.values() or time.monotonic() > deadline:
                return states
            await asyncio.sleep(0.1)

    async def _watch(self) -> None:
        checked = time.monotonic()
        while True:
            for name, process in self._processes.items():
                await self._obey_hold(name, process)
            if time.monotonic() - checked > LOG_CHECK_SECONDS:
                checked = time.monotonic()
                for log in LogFile.all(self.facility.state_dir):
                    log.limit()
                if self._record_is_old:
                    self._write_record()
            await asyncio.sleep(HOLD_CHECK_SECONDS)

    async def _obey_hold(self, name: str, process: Process) -> None:
        """`diptych stop` leaves a note, and `diptych serve --background` takes it away."""
        held = programs.is_held_back(self.facility.state_dir, name)
        if held and process.held_back.is_set():
            process.held_back.clear()
            self._announce(f"{name} is stopped by request")
            await process.end(STOP_SECONDS)
            self._write_record()
        elif not held and not process.held_back.is_set():
            self._announce(f"{name} is started by request")
            process.held_back.set()

    def _keep(self, program: Program) -> None:
        log = LogFile.of(self.facility.state_dir, program.name)
        log.limit()
        process = Process(program, self._environment, log, self._leash_fd, announce=self._warn, on_start=self._on_start)
        self._processes[program.name] = process
        self._run(process.keep_running())

    def _on_start(self, process: Process) -> None:
        self._write_record()
        if process.starts > 1:
            self._announce(f"{process.name} runs again (pid {process.pid})")
            if process.name == "database":
                self._run(self._repair_database())

    async def _repair_database(self) -> None:
        """After a restart of the database: it may have lost its file, then everybody has to sign on again."""
        with contextlib.suppress(NotConnectedError):  # it died again, and then the next repair follows
            await self._wait_for_database(DATABASE_START_SECONDS)
            if await asyncio.to_thread(self._register):
                for server in self.facility.start_order:
                    await self._processes[short_server_name(server)].end(STOP_SECONDS)

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_end)

    def _on_task_end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._failure = self._failure or error
            self._stop.set()

    async def _stop_all(self) -> None:
        if not self._processes:
            return
        self._announce("stopping")
        began = time.monotonic()
        last = [self._processes[name] for name in ("database", "guard") if name in self._processes]
        first = [process for process in self._processes.values() if process not in last]
        await asyncio.gather(*(process.stop(STOP_SECONDS) for process in first))
        for process in last:
            await process.stop(LAST_STOP_SECONDS)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_STOP_SECONDS)
        for task in self._tasks:
            task.cancel()
        self._announce(f"stopped in {time.monotonic() - began:.1f} s; nothing is left")

    def _on_signal(self, number: signal.Signals) -> None:
        if self._stop.is_set():  # a person who asks twice wants it now
            for process in self._processes.values():
                process.kill()
        self._stop.set()

    def _check_machine(self) -> None:
        """Whether this machine has the addresses, ports and programs that the facility needs."""
        address.require_own(self.facility.ports.bind)
        address.require_own(self.facility.web.bind)
        needed = port_check.needed(self.facility, own_database=self._own_database)
        problems = port_check.taken_ports(needed, self.facility.ports) + programs.missing(self.facility)
        if problems:
            raise ConfigurationError(self.facility.path.name, problems)

    @contextlib.contextmanager
    def _leash(self) -> Iterator[None]:
        """The pipe whose end the children watch; the writing end is not inherited by anybody."""
        self._leash_fd, writing_end = os.pipe()
        try:
            yield
        finally:
            os.close(self._leash_fd)
            os.close(writing_end)

    def _write_record(self) -> None:
        now = record.Running.of(
            self.facility,
            self.tango_host,
            processes={name: process.pid for name, process in self._processes.items() if process.pid is not None},
            starts={name: process.starts for name, process in self._processes.items()},
            own_database=self._own_database,
            ready=self._ready,
        )
        was_old, self._record_is_old = self._record_is_old, False
        try:
            now.write(self.facility.state_dir)
        except OSError as error:  # a full disk is no reason to end instruments
            self._record_is_old = True
            if not was_old:
                self._warn(f"{self.facility.state_dir}: {error.strerror}; `diptych` commands may see old processes")

    def _warn(self, line: str) -> None:
        self._announce(line, "WARNING")

    def _announce(self, line: str, level: str = "INFO") -> None:
        self._show(f"{time.monotonic() - self._began:6.1f} s  {line}")
        with contextlib.suppress(OSError), self._log.path.open("a") as log:  # the disk may be full
            log.write(f"{datetime.now().astimezone().isoformat(timespec='milliseconds')} {level} facility: {line}\n")

    @staticmethod
    def _show(text: str) -> None:
        with contextlib.suppress(OSError):  # a terminal that was closed does not end the facility
            print(text, flush=True)
