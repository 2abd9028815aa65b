"""Which facility and which Tango database a command means: what it was told, else what runs on the state directory.

A TANGO_HOST of the shell or of a tangorc is never taken: a put that reaches another site's magnet by accident is worse
than one more option to type.
"""

from __future__ import annotations

import shlex
import sysconfig
from pathlib import Path
from typing import Final

from devices.core.errors import NotConnectedError
from servers.facility import DEFAULT_STATE_DIR, record
from servers.facility.facility_file import Facility, read_facility

DEFAULT_FACILITY: Final = Path("dbconfig/demo.json")


def default_facility() -> Path:
    """``dbconfig/demo.json`` of this folder, of the checkout that is installed, or of the installed package."""
    checkout = Path(__file__).parents[2] / DEFAULT_FACILITY
    package = Path(sysconfig.get_path("data")) / "share" / "diptych" / DEFAULT_FACILITY
    found = [path for path in (DEFAULT_FACILITY, checkout, package) if path.exists()]
    return found[0] if found else DEFAULT_FACILITY


def words_for(command: str, state_dir: Path) -> str:
    """A `diptych` command to type, with its ``--state-dir`` where that is not the usual one."""
    usual = state_dir.absolute() == DEFAULT_STATE_DIR.absolute()
    return f"`diptych {command}`" if usual else f"`diptych {command} --state-dir {shlex.quote(str(state_dir))}`"


def database_of(state_dir: Path, tango_host: str | None) -> str:
    """HOST:PORT of the database that a command works with.

    Raises:
        NotConnectedError: none was named and no facility runs here.
    """
    if tango_host:
        return tango_host
    if running := record.running(state_dir):
        return running.tango_host
    raise NotConnectedError(
        f"no facility runs on {state_dir}; start one with `diptych up`, name its --state-dir, or name a database with "
        f"--tango-host"
    )


def facility_of(facility_path: Path | None, state_dir: Path, port_offset: int, *, to_run: bool = True) -> Facility:
    """The facility that a command works with: the named file, else the one that runs here, else the demo.

    Raises:
        ConfigurationError: its files are wrong.
    """
    running = record.running(state_dir)
    if running:
        path, offset = facility_path or Path(running.facility), port_offset or running.offset
    else:
        path, offset = facility_path or default_facility(), port_offset
    return read_facility(path, state_dir=state_dir, offset=offset, to_run=to_run)
