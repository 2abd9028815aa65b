"""Which ports are taken, by whom, and what to do about it."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterable

from servers.facility.address import LOOPBACK
from servers.facility.facility_file import Facility
from servers.facility.ports import Ports

STREAM, DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM


def needed(facility: Facility, *, own_database: bool) -> list[tuple[str, socket.SocketKind]]:
    """The services that a facility will have on this machine: name and kind of socket."""
    services = [(f"sim.{name}", STREAM) for name, simulator in facility.simulators.items() if simulator.port]
    if own_database:
        services.append(("tango", STREAM))
    if facility.mirrors:
        services += [(name, STREAM) for name in ("ca", "pva", "ca_images", "pva_images")]
        services += [("ca", DATAGRAM), ("ca_images", DATAGRAM)]
    if facility.panels is not None:
        services.append(("panels", STREAM))
    services += [(each.kind, STREAM) for each in facility.services if each.kind in facility.ports.table]
    return services


def taken_ports(services: Iterable[tuple[str, socket.SocketKind]], ports: Ports) -> list[str]:
    """One line for each service whose port somebody else has: which, by whom, and what to change.

    Args:
        services: service name and the kind of socket it will have.
        ports: the shifted port table.
    """
    lines = (
        f"port {ports[service]} ({service}) is in use by {port_holder(ports[service], kind)}; "
        f"end that, or shift all ports with --port-offset {_another_offset(ports)}"
        for service, kind in services
        if is_taken(ports[service], kind, ports.address(service))
    )
    return list(dict.fromkeys(lines))


def is_taken(port: int, kind: socket.SocketKind = STREAM, address: str = LOOPBACK) -> bool:
    """Whether a server here could not have this port on an address.

    Raises:
        OSError: the port cannot be tried for another reason (no permission, say).
    """
    with socket.socket(socket.AF_INET, kind) as trial:
        if kind == STREAM:  # a closed connection lingers on the port for a minute and harms nobody
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
            raise
    return False


def free_port(address: str) -> int:
    """A TCP port of an address that nobody has at the moment."""
    with socket.create_server((address, 0)) as probe:
        return int(probe.getsockname()[1])


def port_holder(port: int, kind: socket.SocketKind = STREAM) -> str:
    """Who has a port: ``pid 4711 (python -m ...)``, as far as this user may see it."""
    import psutil

    with contextlib.suppress(psutil.AccessDenied):
        for connection in psutil.net_connections("inet4"):
            listens = connection.type == kind and (kind == DATAGRAM or connection.status == psutil.CONN_LISTEN)
            if listens and connection.laddr and connection.laddr.port == port and connection.pid:
                with contextlib.suppress(psutil.NoSuchProcess):
                    return f"pid {connection.pid} ({_program(connection.pid)})"
    return "a process of another user"


def _program(pid: int) -> str:
    import psutil

    process = psutil.Process(pid)
    try:
        words = process.cmdline()
    except psutil.Error:
        words = []
    text = " ".join(words) or process.name()
    return text if len(text) <= 90 else text[:87] + "..."


def _another_offset(ports: Ports) -> int:
    return ports.offset + 100 if ports.offset <= 10000 else 0
