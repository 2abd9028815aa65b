"""Gain, offset and read-out mode of an Alpaca camera: attributes of its controller, where it has such."""

from __future__ import annotations

from typing import Any

from devices.core import LiveAttribute
from devices.core.datatype import Kind
from devices.core.errors import RangeError
from servers.alpaca.camera_facts import CameraFacts
from servers.alpaca.member import get, not_implemented, put, whole

#: What a controller without modes has.
ONLY_MODE = "normal"


class CameraChoices(CameraFacts):
    """The side of a camera with knobs: the options of the service name the attributes."""

    def _knob(self, name: str) -> LiveAttribute[Any]:
        """The attribute that an option names.

        Raises:
            Refusal: none is named, or the controller has none of this name.
        """
        attribute = getattr(self.settings, name)
        if not attribute:
            raise not_implemented(f"this camera has no {name}: option {name} of the service")
        found = self.controller.attributes.get(attribute)
        if found is None:
            raise not_implemented(f"{self.controller.name} has no attribute {attribute}")
        return found

    def _names(self, name: str) -> tuple[str, ...]:
        """What can be chosen: labels of an enumeration, or what the list beside a text says; () for a number."""
        knob = self._knob(name)
        if labels := knob.spec.datatype.labels:
            return labels
        choices = self.controller.attributes.get(f"{knob.name}s")
        if knob.spec.datatype.kind is not Kind.STRING or choices is None:
            return ()
        return tuple(choices.value)

    def _labels(self, name: str) -> list[str]:
        names = self._names(name)
        if not names:
            raise not_implemented(f"{name} is a number, without names")
        return list(names)

    def _bound(self, name: str, place: int) -> int:
        knob = self._knob(name)
        bound = None if self._names(name) or knob.spec.limits is None else knob.spec.limits[place]
        if bound is None:
            raise not_implemented(f"{name} is one of several names, or has no bounds")
        return int(bound)

    def _chosen(self, name: str) -> int:
        knob, names = self._knob(name), self._names(name)
        datatype, value = knob.spec.datatype, knob.value
        if datatype.enum_class is not None:
            return datatype.index(value)
        return names.index(value) if names else int(value)

    async def _choose(self, name: str, chosen: int) -> None:
        knob, names = self._knob(name), self._names(name)
        if names and not 0 <= chosen < len(names):
            raise RangeError(f"{name} = {chosen} is outside [0, {len(names) - 1}]")
        await self.controller.put(knob.name, names[chosen] if names else chosen)

    @get()
    def gain(self) -> int:
        return self._chosen("gain")

    @put(Gain=whole)
    async def put_gain(self, chosen: int) -> None:
        await self._choose("gain", chosen)

    @get()
    def gains(self) -> list[str]:
        return self._labels("gain")

    @get()
    def gainmin(self) -> int:
        return self._bound("gain", 0)

    @get()
    def gainmax(self) -> int:
        return self._bound("gain", 1)

    @get()
    def offset(self) -> int:
        return self._chosen("offset")

    @put(Offset=whole)
    async def put_offset(self, chosen: int) -> None:
        await self._choose("offset", chosen)

    @get()
    def offsets(self) -> list[str]:
        return self._labels("offset")

    @get()
    def offsetmin(self) -> int:
        return self._bound("offset", 0)

    @get()
    def offsetmax(self) -> int:
        return self._bound("offset", 1)

    @get()
    def readoutmode(self) -> int:
        return self._chosen("readout_mode") if self.settings.readout_mode else 0

    @put(ReadoutMode=whole)
    async def put_readoutmode(self, chosen: int) -> None:
        if self.settings.readout_mode:
            await self._choose("readout_mode", chosen)
        elif chosen:
            raise RangeError(f"ReadoutMode = {chosen} is outside [0, 0]")

    @get()
    def readoutmodes(self) -> list[str]:
        return self._labels("readout_mode") if self.settings.readout_mode else [ONLY_MODE]
