"""Observing scripts as files: rows of named fields from CSV, from YAML, or from the lines of azcam's ``observe``.

Every cell stays a text, as it stands in the file: YAML on its own would make 20117.3 of the right ascension 05:35:17.3.

Source: lines of azcam-observe as its README has them.
"""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import yaml

#: A night of 1000 rows is as long; YAML of this size is read in less than 1 s.
MAX_BYTES: Final = 100_000
MAX_ROWS: Final = 1000
#: A line of a YAML file that never ends would keep its reader busy for minutes, characters.
LONGEST_LINE: Final = 5000
ENDINGS: Final = (".csv", ".yaml", ".yml", ".txt")
_EXPOSURE: Final = ("seconds", "type", "target", "repeats", "filter", "ra", "dec", "equinox")
#: azcam's words -> ours, and the fields that follow them.
_AZCAM: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "obs": ("obs", _EXPOSURE),
    "test": ("test", _EXPOSURE),
    "stepfocus": ("stepfocus", ("focus",)),
    "steptel": ("steptel", ("east", "north")),
    "movetel": ("movetel", ("ra", "dec", "equinox")),
    "movefilter": ("movefilter", ("filter",)),
    "delay": ("delay", ("seconds",)),
    "print": ("comment", ("text",)),
    "comment": ("comment", ("text",)),
    "prompt": ("prompt", ("text",)),
    "quit": ("quit", ()),
}


@dataclass(frozen=True)
class TableRow:
    """A row: the line on which it begins, from 1, and its fields that are not empty."""

    line: int
    fields: Mapping[str, str]


@dataclass
class Table:
    """What a file has; with faults its rows mean nothing."""

    rows: list[TableRow] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def read_table(name: str, content: str, known: Collection[str]) -> Table:
    """The rows of a script.

    Args:
        name: of the file; its ending says what it is, one of `ENDINGS`.
        known: the names that fields may have.
    """
    table = Table()
    ending = name[name.rfind(".") :].casefold() if "." in name else ""
    size = len(content.encode(errors="replace"))
    if ending not in ENDINGS:
        table.faults.append(f"name = {name!r}: it must end with {', '.join(ENDINGS)}")
    elif size > MAX_BYTES:
        table.faults.append(f"size = {size} bytes: at most {MAX_BYTES} bytes are allowed")
    elif long := next((number for number, line in enumerate(content.splitlines(), 1) if len(line) > LONGEST_LINE), 0):
        table.faults.append(f"line {long}: at most {LONGEST_LINE} characters are allowed")
    else:
        read = {".csv": _read_csv, ".txt": _read_azcam}.get(ending, _read_yaml)
        read(content.removeprefix("\ufeff"), known, table)
        if len(table.rows) > MAX_ROWS:
            table.faults.append(f"rows = {len(table.rows)}: at most {MAX_ROWS} are allowed")
        elif not table.rows and not table.faults:
            table.faults.append("the script has no rows")
    return table


def _read_csv(content: str, known: Collection[str], table: Table) -> None:
    first = next((line for line in content.splitlines() if line.strip() and not line.startswith("#")), "")
    delimiter = ";" if ";" in first and "," not in first else ","
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    try:
        for line, cells in _records(reader):
            if header is None:
                header = _header(line, cells, known, table)
                continue
            if len(cells) > len(header):
                extra = ", ".join(map(repr, cells[len(header) :]))
                table.faults.append(
                    f"line {line}: {len(cells)} cells, and only {len(header)} columns; {extra} have none"
                )
            filled = {name: cell.strip() for name, cell in zip(header, cells, strict=False) if cell.strip()}
            table.rows.append(TableRow(line, filled))
    except csv.Error as error:
        table.faults.append(f"line {reader.line_num}: {error}")


def _records(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line where it begins; no empty ones, and no remarks."""
    line = 1
    for cells in reader:
        if any(cell.strip() for cell in cells) and not cells[0].startswith("#"):
            yield line, cells
        line = reader.line_num + 1  # type: ignore[attr-defined]


def _header(line: int, cells: list[str], known: Collection[str], table: Table) -> list[str]:
    names = [cell.strip().casefold() for cell in cells]
    while names and not names[-1]:
        names.pop()
    for name in dict.fromkeys(names):
        _check_name(line, name, known, table)
        if names.count(name) > 1:
            table.faults.append(f"line {line}, column {name!r}: it is there {names.count(name)} times")
    return names


def _check_name(line: int, name: str, known: Collection[str], table: Table) -> None:
    if name not in known:
        table.faults.append(f"line {line}, column {name!r}: none of {', '.join(known)}")


def _read_yaml(content: str, known: Collection[str], table: Table) -> None:
    try:
        root = yaml.compose(content, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        table.faults.append(f"line {line}: {error.problem}")
        return
    except (yaml.YAMLError, RecursionError) as error:
        table.faults.append(f"line 1: this is no YAML: {error}")
        return
    if not isinstance(root, yaml.SequenceNode):
        table.faults.append("line 1: a list of rows is wanted, each beginning with '- '")
        return
    for node in root.value:
        line = node.start_mark.line + 1
        if not isinstance(node, yaml.MappingNode):
            table.faults.append(f"line {line}: a row is wanted, NAME: VALUE on each of its lines")
            continue
        table.rows.append(TableRow(line, _mapping(node, known, table)))


def _mapping(node: yaml.MappingNode, known: Collection[str], table: Table) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or not isinstance(value, yaml.ScalarNode):
            table.faults.append(f"line {line}: NAME: VALUE is wanted, with one value")
            continue
        name = key.value.strip().casefold()
        _check_name(line, name, known, table)
        if name in found:
            table.faults.append(f"line {line}, column {name!r}: this row has it already")
        # "~" and "null" are YAML's own words for nothing.
        found[name] = "" if value.tag == "tag:yaml.org,2002:null" else value.value.strip()
    return {name: text for name, text in found.items() if text}


def _read_azcam(content: str, known: Collection[str], table: Table) -> None:
    for line, text in enumerate(content.splitlines(), 1):
        if not text.strip() or text.lstrip()[0] in "#!":
            continue
        try:
            words = shlex.split(text)
        except ValueError as error:
            table.faults.append(f"line {line}: {error}")
            continue
        # A count of how often a line was done may stand before it.
        if words[0].isdigit():
            words = words[1:]
        command = words[0].casefold() if words else ""
        if command not in _AZCAM:
            table.faults.append(f"line {line}, command = {command!r}: none of {', '.join(_AZCAM)}")
            continue
        ours, names = _AZCAM[command]
        values = [" ".join(words[1:])] if names == ("text",) else words[1:]
        if len(values) > len(names):
            table.faults.append(f"line {line}, command = {command!r}: {len(values)} words follow, at most {len(names)}")
        filled = {name: value for name, value in zip(names, values, strict=False) if value}
        table.rows.append(TableRow(line, {"command": ours, **filled}))
