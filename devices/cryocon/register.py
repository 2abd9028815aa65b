"""Registers: attributes that are one item of the driver, asked for in groups and written one by one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from operator import attrgetter
from typing import Any, TypeVar, Unpack

from devices.core import Attribute, AttributeSpec, DataType, LiveAttribute
from devices.core.attribute import Declaration
from devices.core.component import Component, declared
from devices.drivers.cryocon_items import Query, Setting
from devices.drivers.cryocon_protocol import Answer

T = TypeVar("T")


class Register(Attribute[T]):
    """An attribute whose value is the driver's item ``item``, counted from the owner's ``subsystem``."""

    def __init__(self, spec: AttributeSpec, item: str) -> None:
        super().__init__(spec)
        self.item = item

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


def register(kind: type[T], item: str, **words: Unpack[Declaration]) -> Register[T]:
    """Declare a register; a writable one follows the front panel."""
    words.setdefault("setpoint_follows", words.get("access", "read") == "read_write")
    return Register(AttributeSpec("", DataType.of(kind), **words), item)


def registers(owners: Iterable[Component]) -> list[tuple[LiveAttribute[Any], Query[Any]]]:
    """Every register of some owners with the item that answers for it."""
    return [
        (owner.live[name], item.query(owner))
        for owner in owners
        for name, item in declared(type(owner), Register).items()
    ]


def publish(live: LiveAttribute[Any], answer: Answer[Any], timestamp: float | None = None) -> None:
    """Publish an answer: its value, or INVALID with the reason why there is none; never a number that stands for it."""
    if answer.valid:
        live.publish(answer.value, timestamp=timestamp)
    else:
        assert answer.why_not is not None
        live.publish_invalid(f"{answer.name}: {answer.why_not.value}", timestamp=timestamp)
