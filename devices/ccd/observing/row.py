"""One row of an observing script, and what its fields may be."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from devices.ccd.observing.policy import FORM as POLICY_FORM
from devices.ccd.observing.policy import Policy
from devices.drivers.script_table import TableRow
from devices.pipelines.ccd.sky_text import DEGREES_FORM, EQUINOX_FORM, HOURS_FORM, degrees_of, hours_of, to_j2000

#: Whatever the camera says, s.
LONGEST_EXPOSURE: Final = 1e6
MOST_REPEATS: Final = 10_000
MOST_TEXT: Final = 200
#: As the telescope has it, arcsec.
LONGEST_OFFSET: Final = 7200.0
LARGEST_FOCUS: Final = 100_000.0


@dataclass(frozen=True)
class Row:
    """What is to be done.

    Attributes:
        number: of the row, from 1. line: of the file.
        command: one of `COMMANDS`.
        place: right ascension, h, and declination, deg, J2000; None: where the telescope points.
        seconds: of an exposure; of a delay.
        east, north: arcsec on the sky, from the place, or from where the telescope points.
        focus: where it goes; of stepfocus: by how much.
        policy: what a failure does; None: what the script says.
    """

    number: int
    line: int
    command: str
    target: str = ""
    place: tuple[float, float] | None = None
    filter: str = ""
    type: str = ""
    seconds: float = 0.0
    repeats: int = 1
    east: float = 0.0
    north: float = 0.0
    focus: float = 0.0
    text: str = ""
    policy: Policy | None = None

    @property
    def exposes(self) -> bool:
        return self.command in ("obs", "test")

    @property
    def images(self) -> int:
        return self.repeats if self.exposes else 0

    @property
    def title(self) -> str:
        """OBJECT of its images."""
        return self.target or self.type

    def __str__(self) -> str:
        words = [self.command, self.target, self.filter, self.type]
        if self.exposes or self.command == "delay":
            words.append(f"{self.seconds:g} s")
        if self.repeats > 1:
            words.append(f"x {self.repeats}")
        if self.east or self.north:
            words.append(f"{self.east:+g} {self.north:+g} arcsec")
        if self.command in ("stepfocus", "movefocus"):
            words.append(f"{self.focus:g}")
        if self.text:
            words.append(self.text)
        if self.policy is not None:
            words.append(f"({self.policy})")
        return " ".join(filter(None, words))


def _text(text: str) -> str:
    if len(text) > MOST_TEXT or not text.isprintable():
        raise ValueError
    return text


def _title(text: str) -> str:
    # It becomes a keyword of FITS.
    if not text.isascii():
        raise ValueError
    return _text(text)


def _number(low: float, high: float) -> Callable[[str], float]:
    def convert(text: str) -> float:
        value = float(text)
        if not (math.isfinite(value) and low <= value <= high):
            raise ValueError
        return value

    return convert


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= MOST_REPEATS:
        raise ValueError
    return value


def _equinox(text: str) -> str:
    to_j2000(0.0, 0.0, text, 0.0)
    return text


def _command(text: str) -> str:
    if text.casefold() not in COMMANDS:
        raise ValueError
    return text.casefold()


_SHOWN: Final = f"at most {MOST_TEXT} characters that can be shown"
_OFFSET: Final = (
    _number(-LONGEST_OFFSET, LONGEST_OFFSET),
    f"a number from {-LONGEST_OFFSET:g} to {LONGEST_OFFSET:g} arcsec",
)
#: Each command: the fields that it needs, and those that it may have.
COMMANDS: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    name: (frozenset(needs.split()), frozenset(may.split()))
    for name, needs, may in (
        ("obs", "type", "target ra dec equinox filter seconds repeats east north on_failure"),
        ("test", "type", "target ra dec equinox filter seconds repeats east north on_failure"),
        ("movetel", "ra dec", "target equinox on_failure"),
        ("steptel", "", "east north on_failure"),
        ("movefilter", "filter", "on_failure"),
        ("movefocus", "focus", "on_failure"),
        ("stepfocus", "focus", "on_failure"),
        ("delay", "seconds", ""),
        ("comment", "text", ""),
        ("prompt", "text", ""),
        ("policy", "on_failure", ""),
        ("quit", "", ""),
    )
}
#: Each field: how its text becomes a value, and what is allowed, in words.
FIELDS: Final[Mapping[str, tuple[Callable[[str], Any], str]]] = {
    "command": (_command, f"one of {', '.join(COMMANDS)}; empty: obs"),
    "target": (_title, f"at most {MOST_TEXT} characters of ASCII"),
    "ra": (hours_of, HOURS_FORM),
    "dec": (degrees_of, DEGREES_FORM),
    "equinox": (_equinox, EQUINOX_FORM),
    "filter": (_text, _SHOWN),
    "type": (_text, _SHOWN),
    "seconds": (_number(0.0, LONGEST_EXPOSURE), f"a number from 0 to {LONGEST_EXPOSURE:.0f} s"),
    "repeats": (_count, f"a whole number from 1 to {MOST_REPEATS}"),
    "east": _OFFSET,
    "north": _OFFSET,
    "focus": (_number(-LARGEST_FOCUS, LARGEST_FOCUS), f"a number from {-LARGEST_FOCUS:g} to {LARGEST_FOCUS:g}"),
    "text": (_text, _SHOWN),
    "on_failure": (Policy.parse, POLICY_FORM),
}


def parse_row(number: int, found: TableRow, faults: list[str], now: float | None = None) -> Row | None:
    """A row from its texts; what is wrong with it is added to the faults, and then it is None.

    Args:
        now: s since 1970, for places of the date.
    """
    before = len(faults)
    values: dict[str, Any] = {}
    for name, text in found.fields.items():
        if name not in FIELDS:
            continue  # the table has told already
        convert, allowed = FIELDS[name]
        try:
            values[name] = convert(text)
        except ValueError:
            faults.append(f"line {found.line}, {name} = {text!r}: {allowed}")
    command = values.setdefault("command", "obs")
    if "command" in found.fields and len(faults) > before and found.fields["command"].casefold() not in COMMANDS:
        return None
    given = set(found.fields) & set(FIELDS) - {"command"}
    faults += _wrong_fields(found.line, command, given, found.fields)
    if len(faults) > before:
        return None
    place = None
    if "ra" in values:
        equinox = values.get("equinox", "J2000")
        place = to_j2000(values["ra"], values["dec"], equinox, time.time() if now is None else now)
    plain = {name: values[name] for name in values if name not in ("ra", "dec", "equinox", "on_failure")}
    return Row(number, found.line, place=place, policy=values.get("on_failure"), **plain)


def _wrong_fields(line: int, command: str, given: set[str], texts: Mapping[str, str]) -> list[str]:
    needs, may = COMMANDS[command]
    known = ", ".join(sorted(needs | may)) or "none"
    faults = [
        f"line {line}, {name} = {texts[name]!r}: {command} has no such field; it has {known}"
        for name in texts
        if name in given - needs - may
    ]
    missing = [name for name in sorted(needs) if name not in given]
    if command in ("obs", "test") and "seconds" not in given and texts.get("type", "").casefold() != "zero":
        missing.append("seconds")
    if command == "steptel" and not given & {"east", "north"}:
        missing.append("east")
    for first, second in (("ra", "dec"), ("dec", "ra"), ("equinox", "ra")):
        if first in given and second not in given and second not in missing:
            missing.append(second)
    return [*faults, *(f"line {line}, {name}: {command} needs it: {FIELDS[name][1]}" for name in missing)]
