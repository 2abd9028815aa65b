"""A reservation: one client has a device for itself for a while; others may read, and stop it."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from typing import Final

from devices.core.client import asking
from devices.core.errors import BadValueError, NotAllowedError, RangeError

LONGEST_NAME: Final = 39
LONGEST_S: Final = 86_400.0


class Reservation:
    """Of one device.

    Attributes:
        name: that whoever reserved gave; "" while the device is free.
        until: when it ends, seconds since 1970.

    Args:
        device: its name, for texts.
        changed: is called when the reservation begins, ends or is prolonged.
    """

    def __init__(self, device: str, changed: Callable[[], None]) -> None:
        self.name, self.until = "", 0.0
        self._device, self._changed = device, changed
        self._client = ""
        self._end: asyncio.TimerHandle | None = None

    def __str__(self) -> str:
        return f"reserved by {self.name} until {_clock(self.until)}" if self.name else ""

    def take(self, name: str, seconds: float) -> None:
        """Reserve for the client that asks, or prolong its reservation.

        Raises:
            BadValueError: no name, or one that cannot be shown. RangeError: seconds.
            NotAllowedError: another client has the device.
        """
        if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or name != name.strip():
            raise BadValueError(f"name = {name!r}: 1 to {LONGEST_NAME} characters that can be shown")
        if not 0.0 < seconds <= LONGEST_S:
            raise RangeError(f"seconds = {seconds:g} s is outside (0, {LONGEST_S:g}] s")
        self.demand("reserve")
        self._stop_clock()
        loop = asyncio.get_running_loop()
        self._end = loop.call_later(seconds, self.free)
        self.name, self._client = name, asking.get()
        self.until = datetime.datetime.now(datetime.UTC).timestamp() + seconds
        self._changed()

    def give_back(self, name: str) -> None:
        """End it: its client by itself, anybody else who says in whose name it is.

        Raises:
            NotAllowedError: it is another's, in another name.
        """
        if self.name and asking.get() != self._client and name != self.name:
            raise NotAllowedError(f"{self._device} is {self}; who ends it for others gives that name, not {name!r}")
        self.free()

    def free(self) -> None:
        """End it, whoever has it."""
        self._stop_clock()
        if self.name:
            self.name, self._client, self.until = "", "", 0.0
            self._changed()

    def demand(self, what: str) -> None:
        """Do nothing when the client that asks may do this.

        Raises:
            NotAllowedError: another client has the device.
        """
        client = asking.get()
        if self.name and client and client != self._client:
            raise NotAllowedError(f"{what}: {self._device} is {self}")

    def _stop_clock(self) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None


def _clock(seconds: float) -> str:
    """As people read it in any time zone."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%H:%M:%S UTC")
