"""A file of Sardana controllers for a device's attributes, with the lines that define its elements in spock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from servers.sequencers.ophyd_async_file import CUT, PARTS
from servers.sequencers.subject import Move, Subject, Wanted

PART: Final = PARTS / "sardana_controllers.py"


def generate(subjects: Sequence[Subject], wanted: Wanted, command: str) -> str:
    """The text of a controller library; its first lines are the ones for spock."""
    lines = [line for subject in subjects for line in _lines(subject, subject.narrowed(wanted))]
    head, _, classes = PART.read_text().partition(CUT)
    imports = head.partition('"""\n\n')[2].strip()
    spock = "\n".join(f"    {line}" for line in lines)
    doc = f'"""Sardana controllers of Tango attributes. Made by\n\n    {command}\n\nIn spock:\n\n{spock}\n"""'
    return f"{doc}\n\n{imports}\n\n{classes.strip()}\n"


def _lines(subject: Subject, wanted: Wanted) -> Iterator[str]:
    if wanted.moves:
        yield f"defctrl DiptychSetPoint {subject.name}_moves Device {subject.trl}"
    for axis, move in enumerate(wanted.moves, 1):
        element = f"{subject.name}_{move.name}"
        yield f"defelem {element} {subject.name}_moves {axis}"
        yield from (f"{element}.{key} = {value!r}" for key, value in _move(move))
    yield f"defctrl DiptychReading {subject.name}_readings Device {subject.trl}"
    scalars = {spec.name for spec in subject.attributes() if not spec.datatype.shape}
    for axis, name in enumerate((name for name in wanted.read if name in scalars), 1):
        element = f"{subject.name}_{name}"
        yield f"defelem {element} {subject.name}_readings {axis}"
        yield f"{element}.Attribute = {name!r}"


def _move(move: Move) -> Iterator[tuple[str, object]]:
    yield from (("SetPoint", move.setpoint), ("Reading", move.readback))
    yield from (("Tolerance", move.tolerance), ("Settle", move.settle))
