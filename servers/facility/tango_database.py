"""The connection to a Tango database, by address and never by the TANGO_HOST of the shell."""

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
