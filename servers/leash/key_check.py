"""Who may connect to an encrypted leash: ZeroMQ asks (ZAP, RFC 27) for the public key of each client."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import zmq
import zmq.asyncio
from zmq.utils import z85

log = logging.getLogger(__name__)


def key_check_socket(context: zmq.asyncio.Context) -> zmq.asyncio.Socket:
    """Where ZeroMQ asks for all sockets of a context; those with keys are bound only after this."""
    socket = context.socket(zmq.REP)
    socket.bind("inproc://zeromq.zap.01")
    return socket


async def check_keys(socket: zmq.asyncio.Socket, clients: Mapping[str, str]) -> None:
    """Answer for ever.

    Args:
        clients: name -> public key (Z85) of all who are let in.
    """
    names = {z85.decode(key): name for name, key in clients.items()}
    while True:
        version, number, _, address, _, mechanism, *credentials = await socket.recv_multipart()
        name = names.get(credentials[0]) if mechanism == b"CURVE" and credentials else None
        if name is None:
            log.warning("a client at %s with an unknown key is not let in", address.decode(errors="replace"))
        status = [b"200", b"OK", name.encode()] if name is not None else [b"400", b"unknown key", b""]
        await socket.send_multipart([version, number, *status, b""])
