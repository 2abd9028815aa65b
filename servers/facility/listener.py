"""One socket that others can reach: where, whose protocol it is, and whether anybody who gets there is let in."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

from servers.facility.listener_facts import PVA_DATAGRAMS, Facts, Guard

THIS_HOST: Final = "this host"
NETWORK: Final = "network"


@dataclass(frozen=True)
class Listener:
    """One socket that others can reach.

    Attributes:
        process: its name in the facility; its pid where it has none.
        pid: 0 for one that is only planned.
        transport: ``tcp``, ``udp`` or ``unix``.
        address: IP address, or the path of a unix socket.
        port: 0 of a unix socket.
        facts: of its protocol; None: nobody knows what this is.
    """

    process: str
    pid: int
    transport: str
    address: str
    port: int
    facts: Facts | None

    @property
    def reach(self) -> str:
        """Who gets as far as the socket."""
        if self.transport == "unix":
            return THIS_HOST
        try:
            address = ipaddress.ip_address(self.address)
        except ValueError:  # a name: whichever it stands for, not loopback's
            return NETWORK
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return THIS_HOST if (mapped or address).is_loopback else NETWORK

    @property
    def where(self) -> str:
        if self.transport == "unix":
            return f"unix:{self.address}"
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.transport}://{host}:{self.port}"

    @property
    def finding(self) -> str:
        """What is wrong with it; "" when nothing is."""
        if self.facts is None:
            return f"{self.where} of {self.process} (pid {self.pid}) belongs to no protocol that is known here"
        if self.reach == NETWORK and self.facts.guard is Guard.NONE and self.facts is not PVA_DATAGRAMS:
            return (
                f"{self.where} ({self.facts.protocol}, {self.process}) is open to the network and asks nobody who they "
                f"are: close it by a firewall, or let it listen on 127.0.0.1 (docs/security.md)"
            )
        return ""
