"""Gain, offset and read-out mode of an Alpaca camera."""

from __future__ import annotations

from devices.ccd.alpaca_facts import AlpacaFacts, optional
from devices.core.errors import RangeError
from devices.drivers.alpaca import AlpacaDevice


class AlpacaVideo:
    """What a camera has of them; each driver gives gain and offset a unit of its own.

    Attributes:
        gain, offset: None: the camera has none that is a number.
        mode: name of the read-out mode. modes: all of them. Empty: there is nothing to choose.
    """

    def __init__(self, camera: AlpacaDevice) -> None:
        self._camera = camera
        self.gain: int | None = None
        self.offset: int | None = None
        self.mode = ""
        self.modes: tuple[str, ...] = ()

    async def read(self, facts: AlpacaFacts) -> None:
        """Ask for what is set now; errors as those of `AlpacaDevice`."""
        self.gain = await optional(self._camera.whole("gain")) if facts.has_gain else None
        self.offset = await optional(self._camera.whole("offset")) if facts.has_offset else None
        self.modes = facts.readout_modes
        number = await optional(self._camera.whole("readoutmode")) if self.modes else None
        self.mode = self.modes[number] if number is not None and 0 <= number < len(self.modes) else ""

    async def set_gain(self, gain: int) -> None:
        """RangeError: the camera has no such gain."""
        await self._camera.put("gain", Gain=gain)
        self.gain = await self._camera.whole("gain")

    async def set_offset(self, offset: int) -> None:
        """RangeError: the camera has no such offset."""
        await self._camera.put("offset", Offset=offset)
        self.offset = await self._camera.whole("offset")

    async def set_mode(self, name: str) -> None:
        """RangeError: there is no such mode."""
        if name not in self.modes:
            raise RangeError(f"readout_mode = {name!r} is none of {', '.join(self.modes) or 'no modes'}")
        await self._camera.put("readoutmode", ReadoutMode=self.modes.index(name))
        self.mode = name

    def keywords(self) -> dict[str, tuple[str | int | float | bool, str]]:
        """Of FITS headers: keyword -> value, comment."""
        found: dict[str, tuple[str | int | float | bool, str]] = {}
        if self.gain is not None:
            found["CAMGAIN"] = (self.gain, "gain of the camera, its own unit")
        if self.offset is not None:
            found["CAMOFFS"] = (self.offset, "offset of the camera, its own unit")
        if self.mode:
            found["READMODE"] = (self.mode, "read-out mode of the camera")
        return found
