"""Where clients of a facility find PVs: at its own mirrors, as their properties say, and at servers that it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from servers.facility.address import from_here
from servers.facility.ports import Ports

if TYPE_CHECKING:
    from servers.facility.facility_file import Facility

MIRROR_CLASS = "EpicsMirror"
IMAGES_ABOVE = 2  # as the mirror has it: the ports of large attributes above the others


@dataclass(frozen=True)
class MirrorEndpoints:
    """HOST:PORT of the servers of one mirror, as programs of this host reach them."""

    ca: str
    pva: str
    pva_images: str


def mirror_endpoints(facility: Facility) -> list[MirrorEndpoints]:
    """Of each mirror of a facility."""
    return [
        _endpoints(properties, facility.ports)
        for mirror in facility.mirrors
        for properties in facility.devices.get(mirror, {}).get(MIRROR_CLASS, {}).values()
    ]


def with_servers(facility: Facility) -> Facility:
    """The facility with the EPICS servers that its clients ask in its port table."""
    own, others = mirror_endpoints(facility), facility.pv_servers
    if not own and not others:
        return facility
    ca = (*(each.ca for each in own), *others.get("ca", ()))
    pva = (*(each.pva for each in own), *(each.pva_images for each in own), *others.get("pva", ()))
    ports = replace(facility.ports, ca_servers=tuple(dict.fromkeys(ca)), pva_servers=tuple(dict.fromkeys(pva)))
    return replace(facility, ports=ports)


def _endpoints(properties: Mapping[str, list[str]], ports: Ports) -> MirrorEndpoints:
    pva = _line(properties, "pv_access")
    host, _, port = pva.rpartition(":")
    images = f"{host}:{int(port) + IMAGES_ABOVE}" if port.isdigit() else ports.endpoint("pva_images")
    found = (
        _line(properties, "channel_access") or ports.endpoint("ca"),
        pva or ports.endpoint("pva"),
        _line(properties, "pva_images") or images,
    )
    return MirrorEndpoints(*map(_from_here, found))


def _from_here(endpoint: str) -> str:
    host, _, port = endpoint.rpartition(":")
    return f"{from_here(host)}:{port}"


def _line(properties: Mapping[str, list[str]], name: str) -> str:
    return next((line for key, lines in properties.items() if key.casefold() == name for line in lines), "")
