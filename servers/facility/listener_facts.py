"""What is known of the protocols that a facility listens with: what they bound, and what they ask of who connects."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from servers.facility.facility_file import Facility, lines_of

NOBODY_ASKED: Final = "none"


class Guard(enum.Enum):
    """What keeps people out whom the address lets in."""

    NONE = "nothing"
    WRITES = "writes by address"  # whoever reaches it may read
    ASKED = "clients say who they are"


@dataclass(frozen=True)
class Facts:
    """One protocol as one facility serves it.

    Attributes:
        protocol: its name for people.
        guard, asks: how strong, and in words: what is asked of who connects.
        limits: what one client can take at most.
    """

    protocol: str
    guard: Guard = Guard.NONE
    asks: str = NOBODY_ASKED
    limits: str = ""


TANGO: Final = Facts("Tango (CORBA)", limits="256 MB a message, 100 threads a client")
TANGO_EVENTS: Final = Facts("Tango events (ZeroMQ)", limits="sends only; a queue of 1000 for each client")
TANGO_LOCAL: Final = Facts("Tango (CORBA), unix socket", limits="as by TCP")
PVA_DATAGRAMS: Final = Facts(
    "PVAccess searches and beacons", limits="serves nothing; answers what was sent to the address of its server"
)
SIMULATED: Final = Facts("simulator", limits="for trying out; no hardware behind it")

#: Service of the port table -> the protocol, and what it bounds.
_PLAIN: Final[Mapping[str, Facts]] = MappingProxyType(
    {
        "tango": Facts("Tango database (CORBA)", limits=TANGO.limits),
        "ca_repeater": Facts("Channel Access repeater", limits="passes beacons on to clients of this host"),
        "dcss_clients": SIMULATED,
    }
)


def facts_of(facility: Facility, service: str) -> Facts | None:
    """What a service of the port table is in this facility; None: nothing of it is known."""
    if service in _PLAIN:
        return _PLAIN[service]
    if service.startswith("sim."):
        return SIMULATED
    make = _BY_SERVICE.get(service)
    return None if make is None else make(facility)


def _epics(name: str, limits: str) -> Callable[[Facility], Facts]:
    def facts(facility: Facility) -> Facts:
        files = [
            line
            for mirror in facility.mirrors
            for devices in facility.server(mirror).values()
            for properties in devices.values()
            for line in lines_of(properties, "access_file")
        ]
        rules = f"access rules {', '.join(files)}" if files else "this host only"
        return Facts(name, Guard.WRITES, f"reading: none; writing: {rules}", limits)

    return facts


def _panels(facility: Facility) -> Facts:
    web = facility.web
    ways = [
        way
        for way, given in (("passwords", web.users), ("tokens", web.tokens), ("a proxy", web.forwarded_user))
        if given
    ]
    asks = f"logins: {', '.join(ways)}" if ways else NOBODY_ASKED
    if web.is_anonymous:
        asks += "; looking: nobody"
    name = f"panels ({'HTTPS' if web.certificate else 'HTTP'}, web-sockets)"
    guard = Guard.ASKED if ways else Guard.WRITES if web.is_anonymous else Guard.NONE
    return Facts(name, guard, asks, "6 MB a message, 200 writes under way; 10 wrong passwords a name in 10 minutes")


def _token(kind: str, name: str, limits: str) -> Callable[[Facility], Facts]:
    """A native service that may have a file with a token."""

    def facts(facility: Facility) -> Facts:
        every = [each.options for each in facility.services if each.kind == kind]
        has_token = bool(every) and all(options.get("token_file") for options in every)
        return Facts(name, Guard.ASKED if has_token else Guard.NONE, "token" if has_token else NOBODY_ASKED, limits)

    return facts


def _daqdata(facility: Facility) -> Facts:
    every = [each.options for each in facility.services if each.kind == "daqdata"]
    limits = "4 MB a message; as many streams as the node's property says"
    name = "DaqData (gRPC, TLS)" if every and all(options.get("certificate") for options in every) else "DaqData (gRPC)"
    if every and all(options.get("client_authority") for options in every):
        return Facts(name, Guard.ASKED, "certificates of clients", limits)
    return _token("daqdata", name, limits)(facility)


def _jpeg(facility: Facility) -> Facts:
    every = [each.options for each in facility.services if each.kind == "axis"]
    ruled = bool(every) and all(options.get("cameras") for options in every)
    asks = "addresses of cameras" if ruled else NOBODY_ASKED
    limits = "32 connections, 16 MB and 5 s a request"
    return Facts("pictures of a camera (HTTP)", Guard.WRITES if ruled else Guard.NONE, asks, limits)


def _leash(facility: Facility) -> Facts:
    limits = "1 MB a request, 256 MB with attachments, 64 at once"
    return Facts("leash (ZeroMQ)", Guard.ASKED, "signature by the secret of the network file", limits)


_BY_SERVICE: Final[Mapping[str, Callable[[Facility], Facts]]] = MappingProxyType(
    {
        "ca": _epics("Channel Access", "4 MiB and 64 kB a message; updates wait for slow clients"),
        "ca_images": _epics("Channel Access, large attributes", "4 MiB and 64 kB a message"),
        "pva": _epics("PVAccess", "of p4p"),
        "pva_images": _epics("PVAccess, large attributes", "of p4p"),
        "pva_broadcast": lambda _: PVA_DATAGRAMS,
        "panels": _panels,
        "ingest": _token("ingest", "image ingest (HTTP)", "64 connections, 20 bodies at once, 30 s a request"),
        "azcam": _token("azcam", "azcam commands", "256 clients, 64 kB a line, 1000 lines waiting"),
        "azcam_web": _token("azcam", "azcam web API (HTTP)", "1 MB a request"),
        "alpaca": _token("alpaca", "Alpaca (HTTP)", "64 connections, 64 kB a request, 4 pictures at once"),
        "alpaca_discovery": lambda _: Facts("Alpaca discovery", limits="tells the port of the Alpaca server"),
        "daqdata": _daqdata,
        "jpeg": _jpeg,
        "leash": _leash,
    }
)
