"""Which pages may talk to this server: those that it served itself.

A web-socket is not protected by the browser's same-origin rule, and a foreign page may reach a server on loopback by a
name of its own that resolves to 127.0.0.1. So both the ``Host`` that was asked and the ``Origin`` of the page count.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

LOOPBACK_NAMES = ("localhost",)


def is_own_host(host: str, names: Collection[str]) -> bool:
    """Whether a ``Host`` header means this server: a loopback address, ``localhost``, or one of ``names``."""
    name = urlsplit(f"//{host}").hostname or ""
    if name in LOOPBACK_NAMES or name in names:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_own_page(host: str, origin: str | None, origins: Collection[str]) -> bool:
    """Whether a page may use this server.

    Args:
        host: the ``Host`` header, which is known to mean this server.
        origin: the ``Origin`` header; programs that are no browsers send none.
        origins: those of pages that a proxy of the site gives out for this server.
    """
    return origin is None or origin in origins or urlsplit(origin).netloc == host
