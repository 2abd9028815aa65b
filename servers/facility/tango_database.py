"""A Tango database, found by address and never by the TANGO_HOST of the shell, and what it has of a device."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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


def properties_of(database: tango.Database, device: str) -> dict[str, list[str]]:
    """All properties of a device: name -> lines."""
    names = list(database.get_device_property_list(device, "*"))
    return lines_by_name(database.get_device_property(device, names)) if names else {}


def lines_by_name(found: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """What Tango gives of properties, as plain lists."""
    return {name: [str(line) for line in lines] for name, lines in found.items()}
