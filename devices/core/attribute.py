"""The declaration of an attribute: everything about it that is known before the device runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, TypedDict, TypeVar, Unpack, overload

import numpy as np

from devices.core.alarm import Range
from devices.core.datatype import DEFAULT_TEXT_LIMIT, DataType
from devices.core.deadband import Deadband

if TYPE_CHECKING:
    from devices.core.component import Component
    from devices.core.live import LiveAttribute

T = TypeVar("T")
Access = Literal["read", "read_write", "write"]
Level = Literal["operator", "expert"]
Memorized = Literal["show", "apply"]
Colour = Literal["", "RGB1", "RGB2", "RGB3"]


@dataclass(frozen=True)
class AttributeSpec:
    """What an attribute is, as servers and clients see it.

    Attributes:
        datatype: element type and greatest shape, (rows, columns) for an image.
        limits: what may be put, in ``unit``; a value equal to a limit is allowed.
        highest: the attribute of the same component whose value is the highest that may be put then; "" for none.
        warning, alarm: bounds of the read-back, in ``unit``; a value equal to a bound is beyond it.
        hysteresis: how far the read-back must come back before an alarm ends, in ``unit``.
        precision: digits after the point to display; data are never rounded.
        memorized: "show" (after a restart the hardware's value is adopted and ours offered) or "apply".
        setpoint_follows: the read-back is the register itself, so a change at the front panel moves the setpoint.
        change, archive: dead-bands of the change and of the archive events.
        group: the heading under which panels show it; a part's attributes have that of the part.
        pv_name: a PV name segment of its own instead of the one made from ``name``; ``{key}`` stands for a part's key.
        colour: layout of a colour image, areaDetector's names: RGB1 has the three values of a pixel side by side, RGB2
            the three lines of a row (both: three times as many columns), RGB3 the three images one above the other.
    """

    name: str
    datatype: DataType
    access: Access = "read"
    unit: str = ""
    label: str = ""
    doc: str = ""
    limits: Range | None = None
    highest: str = ""
    warning: Range | None = None
    alarm: Range | None = None
    hysteresis: float = 0.0
    precision: int | None = None
    level: Level = "operator"
    memorized: Memorized | None = None
    setpoint_follows: bool = False
    change: Deadband = Deadband()
    archive: Deadband = Deadband()
    pv_name: str | None = None
    mirror: bool = True
    group: str = ""
    colour: Colour = ""

    @property
    def readable(self) -> bool:
        return self.access != "write"

    @property
    def writable(self) -> bool:
        return self.access != "read"

    def for_part(self, key: str, group: str = "") -> AttributeSpec:
        """The specification of the same attribute in the part ``key`` ("a": ``temperature`` -> ``temperature_a``)."""
        return replace(
            self,
            name=f"{self.name}_{key}",
            highest=self.highest and f"{self.highest}_{key}",
            doc=self.doc.replace("{key}", key.upper()),
            # Two set points with one label are one set point too many.
            label=(self.label if "{key}" in self.label else f"{self.label} {{key}}").replace("{key}", key.upper()),
            group=(self.group or group).replace("{key}", key.upper()),
            pv_name=self.pv_name and self.pv_name.replace("{key}", key.upper()),
        )


class Attribute(Generic[T]):
    """An attribute declared in a class body; on an instance it is the :class:`LiveAttribute`."""

    def __init__(self, spec: AttributeSpec, initial: Any = None) -> None:
        self.spec = spec
        self.initial = initial
        self.write_hook = ""
        self.read_hook = ""
        self.read_period = 0.0

    def __set_name__(self, owner: type, name: str) -> None:
        self.spec = replace(self.spec, name=name, label=self.spec.label or name.replace("_", " ").capitalize())

    @overload
    def __get__(self, instance: None, owner: type) -> Attribute[T]: ...
    @overload
    def __get__(self, instance: Component, owner: type) -> LiveAttribute[T]: ...
    def __get__(self, instance: Component | None, owner: type) -> Attribute[T] | LiveAttribute[T]:
        if instance is None:
            return self
        return instance.live[self.spec.name]

    def __set__(self, instance: Component, value: object) -> None:
        # Assigning would hide the attribute; it also catches an attribute named like a member of Device.
        raise AttributeError(f"{type(instance).__name__}.{self.spec.name} is an attribute: publish() or put() a value")

    def hook_for(self, owner: Component) -> Callable[[Any], Awaitable[None]] | None:
        """What takes a client's value to the hardware, for one component; a subclass may find it another way."""
        hook: Callable[[Any], Awaitable[None]] | None = getattr(owner, self.write_hook) if self.write_hook else None
        return hook

    def write(self, hook: Callable[[Any, T], Awaitable[None]]) -> Callable[[Any, T], Awaitable[None]]:
        """Decorate the method that takes a client's value to the hardware."""
        self.write_hook = hook.__name__
        self.spec = replace(self.spec, access="write" if self.spec.access == "write" else "read_write")
        return hook

    def read(self, period: float) -> Callable[[Callable[[Any], Awaitable[T]]], Callable[[Any], Awaitable[T]]]:
        """Decorate a method that asks the hardware for this one value every ``period`` seconds.

        Raises:
            ValueError: ``period`` is not > 0.
        """
        if period <= 0:
            raise ValueError(f"period = {period} s is not > 0")

        def decorate(hook: Callable[[Any], Awaitable[T]]) -> Callable[[Any], Awaitable[T]]:
            self.read_hook, self.read_period = hook.__name__, period
            return hook

        return decorate


class Declaration(TypedDict, total=False):
    """The keywords of :func:`attribute`; :class:`AttributeSpec` says what they mean."""

    access: Access
    unit: str
    label: str
    doc: str
    limits: Range | None
    highest: str
    warning: Range | None
    alarm: Range | None
    hysteresis: float
    precision: int | None
    level: Level
    memorized: Memorized | None
    setpoint_follows: bool
    change: Deadband
    archive: Deadband
    pv_name: str | None
    mirror: bool
    group: str
    colour: Colour


@overload
def attribute(
    kind: type[T], *, shape: None = None, initial: T | None = None, text_limit: int = ..., **words: Unpack[Declaration]
) -> Attribute[T]: ...
@overload
def attribute(
    kind: type[str], *, shape: tuple[int, ...], initial: Any = None, text_limit: int = ..., **words: Unpack[Declaration]
) -> Attribute[tuple[str, ...]]: ...
@overload
def attribute(
    kind: Any, *, shape: tuple[int, ...], initial: Any = None, text_limit: int = ..., **words: Unpack[Declaration]
) -> Attribute[np.ndarray[Any, Any]]: ...
def attribute(
    kind: Any,
    *,
    shape: tuple[int, ...] | None = None,
    initial: Any = None,
    text_limit: int = DEFAULT_TEXT_LIMIT,
    **words: Unpack[Declaration],
) -> Attribute[Any]:
    """Declare an attribute: its type, for an array its greatest shape, and the words of :class:`AttributeSpec`.

    A writable attribute without a ``write`` hook holds what clients put: a setting of the device itself, not of the
    hardware. ``initial`` is its value at the start.

    Raises:
        TypeError: the model has no such type, or the colours of an image do not fit its shape.
    """
    spec = AttributeSpec("", DataType.of(kind, shape or (), text_limit), **words)
    if spec.colour and (len(spec.datatype.shape) != 2 or spec.datatype.shape[spec.colour != "RGB3"] % 3):
        raise TypeError(f"{spec.datatype.shape} is no shape of a {spec.colour} image: three times the rows or columns")
    return Attribute(spec, initial)
