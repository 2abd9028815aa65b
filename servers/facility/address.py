"""Where Tango listens: the ``bind`` of a facility, and how this machine and others reach it.

A server on one address publishes that one. Listening on 0.0.0.0 it would publish 0.0.0.0 for its events: reads from
another host work and events never arrive (measured), so an address for the others is published by name.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import Final

from devices.core.errors import BadValueError, ConfigurationError

LOOPBACK: Final = "127.0.0.1"
ANY: Final = "0.0.0.0"  # noqa: S104 - only where a facility file asks for it  # nosec B104

# A documentation address (RFC 5737): asking for the way to it sends nothing.
_SOMEWHERE: Final = ("192.0.2.1", 9)


def check(text: str) -> str:
    """An IPv4 address to listen on, as it was given.

    Raises:
        BadValueError: it is none.
    """
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        raise BadValueError(f"bind: {text!r} is not an IPv4 address, as 127.0.0.1, 0.0.0.0 or 10.1.2.3") from None
    if address.is_multicast or address == ipaddress.IPv4Address("255.255.255.255"):
        raise BadValueError(f"bind: {text} is an address of many hosts, and no server can listen on it")
    return text


def require_own(address: str) -> None:
    """Refuse an address that this machine does not have.

    Raises:
        ConfigurationError: it has another.
    """
    with socket.socket() as trial:
        try:
            trial.bind((address, 0))
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            raise ConfigurationError(
                "bind", [f"{address} is not an address of this machine; {ANY} means every one that it has"]
            ) from None


def is_open(address: str) -> bool:
    """Whether other hosts may reach what listens on an address."""
    return not ipaddress.IPv4Address(address).is_loopback


def from_here(address: str) -> str:
    """The address at which programs of this machine find what listens on ``address``."""
    return LOOPBACK if address == ANY else address


def from_elsewhere(address: str) -> str:
    """What is published to clients: of 0.0.0.0 this machine's name, or its address where the name means loopback."""
    if address != ANY:
        return address
    name = socket.gethostname()
    try:
        if is_open(socket.gethostbyname(name)):
            return name
    except OSError:
        pass  # nobody knows the name
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
            way.connect(_SOMEWHERE)
            return str(way.getsockname()[0])
    except OSError:
        return LOOPBACK  # a machine without a network


def publish_options(address: str) -> list[str]:
    """What omniORB has to be told beside its end point, so that Tango and its events publish a usable address."""
    return ["-ORBendPointPublish", f"giop:tcp:{from_elsewhere(address)}:"] if address == ANY else []
