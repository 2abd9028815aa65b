"""How an image ingest is served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from devices.drivers.correlator_npy import DEFAULT_HEADER_BYTES

DEFAULT_PORT: Final = 8843
#: What tells the sub-band of a message.
SOURCES: Final = ("name", "address", "port")


@dataclass(frozen=True)
class Listening:
    """An address that is listened on; ``sub_band`` is that of messages to it, where the port tells it."""

    host: str
    port: int
    sub_band: int | None = None


@dataclass(frozen=True)
class IngestSettings:
    """How an image ingest is served.

    Attributes:
        name: of the device, for the log.
        listen: addresses.
        order: what tells the sub-band of a message, first to last: its name, the peer's address, the port.
        addresses: of peers -> sub-band.
        one_client: whether one client with the tag ``_h23`` plays all sub-bands (``-T``).
        datasize, header_bytes: as in `BodyFormat`.
        token: what clients have to say (``Authorization: Bearer ...``); empty: nothing.
        silence_s: a client may be silent for so long within a request, s.
        request_s: a request may last so long, s.
        idle_s: a connection may be idle for so long between requests, s.
        connections: open at a time, over all addresses.
        backlog: connections that wait to be accepted.
        bodies: that are received at a time; each takes the memory of a sub-band.
    """

    name: str = "ingest"
    listen: tuple[Listening, ...] = (Listening("127.0.0.1", DEFAULT_PORT),)
    order: tuple[str, ...] = ("name", "address")
    addresses: Mapping[str, int] = field(default_factory=dict)
    one_client: bool = False
    datasize: int = 8
    header_bytes: int = DEFAULT_HEADER_BYTES
    token: str = field(default="", repr=False)
    silence_s: float = 10.0
    request_s: float = 30.0
    idle_s: float = 60.0
    connections: int = 64
    backlog: int = 16
    bodies: int = 20
