"""The UDP packets of a pcapng capture of Ethernet frames."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ENHANCED_PACKET = 6
UDP = 17


class Datagram(NamedTuple):
    """A UDP packet: when it was captured, ns since 1970, IPv4 addresses, ports and what it carries."""

    time_ns: int
    source: bytes
    target: bytes
    source_port: int
    target_port: int
    payload: bytes


def datagrams(path: Path) -> Iterator[Datagram]:
    """All UDP packets over IPv4 of a little-endian capture, in its order; others are left out."""
    for time_ns, frame in ethernet_frames(path):
        if frame[12:14] != b"\x08\x00" or frame[23] != UDP:
            continue
        header = 14 + (frame[14] & 0xF) * 4
        source_port, target_port, length = struct.unpack_from(">HHH", frame, header)
        payload = frame[header + 8 : header + length]
        yield Datagram(time_ns, frame[26:30], frame[30:34], source_port, target_port, payload)


def ethernet_frames(path: Path) -> Iterator[tuple[int, bytes]]:
    """All frames with their times; the interface must count ns, as dumpcap does by itself."""
    data, at = path.read_bytes(), 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if kind == ENHANCED_PACKET:
            high, low, captured = struct.unpack_from("<III", data, at + 12)
            yield high << 32 | low, data[at + 28 : at + 28 + captured]
        at += length
