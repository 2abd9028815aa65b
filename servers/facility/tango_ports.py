"""Which ports of this machine are those of Tango servers, as the servers themselves publish them."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Final

from devices.core.errors import NotConnectedError

TIMEOUT_MILLISECONDS: Final = 1000
_EVENT_ADDRESS: Final = re.compile(r"tcp://[^ ]*:(\d+)")
_INTERNET_PROFILE: Final = 0  # TAG_INTERNET_IOP


def published_ports(tango_host: str) -> tuple[set[int], set[int]]:
    """Ports of requests, and ports of events, of all servers that a Tango database knows and that answer.

    Args:
        tango_host: HOST:PORT of the database; one that does not answer knows none.
    """
    import tango

    from servers.facility.tango_database import open_database

    requests: set[int] = set()
    events: set[int] = set()
    try:
        database = open_database(tango_host)
        admins = list(database.get_device_exported("dserver/*"))
        for admin in admins:
            requests |= set(ior_ports(database.get_device_info(admin).ior))
    except (NotConnectedError, tango.DevFailed):
        return requests, events
    for admin in admins:
        try:
            proxy = tango.DeviceProxy(f"tango://{tango_host}/{admin}")
            proxy.set_timeout_millis(TIMEOUT_MILLISECONDS)
            _, texts = proxy.command_inout("ZmqEventSubscriptionChange", ["info"])
        except tango.DevFailed:  # it has just gone: its sockets are unknown, and said to be
            continue
        events |= {int(found[1]) for text in texts for found in _EVENT_ADDRESS.finditer(text)}
    return requests, events


def ior_ports(text: str) -> Iterator[int]:
    """The TCP ports in a CORBA object reference, ``IOR:0100...``; none in what is none.

    Source:
        CORBA 3.3 part 2, 7.6.2 (IOR), 9.7.2 (IIOP profile body) and 9.3 (encapsulations).
    """
    try:
        data = bytes.fromhex(text.removeprefix("IOR:"))
        order = "<" if data[0] else ">"
        (length,) = struct.unpack_from(f"{order}I", data, 4)
        at = (8 + length + 3) // 4 * 4
        (profiles,) = struct.unpack_from(f"{order}I", data, at)
        at += 4
        for _ in range(profiles):
            at = (at + 3) // 4 * 4
            tag, length = struct.unpack_from(f"{order}II", data, at)
            body = data[at + 8 : at + 8 + length]
            at += 8 + length
            if tag == _INTERNET_PROFILE:
                yield _profile_port(body)
    except (ValueError, IndexError, struct.error):
        return


def _profile_port(body: bytes) -> int:
    """Byte order, version, then host and port."""
    order = "<" if body[0] else ">"
    (length,) = struct.unpack_from(f"{order}I", body, 4)
    (port,) = struct.unpack_from(f"{order}H", body, (8 + length + 1) // 2 * 2)
    return int(port)
