"""A Channel Access server with one PV, and a listener in the place of PVAccess, when a file allows it."""

from __future__ import annotations

import contextlib
import multiprocessing
import socket
import sys
import time
from pathlib import Path

from tests.facility.stand_in import StandIn


class EpicsMirror(StandIn):
    """As the facility's file names a mirror."""


def serve_epics(pv: str, gate: str, pva_port: str) -> None:
    while not Path(gate).exists():
        time.sleep(0.05)
    with contextlib.ExitStack() as stack:
        stack.enter_context(socket.create_server(("127.0.0.1", int(pva_port))))
        from caproto import ChannelDouble
        from caproto.asyncio.server import run

        run({pv: ChannelDouble(value=1.0)}, interfaces=["127.0.0.1"], log_pv_names=False)


if __name__ == "__main__":
    from tango.server import run as run_tango

    multiprocessing.Process(target=serve_epics, args=sys.argv[1:4], daemon=True).start()
    run_tango((EpicsMirror,), args=["Diptych", "mirror", "-ORBendPoint", "giop:tcp:127.0.0.1:0"])
