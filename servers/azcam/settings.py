"""What a service for clients of azcam is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Address:
    """Where to listen; port 0 is any."""

    host: str = "127.0.0.1"
    port: int = 0

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class AzcamSettings:
    """All of it.

    Attributes:
        listen: the text protocol. web: the web API; None: none.
        system: what ``systemname`` is.
        welcome: a line for each client that connects; "": none, as consoles expect.
        token: what clients must say first; "": nothing.
        exit: whether clients may end the server.
        connections: at most so many clients at once.
        parameters: the file of ``save_pars``.
        site: import paths of a site's own tools.
        names: names of this host under which browsers may ask for the web API, beside loopback.
    """

    listen: Address = Address()
    web: Address | None = None
    system: str = ""
    welcome: str = ""
    token: str = field(default="", repr=False)
    exit: bool = False
    connections: int = 256
    parameters: Path | None = None
    site: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
