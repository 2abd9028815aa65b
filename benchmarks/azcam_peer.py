"""An azcam server with a bare exposure, for the Python of the environment that has azcam: ``azcam_peer.py PORT``."""

from __future__ import annotations

import socketserver
import sys
from typing import Any

_bind = socketserver.TCPServer.server_bind


def _bind_loopback(server: Any) -> None:
    server.server_address = ("127.0.0.1", server.server_address[1])
    _bind(server)


def main() -> None:
    # It would listen on all interfaces.
    socketserver.TCPServer.server_bind = _bind_loopback  # type: ignore[method-assign]
    import azcam
    import azcam.server
    from azcam.api import API
    from azcam.cmdserver import CommandServer
    from azcam.parameters_server import ParametersServer
    from azcam.tools.exposure import Exposure

    azcam.db.api = API()
    azcam.db.parameters = ParametersServer()
    Exposure()
    server = CommandServer()
    server.logcommands = 0
    server.begin(int(sys.argv[1]))  # returns when it ends


if __name__ == "__main__":
    main()
