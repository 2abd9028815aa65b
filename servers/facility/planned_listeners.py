"""What a facility file opens: the sockets whose ports it names. Tango servers take any other port when they start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from servers.facility.address import ANY, LOOPBACK
from servers.facility.facility_file import Facility, lines_of, short_server_name
from servers.facility.listener import Listener
from servers.facility.listener_facts import facts_of

#: Kind of a native service and its option that says where it listens -> service of the port table, transport.
_OPTIONS: Final[Mapping[tuple[str, str], tuple[str, str]]] = {
    ("alpaca", "listen"): ("alpaca", "tcp"),
    ("alpaca", "discovery"): ("alpaca_discovery", "udp"),
    ("axis", "listen"): ("jpeg", "tcp"),
    ("azcam", "listen"): ("azcam", "tcp"),
    ("azcam", "web"): ("azcam_web", "tcp"),
    ("daqdata", "listen"): ("daqdata", "tcp"),
    ("ingest", "listen"): ("ingest", "tcp"),
    ("leash", "server"): ("leash", "tcp"),
}
#: Services that are there also when no option says where.
_ALWAYS: Final = frozenset({("alpaca", "listen"), ("axis", "listen"), ("azcam", "listen"), ("daqdata", "listen")}) | {
    ("ingest", "listen"),
    ("leash", "server"),
}
#: Properties of a mirror -> service of the port table, and its transports.
_MIRROR: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "channel_access": ("ca", ("tcp", "udp")),
    "ca_images": ("ca_images", ("tcp", "udp")),
    "pv_access": ("pva", ("tcp",)),
    "pva_images": ("pva_images", ("tcp",)),
}
_IMAGES: Final = {"ca_images": "channel_access", "pva_images": "pv_access"}


def planned(facility: Facility) -> Iterator[Listener]:
    """The sockets of a facility, whether it runs or not."""
    ports = facility.ports

    def socket(process: str, transport: str, service: str, host: str, port: int) -> Listener:
        return Listener(process, 0, transport, host, port, facts_of(facility, service))

    if facility.tango_host is None:
        yield socket("database", "tcp", "tango", ports.bind, ports["tango"])
    for simulator in facility.simulators.values():
        if simulator.port:
            service = f"sim.{simulator.name}"
            yield socket(service, "tcp", service, LOOPBACK, simulator.port)
    if facility.mirrors:
        yield socket("ca_repeater", "udp", "ca_repeater", LOOPBACK, ports["ca_repeater"])
    for mirror in facility.mirrors:
        for devices in facility.server(mirror).values():
            for properties in devices.values():
                for name, (service, transports) in _MIRROR.items():
                    own = lines_of(properties, name)
                    above = lines_of(properties, _IMAGES.get(name, name))
                    host, port = _place(own[0]) if own else (_place(above[0])[0] if above else LOOPBACK, ports[service])
                    for transport in transports:
                        yield socket(short_server_name(mirror), transport, service, host, port)
                # The library of PVAccess listens on all interfaces, and then looks where a datagram was sent to.
                yield socket(short_server_name(mirror), "udp", "pva_broadcast", ANY, ports["pva_broadcast"])
    if facility.panels is not None:
        yield socket("web", "tcp", "panels", ports.web_bind, ports["panels"])
    for each in facility.services:
        for (kind, option), (service, transport) in _OPTIONS.items():
            if kind != each.kind or not (each.options.get(option) or (kind, option) in _ALWAYS):
                continue
            for word in each.options.get(option, f"{LOOPBACK}:{ports[service]}").split():
                host, port = _place(word)
                if kind == "leash":  # clients see it at another address than the one it listens on
                    host = each.options.get("bind", LOOPBACK)
                if option == "discovery":
                    host = ANY
                yield socket(each.name, transport, service, host, port)


def _place(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``."""
    host, _, port = text.rpartition(":")
    return {"": ANY, "localhost": LOOPBACK}.get(host, host.strip("[]")), int(port) if port.isdecimal() else 0
