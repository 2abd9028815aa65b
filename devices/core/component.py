"""Components: what declares attributes and commands, a device or one of its repeated parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from devices.core.attribute import Attribute
from devices.core.command import CommandSpec, LiveCommand
from devices.core.errors import reason
from devices.core.live import LiveAttribute

if TYPE_CHECKING:
    from devices.core.device import Device

D = TypeVar("D", bound="Device")
C = TypeVar("C")


def declared(owner: type, kind: type[C]) -> dict[str, C]:
    """The class-body declarations of one kind, base classes first, in the order they were written."""
    found: dict[str, C] = {}
    for base in reversed(owner.__mro__):
        for name, item in vars(base).items():
            if isinstance(item, kind):
                found[name] = item
            else:
                found.pop(name, None)
    return found


def marked(owner: type, mark: str) -> dict[str, Any]:
    """The methods that a decorator marked, with their marks, base classes first."""
    names = {name: None for base in reversed(owner.__mro__) for name in vars(base)}
    marks = {}
    for name in names:
        function = getattr(owner, name, None)
        if callable(function) and hasattr(function, mark):
            marks[name] = getattr(function, mark)
    return marks


class Component:
    """Owner of live attributes; ``live`` is keyed by the names in the class body."""

    live: dict[str, LiveAttribute[Any]]
    group: ClassVar[str] = ""

    def _build(self, device: Device, key: str | None) -> None:
        self.live = {}
        for name, item in declared(type(self), Attribute).items():
            spec = item.spec if key is None else item.spec.for_part(key, self.group)
            live: LiveAttribute[Any] = LiveAttribute(spec, device, item.hook_for(self), item.initial)
            self.live[name] = live
            device.add_attribute(live)
            if item.read_hook:
                device.add_poll(_reader(live, getattr(self, item.read_hook)), item.read_period, f"reading {spec.name}")
        for name, command in marked(type(self), "__command__").items():
            command_spec: CommandSpec = command if key is None else command.for_part(key, self.group)
            device.add_command(LiveCommand(command_spec, device, getattr(self, name)))
        for name, period in marked(type(self), "__poll__").items():
            device.add_poll(getattr(self, name), period, name if key is None else f"{name}_{key}")


def _reader(live: LiveAttribute[Any], hook: Callable[[], Any]) -> Callable[[], Any]:
    async def read() -> None:
        try:
            live.publish(await hook())
        except Exception as error:
            live.publish_invalid(f"{reason(error)}: {error}")
            raise

    return read


class Part(Component, Generic[D]):
    """A repeated part of a device: an input, a loop, an amplifier; its names get the suffix ``_<key>``.

    Attributes:
        group: the heading of the part in panels, e.g. ``Loop {key}``.
    """

    def __init__(self, device: D, key: str) -> None:
        self.device = device
        self.key = key
        self._build(device, key)
