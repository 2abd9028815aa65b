"""PV names: the only place where a Tango attribute or command becomes the name of a process variable.

The rule: split the Tango name at ``_``, upper-case the first letter of each part, keep the rest, join; every character
other than A-Z a-z 0-9 drops out. ``temperature_a`` of a device with the prefix ``CRYO1:`` is ``CRYO1:TemperatureA``.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devices.core.errors import BadValueError, RangeError

MAX_NAME = 60  # what a Channel Access record name may have (EPICS base: PVNAME_STRINGSZ - 1)

READBACK = "_RBV"
ERROR = ":Error"
TEXT = ":Text"  # a 64-bit integer in decimal, exact where DOUBLE is not
LABEL = ":Label"  # the label of an enumeration that does not fit a CA ENUM
WIDTH, HEIGHT = ":Width", ":Height"
FORMAT, IMAGE = ":Format", ":Image"  # the encoding of a DevEncoded; its pixels, when it is an image
STATUS, RESULT, PROGRESS = ":Status", ":Result", ":Progress"
RUN = ":Run"  # runs a command that has arguments with those that stand in their PVs
COMMAND = (STATUS, RESULT, ERROR, PROGRESS)

MAX_ENUM_LABELS = 16  # of a CA ENUM
MAX_ENUM_LABEL_BYTES = 25


def segment(tango_name: str) -> str:
    """The PV segment of one attribute, command or argument name.

    Raises:
        BadValueError: no letter or digit is left.
    """
    parts = re.sub(r"[^A-Za-z0-9_]", "", tango_name).split("_")
    name = "".join(part[:1].upper() + part[1:] for part in parts)
    if not name:
        raise BadValueError(f"{tango_name!r} has no letter or digit for a PV name")
    return name


def loses_characters(tango_name: str) -> bool:
    """Whether the rule drops something other than ``_``; such a name deserves a warning."""
    return re.search(r"[^A-Za-z0-9_]", tango_name) is not None


def full(prefix: str, name: str, suffix: str = "") -> str:
    """The full PV name.

    Raises:
        RangeError: it has more than 60 characters.
        BadValueError: it has characters that a client cannot search for (blanks, ``.``, ``$``, controls).
    """
    pv = prefix + name + suffix
    if len(pv) > MAX_NAME:
        raise RangeError(f"PV name {pv!r} has {len(pv)} characters, more than {MAX_NAME}")
    if not re.fullmatch(r"[A-Za-z0-9_:;<>\[\]+-]+", pv):
        raise BadValueError(f"PV name {pv!r} may have only A-Z a-z 0-9 _ : ; < > [ ] + -")
    return pv


def fits_ca_enum(labels: Sequence[str]) -> bool:
    """Whether a CA ENUM can carry all these labels uncut."""
    return len(labels) <= MAX_ENUM_LABELS and all(len(label.encode()) <= MAX_ENUM_LABEL_BYTES for label in labels)


def value_companions(kind: str, rank: int, labels: Sequence[str]) -> tuple[str, ...]:
    """The suffixes of the PVs that go with one value PV.

    Args:
        kind: the type as a device description spells it (``float64``, ``enum`` ...).
        rank: 0 for a scalar, 1 for a spectrum, 2 for an image.
        labels: of an enumeration.
    """
    if kind == "encoded":
        return (FORMAT, IMAGE)
    if rank == 2:
        return (WIDTH, HEIGHT)
    if rank:
        return ()
    if kind in ("int64", "uint64"):
        return (TEXT,)
    if kind == "enum" and not fits_ca_enum(labels):
        return (LABEL,)
    return ()


def served_access(kind: str, rank: int, access: str) -> str:
    """What clients may do with an attribute: images and encoded data are for reading."""
    return "read" if rank == 2 or kind == "encoded" else access


def attribute_pvs(base: str, kind: str, rank: int, access: str, labels: Sequence[str]) -> list[str]:
    """Every PV of one attribute, without the prefix; ``access`` is read, read_write or write."""
    access = served_access(kind, rank, access)
    values = [base] if access != "read_write" else [base, base + READBACK]
    pvs = [value + suffix for value in values for suffix in ("", *value_companions(kind, rank, labels))]
    return pvs if access == "read" else [*pvs, base + ERROR]


def command_pvs(base: str, arguments: Sequence[str]) -> list[str]:
    """Every PV of one command or operation, without the prefix; each argument has one of its own."""
    own = [base, *(base + suffix for suffix in COMMAND)]
    return [*own, base + RUN, *(f"{base}:{segment(argument)}" for argument in arguments)] if arguments else own


def device_pvs(description: Mapping[str, Any], prefix: str | None = None) -> list[str]:
    """Every full PV name that a device of this description gets, so that clashes are found before anything starts.

    Args:
        description: what the Tango command ``describe`` gives, decoded.
        prefix: instead of the description's own.
    """
    start = description["pv_prefix"] if prefix is None else prefix
    pvs = ["State", "Status"]
    for attribute in description["attributes"]:
        if attribute.get("mirror", True) and attribute["name"].lower() not in ("state", "status"):
            base = attribute.get("pv_name") or segment(attribute["name"])
            rank, labels = len(attribute["shape"]), attribute.get("labels") or ()
            pvs += attribute_pvs(base, attribute["type"], rank, attribute["access"], labels)
    for command in description["commands"]:
        if command.get("mirror", True):
            base = command.get("pv_name") or segment(command["name"])
            pvs += command_pvs(base, [argument["name"] for argument in command["arguments"]])
    return [full(start, pv) for pv in pvs]


@dataclass(frozen=True)
class Clash:
    """Two things that want one PV name; the first one has it."""

    pv: str
    holder: str
    loser: str

    def __str__(self) -> str:
        return f"PV {self.pv} of {self.loser} is already that of {self.holder}; {self.loser} is not mirrored there"


class NameBook:
    """Who has which full PV name. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders: dict[str, str] = {}
        self._clashes: dict[tuple[str, str], Clash] = {}

    def claim(self, pv: str, owner: str) -> Clash | None:
        """Take a name; the clash is returned (and kept) when somebody else has it."""
        with self._lock:
            holder = self._holders.setdefault(pv, owner)
            if holder == owner:
                self._clashes.pop((pv, owner), None)
                return None
            clash = self._clashes[pv, owner] = Clash(pv, holder, owner)
            return clash

    def release(self, owners: Collection[str]) -> None:
        """Give back all names of these owners, and forget the clashes they lost."""
        with self._lock:
            self._holders = {pv: owner for pv, owner in self._holders.items() if owner not in owners}
            self._clashes = {key: clash for key, clash in self._clashes.items() if key[1] not in owners}

    @property
    def clashes(self) -> tuple[Clash, ...]:
        """The clashes at present."""
        with self._lock:
            return tuple(self._clashes.values())
