"""Registers: attributes that are one item of the driver, asked for in groups and written one by one."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from functools import cached_property
from operator import attrgetter
from typing import Any, TypeVar, Unpack

from devices.core import Attribute, AttributeSpec, DataType, LiveAttribute, Quality
from devices.core.attribute import Declaration
from devices.core.component import Component, declared
from devices.core.errors import BadValueError, RangeError
from devices.drivers.cryocon_items import Query, Setting
from devices.drivers.cryocon_protocol import Answer, Why

T = TypeVar("T")


class Register(Attribute[T]):
    """An attribute whose value is the driver's item ``item``, counted from the owner's ``subsystem``.

    One that is ``polled`` comes with the driver's own poll, not in a group.
    """

    def __init__(self, spec: AttributeSpec, item: str, polled: bool) -> None:
        super().__init__(spec)
        self.item = item
        self.polled = polled

    def hook_for(self, owner: Component) -> Callable[[Any], Awaitable[None]] | None:
        if not self.spec.writable:
            return None

        async def write(value: Any) -> None:
            setting: Setting[Any] = self.query(owner)  # type: ignore[assignment]
            # What the instrument says it is now, which may be clipped or rounded.
            owner.live[self.spec.name].publish(await setting.write(value))

        return write

    def query(self, owner: Any) -> Query[Any]:
        """The driver's item for one owner; only while connected."""
        found: Query[Any] = attrgetter(self.item)(owner.subsystem)
        return found


def register(kind: type[T], item: str, *, polled: bool = False, **words: Unpack[Declaration]) -> Register[T]:
    """Declare a register; a writable one follows the front panel."""
    words.setdefault("setpoint_follows", words.get("access", "read") == "read_write")
    return Register(AttributeSpec("", DataType.of(kind), **words), item, polled)


class Registers(Component, ABC):
    """A component with registers. What is declared in K is in the display unit of one input: K/min becomes degC/min."""

    @property
    @abstractmethod
    def subsystem(self) -> Any:
        """The part of the driver that answers for this component; only while connected."""

    @property
    @abstractmethod
    def unit_source(self) -> str | None:
        """The letter of the input whose display unit counts here; None while that is not known."""

    def registers(self, *, in_unit: bool = False) -> list[tuple[LiveAttribute[Any], Query[Any]]]:
        """What is asked for in a group, with the driver's items; ``in_unit``: only what has the display unit."""
        return [
            (self.live[name], item.query(self))
            for name, item in declared(type(self), Register).items()
            if not item.polled and (not in_unit or "K" in item.spec.unit)
        ]

    @cached_property
    def _in_unit(self) -> list[tuple[LiveAttribute[Any], str]]:
        items = declared(type(self), Attribute).items()
        return [(self.live[name], item.spec.unit) for name, item in items if "K" in item.spec.unit]

    def shows(self, unit: str) -> bool:
        """Whether every attribute has this display unit now."""
        return all(live.spec.unit == declared_unit.replace("K", unit) for live, declared_unit in self._in_unit)

    def show(self, unit: str) -> None:
        """Give every attribute this display unit."""
        for live, declared_unit in self._in_unit:
            live.configure(unit=declared_unit.replace("K", unit))


def publish(
    live: LiveAttribute[Any], answer: Answer[Any], timestamp: float | None = None, quality: Quality = Quality.VALID
) -> None:
    """Publish an answer: its value, or INVALID with the reason why there is none; never a number that stands for it.

    Args:
        timestamp: when the line was answered, s since 1970. An answer older than what is shown (a put came between two
            lines of one poll) is left out; a clock that was set back leaves nothing out.
    """
    if timestamp is not None and timestamp < live.reading.timestamp <= time.time():
        return
    if not answer.valid:
        assert answer.why_not is not None
        shown = f" = {answer.text[:80]!r}" if answer.why_not is Why.MALFORMED else ""
        live.publish_invalid(f"{answer.name}{shown}: {answer.why_not.value}", timestamp=timestamp)
        return
    try:
        live.publish(answer.value, timestamp=timestamp, quality=quality)
    except (BadValueError, RangeError) as error:
        # A name too long, a label of a newer firmware: its neighbours are well.
        live.publish_invalid(f"{answer.name} = {answer.text[:80]!r}: {error}", timestamp=timestamp)
