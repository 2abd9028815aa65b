"""The port table of a facility: every TCP and UDP port has a service name, and one offset shifts all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from devices.core.errors import RangeError, UnknownNameError
from servers.facility.address import LOOPBACK, from_here
from servers.facility.spelling import did_you_mean

DEFAULT_PORTS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "tango": 10000,
        "ca": 5064,
        "ca_repeater": 5065,
        "ca_images": 5066,
        "pva": 5075,
        "pva_broadcast": 5076,
        "pva_images": 5077,
        "panels": 8080,
        "ingest": 8843,
        "leash": 9723,
        "feeder": 9823,
        "daqdata": 50051,
        "azcam": 2402,
        "azcam_web": 2403,
        "sendimage": 6543,
        "jpeg": 9000,
        "automl": 9010,
        "dcss_clients": 14243,
        "alpaca": 11112,
        "alpaca_discovery": 32227,
    }
)


@dataclass(frozen=True)
class Ports:
    """Service name -> port number, shifted by ``offset``; a simulator's service name is ``sim.NAME``.

    Attributes:
        table: the ports before the shift.
        offset: what is added to every port.
        bind: the address that the Tango database and the device servers listen on; ``web_bind``, the web server.
        ca_servers, pva_servers: HOST:PORT of every EPICS server that clients of the facility ask, here and elsewhere;
            none: those of ``ca``, ``pva`` and ``pva_images`` on this host.
    """

    table: Mapping[str, int] = field(default_factory=lambda: DEFAULT_PORTS)
    offset: int = 0
    bind: str = LOOPBACK
    web_bind: str = LOOPBACK
    ca_servers: tuple[str, ...] = ()
    pva_servers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for service, port in self.table.items():
            if not 1 <= port + self.offset <= 65535:
                raise RangeError(
                    f"port of {service} = {port} + offset {self.offset} = {port + self.offset} is outside [1, 65535]"
                )

    def __getitem__(self, service: str) -> int:
        """The shifted port number of a service.

        Raises:
            UnknownNameError: no service has this name.
        """
        try:
            return self.table[service] + self.offset
        except KeyError:
            hint = did_you_mean(service, self.table)
            raise UnknownNameError(f"{service} is not a service of the port table{hint}") from None

    def __contains__(self, service: object) -> bool:
        return service in self.table

    def endpoint(self, service: str) -> str:
        """``HOST:PORT`` at which programs of this machine find a service."""
        return f"{from_here(self.address(service))}:{self[service]}"

    @property
    def asked(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The EPICS servers that clients ask: of Channel Access, of PVAccess."""
        here = (self.endpoint("pva"), self.endpoint("pva_images"))
        return self.ca_servers or (self.endpoint("ca"),), self.pva_servers or here

    def address(self, service: str) -> str:
        """What a service listens on; an EPICS mirror may have been told otherwise by its own properties."""
        return {"tango": self.bind, "panels": self.web_bind}.get(service, LOOPBACK)

    def with_services(self, services: Mapping[str, int]) -> Ports:
        """The same table with more services, or other ports for known ones (numbers before the shift).

        The ports of large attributes stay as far above those of the others as they are.
        """
        moved = {
            f"{service}_images": services[service] + self.table[f"{service}_images"] - self.table[service]
            for service in ("ca", "pva")
            if service in services
        }
        return replace(self, table=MappingProxyType({**self.table, **moved, **services}))
