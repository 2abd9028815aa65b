"""The devices of one server process, for a device whose instrument is made of several."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from devices.core.errors import NotConnectedError

if TYPE_CHECKING:
    from devices.core.device import Device

K = TypeVar("K")


class Peers:
    """The devices of one process by their names, which are caseless.

    A device asks whenever it needs another: Tango's Init puts a new one in the place of the old.
    """

    def __init__(self) -> None:
        self._devices: dict[str, Device] = {}

    def add(self, device: Device) -> None:
        """From now on this is the device of its name."""
        self._devices[device.name.casefold()] = device

    def remove(self, device: Device) -> None:
        """It is gone; nothing happens where another has its name already."""
        if self._devices.get(device.name.casefold()) is device:
            del self._devices[device.name.casefold()]

    def find(self, name: str, kind: type[K]) -> K:
        """The device of this name.

        Args:
            kind: its class, or an abstract class that says what is asked of it.
        Raises:
            NotConnectedError: it is not in this process, or not of this kind.
        """
        found = self._devices.get(name.casefold())
        if found is None:
            here = ", ".join(device.name for device in self._devices.values()) or "none"
            raise NotConnectedError(f"device {name} is not in this server; there are {here}")
        if not isinstance(found, kind):
            raise NotConnectedError(f"device {name} is a {type(found).__name__}, not a {kind.__name__}")
        return found
