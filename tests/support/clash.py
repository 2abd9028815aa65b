"""A device whose author did not know PyTango's names."""

from __future__ import annotations

from devices.core import Device, command


class Clash(Device):
    """One command too many."""

    @command()
    async def get_name(self) -> str:
        """Not the device's name."""
        return "clash"
