"""Which client of the mirror has reserved a device: to the device all of them are the mirror."""

from __future__ import annotations

from typing import Final

from devices.core.errors import NotAllowedError
from servers.epics.records import Put, Record

RESERVE: Final = "reserve"
RELEASE: Final = "release"


class Reservation:
    """Of one device. One whose client came by Tango or by another mirror is none of ours: the device refuses all of us.

    Args:
        device: its name, for texts.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._client = ""
        self._reserved_by: Record | None = None

    def follow(self, reserved_by: Record | None) -> None:
        """The record that shows in whose name the device is reserved; None: it shows none."""
        if reserved_by is self._reserved_by:
            return
        if self._reserved_by is not None:
            self._reserved_by.unlisten(self._look)
        self._reserved_by = reserved_by
        if reserved_by is not None:
            reserved_by.listen(self._look)

    def demand(self, pv: str, put: Put, *, stops: bool = False) -> None:
        """Do nothing when the client of a put may do this.

        Args:
            stops: everybody may run it.

        Raises:
            NotAllowedError: another client of this mirror has the device.
        """
        if self._client and put.client != self._client and not stops:
            raise NotAllowedError(f"{pv}: {self._device} is reserved by {self._name}")

    def demand_command(self, pv: str, put: Put, command: str, argument: str) -> None:
        """As ``demand``, for the two commands about which the device cannot tell our clients apart.

        Args:
            argument: of ``release``, in whose name it is reserved.
        """
        if command == RESERVE or (command == RELEASE and argument != self._name):
            self.demand(pv, put)

    def ran(self, command: str, put: Put) -> None:
        """The device has run ``reserve`` or ``release`` for a client, and ``reserved_by`` was read since."""
        self._client = put.client if command == RESERVE else ""

    @property
    def _name(self) -> str:
        return "" if self._reserved_by is None else str(self._reserved_by.reading.value)

    def _look(self) -> None:
        if not self._name:
            self._client = ""
