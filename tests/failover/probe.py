"""Search for one PV at one host again and again, by both protocols, and print when each answer came.

``python probe.py ADDRESS CA_PORT PVA_BROADCAST_PORT NAME``: lines ``PROTOCOL SECONDS`` of the monotonic clock.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
import sys
import time

PERIOD = 0.02  # s

#: Channel Access: version and search, each with 16 bytes of header.
CA_HEADER = struct.Struct(">HHHHII")
CA_SEARCH_REPLY, PVA_SEARCH_REPLY = 6, 4


def ca_search(name: str) -> bytes:
    text = name.encode() + b"\0"
    text += bytes(-len(text) % 8)
    return CA_HEADER.pack(0, 0, 0, 13, 0, 0) + CA_HEADER.pack(6, len(text), 5, 13, 1, 1) + text


def has_ca_answer(data: bytes) -> bool:
    at = 0
    while at + CA_HEADER.size <= len(data):
        command, size, *_ = CA_HEADER.unpack_from(data, at)
        if command == CA_SEARCH_REPLY:
            return True
        at += CA_HEADER.size + size
    return False


def pva_search(name: str, address: str, port: int) -> bytes:
    """Source: EPICS pvAccess Protocol Specification, "searchRequest (0x03)"; an answer is wanted only if found."""
    text = name.encode()
    body = struct.pack(">IB3x16sH", 1, 0x80, ipaddress.IPv6Address(f"::ffff:{address}").packed, port)
    body += b"\x01\x03tcp" + struct.pack(">HIB", 1, 1, len(text)) + text
    return struct.pack(">BBBBI", 0xCA, 2, 0x80, 3, len(body)) + body


def has_pva_answer(data: bytes) -> bool:
    """GUID, sequence, address, port and protocol stand before the byte that says "found"."""
    return len(data) > 47 and data[3] == PVA_SEARCH_REPLY and data[8 + 12 + 4 + 16 + 2 + 4] == 1


def main() -> None:
    address, ca_port, pva_port, name = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ca,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as pva,
    ):
        for each in (ca, pva):
            each.bind((address, 0))
            each.setblocking(False)
        questions = (
            ("ca", ca, ca_search(name), (address, ca_port), has_ca_answer),
            ("pva", pva, pva_search(name, address, pva.getsockname()[1]), (address, pva_port), has_pva_answer),
        )
        print("ready", time.monotonic())
        while True:
            for protocol, sender, question, target, is_answer in questions:
                try:
                    while True:
                        if is_answer(sender.recv(4096)):
                            print(protocol, time.monotonic())
                except OSError:
                    pass  # nothing more there, or nobody listens
                with contextlib.suppress(OSError):
                    sender.sendto(question, target)
            time.sleep(PERIOD)


if __name__ == "__main__":
    main()
