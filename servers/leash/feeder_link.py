"""The feeder of a detector: it announces images that are complete, and the queue takes them."""

from __future__ import annotations

import json
import logging
from typing import Final

import zmq
import zmq.asyncio

from devices.core.errors import BadValueError, DiptychError
from servers.leash.endpoint import Endpoint
from servers.leash.reply import error_text
from servers.leash.target import Target

log = logging.getLogger(__name__)

MESSAGE_BYTES: Final = 64 << 10
#: Images that may wait to be taken; ZeroMQ drops what is announced beyond.
WAITING_MESSAGES: Final = 100_000


async def follow_feeder(context: zmq.asyncio.Context, feeder: Endpoint, target: Target, name: str) -> None:
    """Hand every announced image to the target, for ever; one that cannot be taken is logged and delays no other."""
    socket = context.socket(zmq.SUB)
    socket.maxmsgsize = MESSAGE_BYTES
    socket.rcvhwm = WAITING_MESSAGES
    socket.reconnect_ivl_max = 5000
    socket.setsockopt(zmq.IPV6, int(":" in feeder.host))
    socket.subscribe(b"")
    socket.connect(str(feeder))
    last_problem = ""
    while True:
        parts = await socket.recv_multipart()
        try:
            await target.new_file(announced_path(parts))
        except Exception as error:
            problem = error_text(error)
            known = isinstance(error, DiptychError)
            level = logging.DEBUG if problem == last_problem else logging.WARNING if known else logging.ERROR
            log.log(level, "leash %s: of its feeder: %s", name, problem, exc_info=None if known else error)
            last_problem = problem


def announcement(path: str) -> bytes:
    """The message that says that an image is complete."""
    return json.dumps({"command": "new file", "argument": path}).encode()


def announced_path(parts: list[bytes]) -> str:
    """The path that a message announces.

    Raises:
        BadValueError: it announces none.
    """
    try:
        (part,) = parts
        found = json.loads(part.decode())
        command, path = found["command"], found["argument"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadValueError(f"a message that is no announcement: {b' '.join(parts)[:80]!r}") from error
    if command != "new file" or not isinstance(path, str) or not path or "\0" in path:
        raise BadValueError(f"a message that announces no file: {found!r:.80}")
    return path
