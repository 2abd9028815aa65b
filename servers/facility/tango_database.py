"""A Tango database, found by address and never by the TANGO_HOST of the shell, and the devices it knows."""

from __future__ import annotations

import tango

from devices.core.errors import NotConnectedError


def open_database(tango_host: str) -> tango.Database:
    """The Tango database at HOST:PORT.

    Raises:
        NotConnectedError: none answers there.
    """
    host, _, port = tango_host.partition(":")
    try:
        return tango.Database(host, int(port))
    except (tango.DevFailed, ValueError):
        raise NotConnectedError(
            f"no Tango database answers at {tango_host}; start one with `diptych up`, or name another with --tango-host"
        ) from None


def devices_of(database: tango.Database, server: str) -> list[tuple[str, str]]:
    """The devices of a server (``Diptych/cryocon``) with their classes; none when the database does not know it."""
    words = list(database.get_device_class_list(server))
    return [(name, kind) for name, kind in zip(words[::2], words[1::2], strict=True) if kind != "DServer"]
