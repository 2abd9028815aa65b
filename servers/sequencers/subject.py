"""A device that a file is made for: what it has, and what the sequencer wants of it."""

from __future__ import annotations

import contextlib
import keyword
import re
from dataclasses import dataclass
from typing import Final

from devices.core.attribute import AttributeSpec
from devices.core.command import CommandSpec
from devices.core.datatype import NUMBERS, Kind
from devices.core.errors import BadValueError, UnknownNameError
from devices.core.interface import Interface
from servers.facility.spelling import did_you_mean

#: What every device has for programs, and a plan does not need.
OWN: Final = frozenset(
    """
    describe operations operation_status abort memorized apply_memorized alarm_summary reserve release reserved_by
    """.split()
)
#: Names that mean something to ophyd, ophyd-async or the run engine; an attribute of one gets a ``_`` behind.
TAKEN: Final = frozenset(
    """
    add_children_as_readables add_readables check_value children clear_sub collect collect_asset_docs complete
    component_names configure connect connected describe describe_collect describe_configuration destroy get hints
    kickoff kind locate log move name parent pause position prefix put read read_attrs read_configuration report resume
    root set set_name signal_names stage stop subscribe summary trigger trigger_signals unstage unsubscribe
    wait_for_connection
    """.split()
)


@dataclass(frozen=True)
class Move:
    """A set point with the reading that follows it.

    Attributes:
        tolerance: how far the reading may be from its target, in its unit.
        settle: for how long it must have been within that, s.
    """

    name: str
    setpoint: str
    readback: str
    tolerance: float
    settle: float


def parse_move(text: str) -> Move:
    """A move from ``NAME=SETPOINT,READBACK,TOLERANCE,SECONDS``.

    Raises:
        BadValueError: it is not of this form.
    """
    found = re.fullmatch(r"([a-z]\w*)=(\w+),(\w+),([\d.eE+-]+),([\d.eE+-]+)", text)
    if found is not None:
        with contextlib.suppress(ValueError):  # 1e, ...: said below
            return Move(found[1], found[2], found[3], float(found[4]), float(found[5]))
    raise BadValueError(f"{text} is not NAME=SETPOINT,READBACK,TOLERANCE,SECONDS")


@dataclass(frozen=True)
class Wanted:
    """What a plan does with a device.

    Attributes:
        read: attributes of every event; none: the numbers that have a unit.
        config: attributes that are kept once in a run.
        moves: set points that are waited for.
        trigger: an operation that a trigger runs, or an attribute whose next reading it waits for; "" for none.
        together: attributes that have the time stamp of that one; with it they are read as they were then.
        file: the attribute that names the file which a trigger has written; "" for none.
    """

    read: tuple[str, ...] = ()
    config: tuple[str, ...] = ()
    moves: tuple[Move, ...] = ()
    trigger: str = ""
    file: str = ""
    together: tuple[str, ...] = ()

    def names(self) -> set[str]:
        """The attributes and operations that this speaks of."""
        moved = {name for move in self.moves for name in (move.setpoint, move.readback)}
        return {*self.read, *self.config, *self.together, *moved} | ({self.trigger, self.file} - {""})


@dataclass(frozen=True)
class Subject:
    """A device of a facility; ``trl`` is its Tango address, tango://HOST:PORT/DEVICE."""

    device: str
    trl: str
    interface: Interface

    @property
    def name(self) -> str:
        """The name of the device in documents and databases, as its PVs begin: ``cryo1`` for CRYO1:."""
        prefix = self.interface.pv_prefix.strip(":")
        return identifier((prefix or self.device).lower()).strip("_")

    @property
    def class_name(self) -> str:
        """The class in a generated file; every device has one of its own, for attributes may depend on properties."""
        return "".join(word.capitalize() for word in self.name.split("_"))

    def attributes(self) -> list[AttributeSpec]:
        """Those that a plan can use: pictures belong into files, not into documents."""
        return [
            spec
            for spec in self.interface.attributes
            if spec.name not in OWN
            and len(spec.datatype.shape) < 2
            and spec.datatype.kind is not Kind.ENCODED
            and not (spec.datatype.shape and spec.datatype.kind in (Kind.ENUM, Kind.STATE))
        ]

    def commands(self) -> list[CommandSpec]:
        """Commands and operations but for those that every device has for programs."""
        return [spec for spec in self.interface.commands if spec.name not in OWN]

    def narrowed(self, wanted: Wanted) -> Wanted:
        """The part of what is wanted that this device has, with the usual readings when none was named."""
        known = {spec.name for spec in self.attributes()} | {
            spec.name for spec in self.commands() if spec.kind == "operation"
        }
        together = tuple(name for name in wanted.together if name in known and wanted.trigger in known)
        read = tuple(name for name in wanted.read if name in known) or self._usual_readings()
        if together:
            read = tuple(dict.fromkeys((*read, wanted.trigger, *together)))
        return Wanted(
            read,
            tuple(name for name in wanted.config if name in known),
            tuple(move for move in wanted.moves if {move.setpoint, move.readback} <= known),
            wanted.trigger if wanted.trigger in known else "",
            wanted.file if wanted.file in known else "",
            together,
        )

    def _usual_readings(self) -> tuple[str, ...]:
        return tuple(
            spec.name
            for spec in self.attributes()
            if spec.access == "read" and spec.unit and not spec.datatype.shape and spec.datatype.kind in NUMBERS
        )


def check(subjects: list[Subject], wanted: Wanted) -> None:
    """Whether every name belongs to one of the devices.

    Raises:
        UnknownNameError: one does not.
    """
    known = {spec.name for subject in subjects for spec in subject.attributes()}
    known |= {spec.name for subject in subjects for spec in subject.commands()}
    for name in sorted(wanted.names()):
        if name not in known:
            devices = ", ".join(subject.device for subject in subjects)
            raise UnknownNameError(f"{devices}: no attribute or operation {name}{did_you_mean(name, known)}")


def identifier(text: str) -> str:
    """A Python name as near to a text as possible."""
    name = re.sub(r"\W", "_", text.strip(), flags=re.ASCII) or "_"
    name = f"_{name}" if name[0].isdigit() else name
    return f"{name}_" if keyword.iskeyword(name) else name


def member(name: str) -> str:
    """The name of an attribute or a command in a generated class."""
    return f"{name}_" if name in TAKEN else identifier(name)


def note(spec: AttributeSpec) -> str:
    """Unit and limits as a comment; "" where there are none."""
    low, high = spec.limits or (None, None)
    bounds = "" if low is None and high is None else f"{_bound(low)} to {_bound(high)}"
    words = " ".join(filter(None, [bounds, spec.unit]))
    return f"  # {words}" if words else ""


def _bound(value: float | None) -> str:
    return "any" if value is None else f"{value:g}"
