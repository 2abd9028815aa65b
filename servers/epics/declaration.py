"""What the mirror knows about a device: its attributes, commands and prefix, free of Tango."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from servers.epics import names
from servers.epics.records import Facts, Kind, may_be_large


@dataclass(frozen=True)
class AttributeSpec:
    """One attribute to mirror; ``base`` is its PV segment, ``type_name`` also tells ``state`` and ``encoded``."""

    name: str
    base: str
    kind: Kind
    type_name: str
    rank: int
    max_length: int
    access: str
    level: str
    text_limit: int
    facts: Facts
    colour: str = ""  # layout of a colour image
    highest: str = ""  # the attribute whose value bounds what may be put
    period: float | None = None  # s, the longest silence that the device promises

    @property
    def is_large(self) -> bool:
        return may_be_large(self.kind, self.rank, self.max_length)

    @property
    def is_text_image(self) -> bool:
        """An image of texts, which EPICS has as an array of them, row by row."""
        return self.rank == 2 and self.kind is Kind.STRING

    @property
    def shape(self) -> tuple[Any, ...]:
        """What must stay the same for the PVs to stay."""
        fits = names.fits_ca_enum(self.facts.labels)
        return (
            self.name, self.base, self.type_name, self.rank, self.max_length, self.access, self.text_limit, fits,
            self.colour, self.highest, self.period,
        )  # fmt: skip


@dataclass(frozen=True)
class ArgumentSpec:
    name: str
    kind: Kind
    rank: int
    max_length: int = 1
    text_limit: int = 4096
    default: Any = None
    required: bool = True
    is_state: bool = False
    facts: Facts = field(default_factory=Facts)


@dataclass(frozen=True)
class CommandSpec:
    """One command or operation to mirror; a result of None is a text (empty for no result)."""

    name: str
    base: str
    is_operation: bool
    arguments: tuple[ArgumentSpec, ...]
    result: ArgumentSpec | None
    level: str
    doc: str
    when_busy: str  # what a second run does while there is one: refuse, queue, parallel
    described: bool  # whether the argument conventions of a described device hold
    is_dangerous: bool = False
    reads_only: bool = False
    stops: bool = False


@dataclass(frozen=True)
class DeviceSpec:
    """A device to mirror; ``notes`` tell what of it is not, and what else a site may want to know."""

    prefix: str
    attributes: tuple[AttributeSpec, ...]
    commands: tuple[CommandSpec, ...]
    has_operations: bool
    notes: tuple[str, ...] = ()
