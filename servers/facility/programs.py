"""The command lines of a facility's processes, and the notes by which one of them is held back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from servers.facility import record
from servers.facility.address import LOOPBACK
from servers.facility.facility_file import Facility, short_server_name
from servers.facility.process import PYTHON, Program

_DIPTYCH = (*PYTHON, "servers.main")
TANGO_SERVERS: Final = "/usr/lib/tango"  # where Debian has Tango's own servers


def database(facility: Facility) -> Program:
    """The embedded Tango database."""
    return Program(
        "database",
        [
            *PYTHON,
            "servers.facility.database",
            *("--bind", facility.ports.bind),
            *("--port", str(facility.ports["tango"])),
            *("--state-dir", str(facility.state_dir)),
        ],
    )


def guard(facility: Facility) -> Program:
    """What ends the others when the supervisor is killed."""
    return Program("guard", [*PYTHON, "servers.facility.guard", "--record", str(facility.state_dir / record.FILE_NAME)])


def simulators(facility: Facility) -> Iterator[Program]:
    """Those of the file; they need no database, and no device that is sound."""
    for simulator in facility.simulators.values():
        options = [word for key, value in simulator.options.items() for word in ("--option", f"{key}={_text(value)}")]
        yield Program(
            f"sim.{simulator.name}", [*_DIPTYCH, "sim", simulator.kind, "--port", str(simulator.port), *options]
        )


def all_but_database(facility: Facility, tango_host: str) -> Iterator[Program]:
    """Simulators first, then the CA repeater, then the servers in their order, then the panels and the history."""
    yield from simulators(facility)
    yield from with_database(facility, tango_host)


def with_database(facility: Facility, tango_host: str) -> Iterator[Program]:
    """What is started once the database has the facility: the CA repeater, the servers, the panels, the history."""
    if facility.mirrors:
        port = str(facility.ports["ca_repeater"])
        yield Program("ca_repeater", [*PYTHON, "servers.facility.repeater", "--host", LOOPBACK, "--port", port])
    for server in facility.start_order:
        yield server_program(facility, server, tango_host)
    offset = ("--port-offset", str(facility.ports.offset))
    place = ("--facility", str(facility.path), "--state-dir", str(facility.state_dir), *offset)
    if facility.panels is not None:
        yield Program("web", [*_DIPTYCH, "web", *place])
    if facility.history is not None:
        yield Program("historian", [*_DIPTYCH, "historian", *place, "--tango-host", tango_host])


def server_program(facility: Facility, server: str, tango_host: str) -> Program:
    """One device server: ours, or what the facility file gives as its command."""
    name = short_server_name(server)
    if server in facility.programs:
        program, *arguments = facility.programs[server]
        return Program(name, [_found(program) or program, *arguments], ours=False)
    return Program(
        name,
        [
            *_DIPTYCH,
            *("mirror" if server in facility.mirrors else "serve", name),
            *("--facility", str(facility.path)),
            *("--state-dir", str(facility.state_dir)),
            *("--port-offset", str(facility.ports.offset)),
            *("--tango-host", tango_host),
        ],
    )


def missing(facility: Facility) -> list[str]:
    """One line for each program of the facility file that is not on this machine."""
    return [
        f"programs > {server}: {words[0]} is not installed here, neither in PATH nor in {TANGO_SERVERS} (Debian and "
        f"Ubuntu have Tango's own servers in packages named tango-...)"
        for server, words in facility.programs.items()
        if _found(words[0]) is None
    ]


def hold_back(state_dir: Path, name: str) -> None:
    """Ask the supervisor to stop a process and not to start it again."""
    note = _note(state_dir, name)
    note.parent.mkdir(parents=True, exist_ok=True)
    note.touch()


def release(state_dir: Path, name: str) -> None:
    """Take the request back."""
    _note(state_dir, name).unlink(missing_ok=True)


def is_held_back(state_dir: Path, name: str) -> bool:
    return _note(state_dir, name).exists()


def clear_holds(state_dir: Path) -> None:
    for note in (state_dir / "run").glob("*.stopped"):
        note.unlink(missing_ok=True)


def _note(state_dir: Path, name: str) -> Path:
    return state_dir / "run" / f"{name.replace('/', '.')}.stopped"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _found(program: str) -> str | None:
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", os.defpath), TANGO_SERVERS]))
