"""Encoders and objects of DCSS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from devices.core import Reading
from devices.core.errors import NotConnectedError, reason
from devices.dcss.bridge_member import Member, Surroundings, number
from devices.dcss.handler import Message


class Encoder(Member):
    """Tells where something is when DCSS asks.

    Args:
        value: where it is. put: redefines it; without it, the difference is kept here.
        factor: value of the device per unit of DCSS.
    """

    kind: ClassVar[str] = "encoder"

    def __init__(
        self, name: str, around: Surroundings, value: str, put: str | None = None, factor: float = 1.0
    ) -> None:
        super().__init__(name, around)
        self._value, self._put, self._factor = value, put, factor
        self._reading: Reading[Any] | None = None

    def begin(self) -> None:
        self.watch(self._value, self._changed)

    def take(self, message: Message) -> None:
        words = message.words[1:]
        match message.command:
            case "stoh_get_encoder":
                self.spawn(self._get(), "get")
            case "stoh_set_encoder" if words:
                self.spawn(self._set(number(words[0], self.name)), "set")
            case "stoh_configure_encoder":
                pass
            case _:
                raise self.refuse(message)

    def row(self) -> Mapping[str, Any]:
        return {"position": self._position()}

    def _changed(self, reading: Reading[Any]) -> None:
        self._reading = reading

    def _position(self) -> float | None:
        if self._reading is None or self._reading.value is None:
            return None
        return float(self._reading.value) / self._factor + self.around.offsets.get(self.name, 0.0)

    async def _get(self) -> None:
        position = self._position()
        self.send("htos_get_encoder_completed", position or 0.0, "unknown" if position is None else "normal")

    async def _set(self, wanted: float) -> None:
        position, status = self._position(), "normal"
        try:
            if self._put is not None:
                await self.around.neighbours.put(self._put, wanted * self._factor)
                position = wanted
            elif position is None:
                raise NotConnectedError(f"{self.name}: no value")
            else:
                self.around.offsets[self.name] = self.around.offsets.get(self.name, 0.0) + wanted - position
                self.around.offsets_changed()
                position = wanted
        except Exception as error:
            self.around.log.error("encoder %s: %s: %s", self.name, reason(error), error)
            status = reason(error)
        self.send("htos_set_encoder_completed", position or 0.0, status)


class Object(Member):
    """DCSS registers it and asks nothing of it; it is mapped so that it is not reported as missing."""

    kind: ClassVar[str] = "object"

    def take(self, message: Message) -> None:
        raise self.refuse(message)
