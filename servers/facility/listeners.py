"""What listens: each socket of a facility's processes, whose protocol it is, who reaches it, and what guards it."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import psutil

from servers.facility import record
from servers.facility.facility_file import Facility
from servers.facility.listener import NETWORK, Listener
from servers.facility.listener_facts import (
    NOBODY_ASKED,
    PVA_DATAGRAMS,
    SIMULATED,
    TANGO,
    TANGO_EVENTS,
    TANGO_LOCAL,
    Facts,
    facts_of,
)
from servers.facility.place import facility_of
from servers.facility.planned_listeners import planned
from servers.facility.tango_ports import published_ports

_PVA_LIBRARY: Final = "libpvxs"
_OMNI_SOCKET: Final = re.compile(r"/omni-[^/]+/\d+-\d+$")


def listeners(state_dir: Path, port_offset: int = 0) -> tuple[list[Listener], bool]:
    """The sockets of the facility that runs on a state directory, else those that its file would open; which it is.

    Raises:
        ConfigurationError: the facility's files are wrong.
    """
    facility = facility_of(None, state_dir, port_offset, to_run=False)
    running = record.running(state_dir)
    return (list(planned(facility)), False) if running is None else (list(_open(running, facility)), True)


def report(state_dir: Path, port_offset: int, say: Callable[[str], None]) -> list[str]:
    """Say which sockets there are; what is wrong with them.

    Raises:
        ConfigurationError: the facility's files are wrong.
    """
    found, is_running = listeners(state_dir, port_offset)
    say("sockets that listen now" if is_running else "no facility runs here; sockets that its file would open")
    for line in [*lines(found), *notes(found)]:
        say(line)
    return findings(found)


def lines(found: Iterable[Listener]) -> Iterator[str]:
    """A table of sockets, those that others reach first."""
    ordered = sorted(found, key=lambda each: (each.reach != NETWORK, each.process, each.transport, each.port))
    rows = [("reach", "socket", "process", "protocol", "asks of clients", "limits")]
    for each in ordered:
        facts = each.facts or Facts("UNKNOWN", asks="?")
        rows.append((each.reach, each.where, each.process, facts.protocol, facts.asks, facts.limits))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ("  ".join(f"{word:{width}}" for word, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def findings(found: Iterable[Listener]) -> list[str]:
    """What is wrong, one line each."""
    return [each.finding for each in found if each.finding]


def notes(found: Iterable[Listener]) -> list[str]:
    """What the facility cannot change, one line each."""
    open_datagrams = [each for each in found if each.facts is PVA_DATAGRAMS and each.reach == NETWORK]
    if not open_datagrams:
        return []
    return [
        f"{len(open_datagrams)} UDP sockets of the PVAccess library are bound to every interface, wherever its servers "
        f"listen: it answers only what was sent to the address of its server; a firewall keeps the rest away"
    ]


def _open(running: record.Running, facility: Facility) -> Iterator[Listener]:
    """Every listening socket of a facility's processes, whoever started them, and of their helpers."""
    requests, events = published_ports(running.tango_host)
    services = {port: name for name, port in running.ports.items()}
    of_file = {(each.transport, each.port): each.facts for each in planned(facility)}
    names = {pid: name for name, pid in running.processes.items()} | {running.pid: "facility"}
    for process in _processes(names):
        with contextlib.suppress(psutil.NoSuchProcess):
            name = _name(process, names)
            for transport, address, port in _sockets(process):
                facts: Facts | None = None
                if transport == "unix":
                    facts = TANGO_LOCAL if _OMNI_SOCKET.search(address) else None
                elif (transport, port) in of_file:
                    facts = of_file[transport, port]
                elif (service := services.get(port)) is not None:
                    facts = facts_of(facility, service)
                elif transport == "tcp" and port in requests:
                    facts = TANGO
                elif transport == "tcp" and port in events:
                    facts = TANGO_EVENTS
                elif name.startswith("sim."):
                    facts = SIMULATED
                if facts is None and transport == "udp" and _has_pva(process.pid):
                    facts = PVA_DATAGRAMS
                yield Listener(name, process.pid, transport, address, port, facts or _configured(facility, port))


def _processes(pids: Iterable[int]) -> Iterator[psutil.Process]:
    """These and their children, each once: systemd and Tango's Starter are nobody's children of ours."""
    seen: set[int] = set()
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            first = psutil.Process(pid)
            for process in [first, *first.children(recursive=True)]:
                if process.pid not in seen:
                    seen.add(process.pid)
                    yield process


def _sockets(process: psutil.Process) -> set[tuple[str, str, int]]:
    """Transport, address and port of what a process listens on."""
    found: set[tuple[str, str, int]] = set()
    for each in process.net_connections("all"):
        if each.family == socket.AF_UNIX:
            if each.laddr:  # accepted connections have the path of their listener
                found.add(("unix", str(each.laddr), 0))
        elif each.status == psutil.CONN_LISTEN:
            found.add(("tcp", each.laddr.ip, each.laddr.port))
        elif each.type == socket.SOCK_DGRAM and not each.raddr:
            found.add(("udp", each.laddr.ip, each.laddr.port))
    return found


def _name(process: psutil.Process, names: Mapping[int, str]) -> str:
    """The name of a process in its facility; of a helper, that of the one which started it."""
    if process.pid in names:
        return names[process.pid]
    for parent in process.parents():
        if parent.pid in names:
            return f"{names[parent.pid]} ({process.pid})"
    return str(process.pid)


def _has_pva(pid: int) -> bool:
    try:
        return _PVA_LIBRARY in Path(f"/proc/{pid}/maps").read_text(errors="replace")
    except OSError:
        return False


def _configured(facility: Facility, port: int) -> Facts | None:
    """The service option or device property that names a port which the port table has not."""
    mark = re.compile(rf":{port}\b")
    for service in facility.services:
        for option, text in service.options.items():
            if mark.search(text):
                return Facts(f"{option} of the service {service.name} ({service.kind})", asks=NOBODY_ASKED)
    for classes in facility.devices.values():
        for devices in classes.values():
            for device, properties in devices.items():
                for name, values in properties.items():
                    if any(mark.search(line) for line in values):
                        return Facts(f"property {name} of {device}", asks=NOBODY_ASKED)
    return None
