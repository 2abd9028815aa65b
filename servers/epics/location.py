"""Where a Tango device is: its full name, and what tells the servers of two devices apart."""

from __future__ import annotations

from urllib.parse import urlsplit

import tango


def full_name(name: str, tango_host: str) -> str:
    """The name with its database; one that is whole already stays as it is."""
    return name if "://" in name or not tango_host else f"tango://{tango_host}/{name}"


def server_of(name: str) -> tuple[str, str]:
    """What tells the servers of two devices apart, and the full name of the admin device.

    Without a database these are the endpoint and ""; otherwise the database knows.

    Raises:
        tango.DevFailed: the database does not answer or does not know the device.
    """
    parts = urlsplit(name)
    if "dbase=no" in parts.fragment:
        return parts.netloc, ""
    database = tango.Database(parts.hostname, parts.port) if parts.netloc else tango.Database()
    server = database.get_device_info(parts.path.lstrip("/")).ds_full_name
    host = f"{database.get_db_host()}:{database.get_db_port()}"
    return f"{host}/{server}", f"tango://{host}/dserver/{server}"
