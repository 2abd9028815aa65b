"""What is wrong on this machine, and what to do about it; one line each."""

from __future__ import annotations

import ctypes
import os
import pwd
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil

from devices.core.errors import ConfigurationError, NotConnectedError
from servers.facility import address, background, machine_check, port_check, programs, readiness, record
from servers.facility.environment import facility_environment, foreign_variables
from servers.facility.facility_file import short_server_name
from servers.facility.place import facility_of, words_for
from servers.facility.ports import Ports

# Beside /etc/tangorc, cppTango looks into the home folder of the password database, not into $HOME.
SITE_TANGORC: Final = Path("/etc/tangorc")

LOW_DISK_BYTES: Final = 500 << 20
_STA_UNSYNC: Final = 0x0040  # Linux adjtimex(2): the clock is not kept by NTP or the like


def examine(*, state_dir: Path, port_offset: int, tango_host: str | None) -> list[str]:
    """Every finding as one line: what is wrong, and what to do."""
    running = record.running(state_dir)
    findings: list[str] = []
    ports, needed = Ports(offset=port_offset), [("tango", port_check.STREAM)]
    try:
        facility = facility_of(None, state_dir, port_offset)
        tango_host = tango_host or facility.tango_host
        ports, needed = facility.ports, port_check.needed(facility, own_database=tango_host is None)
        address.require_own(ports.bind)
    except ConfigurationError as error:
        findings += [f"{error.subject}: {problem}" for problem in error.problems]
    if running is None:
        findings += port_check.taken_ports(needed, ports)
    host = tango_host or (running.tango_host if running else ports.endpoint("tango"))
    findings += _shell(ports, host)
    findings += _tangorc(host)
    if running or tango_host:
        own = running is not None and running.own_database and running.tango_host == host
        findings += _database(host, own=own)
    findings += _silent(running, state_dir)
    findings += _twins(state_dir, running)
    findings += _clock(state_dir)
    findings += _disk(state_dir)
    findings += machine_check.examine(state_dir)
    return findings


def _shell(ports: Ports, tango_host: str) -> Iterator[str]:
    wanted = facility_environment(ports, tango_host)
    for name in foreign_variables(os.environ):
        value = os.environ[name]
        if name.startswith("DIPTYCH_") or wanted.get(name) == value:
            continue
        if name in wanted:
            yield f'{name}={value} leads programs of this shell elsewhere: eval "$(diptych env)" sets {wanted[name]}'
        else:
            yield f"{name}={value} changes what Tango and EPICS programs of this shell do: unset {name}"


def _tangorc(tango_host: str) -> Iterator[str]:
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    for path in (home / ".tangorc", SITE_TANGORC):
        try:
            lines = path.read_text(errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, value = line.partition("=")
            if name.strip() == "TANGO_HOST" and value.strip() != tango_host:
                yield (
                    f"{path} sends Tango programs without a TANGO_HOST to {value.strip()}, not to {tango_host}: "
                    f'eval "$(diptych env)" in each shell, or change that line'
                )


def _database(tango_host: str, *, own: bool) -> Iterator[str]:
    """One that does not answer, or only with errors; and polling in it, by which hardware is asked twice."""
    import tango

    from servers.facility import mirror_check
    from servers.facility.tango_database import open_database

    advice = "see log/database.log" if own else "restart it where it runs (docs/production.md)"
    try:
        database = open_database(tango_host)
        devices = list(database.get_device_exported("*"))
    except NotConnectedError:
        yield f"no Tango database answers at {tango_host}: {advice}"
        return
    except tango.DevFailed as error:
        yield f"the Tango database at {tango_host} answers `{' '.join(error.args[0].desc.split())}`: {advice}"
        return
    for device in devices:
        properties = database.get_device_property(device, ["polled_attr", "polled_cmd"])
        for name, entries in properties.items():
            if entries and any(lines != "0" for lines in list(entries)[1::2]):
                yield (
                    f"{device} is polled by Tango ({name} = {' '.join(entries)}) beside its own poller: remove the "
                    f"property {name} in the database and restart its server"
                )
    yield from mirror_check.findings(database, tango_host)


def _silent(running: record.Running | None, state_dir: Path) -> Iterator[str]:
    if running is None:
        return
    if not running.ready:
        yield f"the facility of pid {running.pid} is not ready yet: see its output and the logs"
    if not running.ready or not readiness.database_answers(running.tango_host):
        return  # told already, and what is missing yet is in its output
    try:
        servers = facility_of(None, state_dir, 0, to_run=False).start_order
    except ConfigurationError:
        return  # told already
    for server in readiness.silent_servers(running.tango_host, servers):
        name = short_server_name(server)
        if programs.is_held_back(state_dir, name):
            yield f"{name} was stopped by request: {words_for(f'serve {name} --background', state_dir)} starts it again"
        elif pid := running.processes.get(name):
            yield f"{name} (pid {pid}) does not answer: see log/{name}.log; `kill -9 {pid}` has it started again"
        else:
            yield f"{name} does not run at the moment: see log/{name}.log and log/facility.log"


def _twins(state_dir: Path, running: record.Running | None) -> Iterator[str]:
    """Servers that run twice: the second one takes the devices away from the first."""
    found: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "servers.main" in words[:5] and any(verb in words for verb in ("serve", "mirror")):
            found[tuple(words[words.index("servers.main") :])].add(process.pid)
    for words, pids in found.items():
        if len(pids) > 1:
            numbers = ", ".join(map(str, sorted(pids)))
            yield f"{' '.join(words[1:3])} runs {len(pids)} times (pids {numbers}): kill all but one"
    for name in background.names(state_dir):
        if running and name in running.processes:
            yield f"{name} runs in the background and in the facility: `diptych stop {name}` ends the former"


def _clock(state_dir: Path) -> Iterator[str]:
    # struct timex begins with: unsigned modes; long offset, freq, maxerror, esterror; int status.
    buffer = (ctypes.c_long * 64)()
    if ctypes.CDLL(None).adjtimex(buffer) >= 0 and buffer[5] & _STA_UNSYNC:
        yield "the clock of this machine is not synchronized, so time stamps may be wrong: start chrony or the like"
    newest = max((file.stat().st_mtime for file in state_dir.glob("*") if file.is_file()), default=0.0)
    if newest > time.time() + 60.0:
        yield f"files in {state_dir} are {newest - time.time():.0f} s in the future: the clock was set back; check it"


def _disk(state_dir: Path) -> Iterator[str]:
    if state_dir.exists() and (free := psutil.disk_usage(str(state_dir)).free) < LOW_DISK_BYTES:
        yield f"only {free >> 20} MB are free for {state_dir}: make room, or use another --state-dir"
