"""Where a ZeroMQ socket is: ``tcp://HOST:PORT``."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from devices.core.errors import BadValueError


@dataclass(frozen=True)
class Endpoint:
    """A host, by name or address, and a port; as a text it is the URL."""

    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> Endpoint:
        """Raises:
        BadValueError: it is no such URL.
        """
        try:
            found = urlsplit(url)
            host, port = found.hostname, found.port
            more = found.path or found.query or found.fragment or found.username
            if found.scheme == "tcp" and host and port is not None and not more:
                return cls(host, port)
        except ValueError:  # a port that is no number, or beyond 65535
            pass
        raise BadValueError(f"{url!r} is not tcp://HOST:PORT, as tcp://127.0.0.1:9723")

    @property
    def is_loopback(self) -> bool:
        """Whether only programs of this host reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def at(self, address: str) -> str:
        """What a server binds to: the same port of an own address; a port 0 is any."""
        return f"tcp://{_bracketed(address)}:{self.port or '*'}"

    def __str__(self) -> str:
        return f"tcp://{_bracketed(self.host)}:{self.port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
