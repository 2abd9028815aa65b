"""An observing script: its rows, checked before anything moves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from devices.ccd.observing.policy import Policy
from devices.ccd.observing.row import COMMANDS, FIELDS, LONGEST_EXPOSURE, Row, parse_row
from devices.core.errors import BadValueError
from devices.drivers.script_table import TableRow, read_table
from devices.pipelines.ccd.sky_place import offset_from

#: A file that is something else has a fault on each line; so many are told.
MOST_FAULTS: Final = 100


@dataclass(frozen=True)
class Equipment:
    """What a camera has for scripts.

    Attributes:
        types: all image types. longest: exposure, s.
        filters: of the wheel.
    """

    types: tuple[str, ...]
    longest: float
    filters: tuple[str, ...]
    has_telescope: bool

    def faults(self, row: TableRow) -> list[str]:
        """What a row asks that this camera has not; told also of a row that has other faults."""
        needs, may = COMMANDS.get(row.fields.get("command", "obs").casefold(), (frozenset(), frozenset()))
        given = {name: text for name, text in row.fields.items() if name in needs | may}
        found = []
        for name, known in {"type": self.types, "filter": self.filters}.items():
            if name in given and given[name].casefold() not in {each.casefold() for each in known}:
                allowed = f"none of {', '.join(known)}" if known else "there are none"
                found.append(f"line {row.line}, {name} = {given[name]!r}: {allowed}")
        if "type" in given and self.longest < _number(given.get("seconds", "")) <= LONGEST_EXPOSURE:
            found.append(f"line {row.line}, seconds = {given['seconds']!r}: a number from 0 to {self.longest:g} s")
        if not self.has_telescope:
            moves = [name for name in ("ra", "east", "north") if name in given]
            found += [f"line {row.line}, {name} = {given[name]!r}: there is no telescope to move" for name in moves]
        return found


@dataclass(frozen=True)
class Setting:
    """What earlier rows have set, for a run that does not begin with the first one.

    Attributes:
        place: J2000, h and deg, offsets included; None: none was given.
        filter: "" none was given. focus: None: no movefocus.
        policy: None: the script says none.
    """

    place: tuple[float, float] | None = None
    filter: str = ""
    focus: float | None = None
    policy: Policy | None = None

    def after(self, row: Row) -> Setting:
        """What is set when the row is done."""
        place = row.place or self.place
        if place is not None and (row.east or row.north):
            place = offset_from(*place, row.east, row.north)
        focus = self.focus
        if row.command == "movefocus":
            focus = row.focus
        elif row.command == "stepfocus" and focus is not None:
            focus += row.focus
        policy = row.policy if row.command == "policy" else self.policy
        return replace(self, place=place, filter=row.filter or self.filter, focus=focus, policy=policy)


@dataclass(frozen=True)
class Script:
    """A script that has no faults."""

    name: str
    text: str
    rows: tuple[Row, ...]

    @classmethod
    def parse(cls, name: str, text: str, equipment: Equipment | None = None) -> Script:
        """Read it and check it, against a camera, too.

        Raises:
            BadValueError: it has faults; all are told, a line each.
        """
        table = read_table(name, text, tuple(FIELDS))
        faults = list(table.faults)
        rows = [parse_row(number, found, faults) for number, found in enumerate(table.rows, 1)]
        sound = tuple(row for row in rows if row is not None)
        if equipment is not None:
            told = set(faults)
            faults += [each for row in table.rows for each in equipment.faults(row) if each not in told]
        if faults:
            # By line, so that one line's faults stand together.
            faults.sort(key=_line)
            more = [f"and {len(faults) - MOST_FAULTS} more"] if len(faults) > MOST_FAULTS else []
            count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
            raise BadValueError("\n".join([f"{name} has {count}; nothing was done:", *faults[:MOST_FAULTS], *more]))
        return cls(name, text, sound)

    @property
    def images(self) -> int:
        return sum(row.images for row in self.rows)

    def setting_before(self, number: int) -> Setting:
        """What the rows before this one have set."""
        setting = Setting()
        for row in self.rows[: number - 1]:
            setting = setting.after(row)
        return setting


def _number(text: str) -> float:
    """What is no number has been told already."""
    try:
        return float(text)
    except ValueError:
        return 0.0


def _line(fault: str) -> int:
    head = fault.removeprefix("line ").partition(",")[0].partition(":")[0]
    return int(head) if head.isdigit() else 0
