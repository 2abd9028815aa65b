"""Servers of a facility under Tango's Starter, which Astor shows and controls.

The Starter runs programs by name from its folder (property ``StartDsPath``), ``Diptych cryocon``: one script there
knows the command line of each server of the facility. Host and level of each are in the Tango database.
"""

from __future__ import annotations

import os
import pprint
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import tango

from devices.core.errors import ConfigurationError
from servers.facility import programs
from servers.facility.facility_file import SERVER_NAME, Facility
from servers.facility.log_file import LogFile
from servers.facility.process import PYTHON, Program
from servers.facility.tango_database import open_database

FIRST_LEVEL: Final = 1
LAST_LEVEL: Final = 2  # mirrors, which look for the devices of the others


_SCRIPT: Final = """\
#!{python}
# Servers of {facility}, for Tango's Starter: {program} INSTANCE. The Starter knows a Python server by the name of its
# script and the word behind it, so this runs them in its own process.
import os
import sys

COMMANDS = {commands}

if __name__ == "__main__":
    del sys.path[0]  # this folder
    instance = sys.argv[1] if len(sys.argv) > 1 else ""
    if instance not in COMMANDS:
        sys.exit(f"{{sys.argv[0]}}: no server {{instance or 'is named'}}; there are: {{', '.join(COMMANDS)}}")
    log, words = COMMANDS[instance]
    with open(log, "ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv[1:] = words
    from servers.main import main

    main()
"""


def launcher(facility: Facility, tango_host: str) -> str:
    """The text of the script: ``Diptych INSTANCE``."""
    commands = {}
    for program in _programs(facility, tango_host):
        log = LogFile.of(facility.state_dir, program.name).path
        commands[program.name] = (str(log), list(program.command[len(PYTHON) + 1 :]))
    return _SCRIPT.format(
        python=sys.executable, facility=facility.path, program=SERVER_NAME, commands=pprint.pformat(commands, width=110)
    )


def started(program: Program, folder: Path) -> Program:
    """A server of ours with the command line that it has when the Starter runs it."""
    return Program(program.name, [sys.executable, str(folder / SERVER_NAME), program.name])


def _programs(facility: Facility, tango_host: str) -> Iterator[Program]:
    for server in facility.start_order:
        if server not in facility.programs:
            yield programs.server_program(facility, server, tango_host)


def remove(facility: Facility, tango_host: str | None, folder: Path) -> Iterator[str]:
    """Take the script away, and out of the database who runs what; gives the lines to show.

    Raises:
        ConfigurationError: the script cannot be removed.
        NotConnectedError: the database does not answer.
    """
    script = folder / SERVER_NAME
    try:
        if script.exists():
            script.unlink()
            yield f"{script} removed"
    except OSError as error:
        raise ConfigurationError(str(script), [error.strerror or str(error)]) from error
    if tango_host is not None:
        database = open_database(tango_host)
        for server in facility.start_order:
            database.delete_server_info(server)
        yield f"{len(facility.start_order)} servers are no Starter's any more"


def install(facility: Facility, tango_host: str, folder: Path, host: str) -> Path:
    """Write the script into the Starter's folder, and who runs what into the database; returns the script.

    Args:
        host: name of the machine as its Starter has it, ``tango/admin/HOST``.

    Raises:
        ConfigurationError: the script cannot be written.
        NotConnectedError: the database does not answer.
    """
    database = open_database(tango_host)
    script = folder / SERVER_NAME
    draft = folder / f".{SERVER_NAME}.new"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft.write_text(launcher(facility, tango_host))
        draft.chmod(0o755)
        os.replace(draft, script)
    except OSError as error:
        raise ConfigurationError(str(script), [error.strerror or str(error)]) from error
    for server in facility.start_order:
        info = tango.DbServerInfo()
        info.name, info.host, info.mode = server, host, 1
        info.level = LAST_LEVEL if server in facility.mirrors else FIRST_LEVEL
        database.put_server_info(info)
    return script
