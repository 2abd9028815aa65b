"""A beacon of PVAccess: the message by which a server tells clients that it is here, so that they search at once."""

from __future__ import annotations

import ipaddress
import secrets
import socket
import struct
from collections.abc import Iterable
from typing import Final

MAGIC, VERSION, FROM_SERVER_BIG_ENDIAN, BEACON = 0xCA, 2, 0xC0, 0
_HEADER: Final = struct.Struct(">BBBBI")
#: GUID, flags, sequence, change count, address, port.
_BODY: Final = struct.Struct(">12sBBH16sH")
_PROTOCOL: Final = b"\x03tcp"
_NO_STATUS: Final = b"\xff"


def beacon(address: str, port: int) -> bytes:
    """A beacon of a server that nobody has heard of, so that every client looks for what it misses.

    Args:
        address: of the server; 0.0.0.0 means the one that the beacon comes from.
        port: TCP, where it serves.

    Source:
        EPICS pvAccess Protocol Specification, "Message header" and "beaconMessage (0x00)".
    """
    mapped = ipaddress.IPv6Address(f"::ffff:{address}").packed
    body = _BODY.pack(secrets.token_bytes(12), 0, 0, 0, mapped, port) + _PROTOCOL + _NO_STATUS
    return _HEADER.pack(MAGIC, VERSION, FROM_SERVER_BIG_ENDIAN, BEACON, len(body)) + body


def send(message: bytes, targets: Iterable[tuple[str, int]]) -> None:
    """Send it once to each address; groups of this host as well. Nobody needs to listen."""
    for address, port in targets:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            if ipaddress.IPv4Address(address).is_multicast:
                sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
                sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
            try:
                sender.sendto(message, (address, port))
            except OSError:
                continue  # a network that is down; the next search finds the server as well
