"""Who asks: what a server says of the client before it hands its request to a device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

#: The client whose request runs now: protocol, address, and what tells it from others there. "" is the device itself:
#: its polls, its memorized values, whoever made it in this process.
asking: ContextVar[str] = ContextVar("asking", default="")


@contextmanager
def asked_by(client: str) -> Iterator[None]:
    """What is begun within is a request of this client, and so is all that follows from it."""
    token = asking.set(client)
    try:
        yield
    finally:
        asking.reset(token)
