"""From the embedded database to that of a site, in one step that can be repeated."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from devices.core.errors import ConfigurationError, RefusedError
from servers import registry
from servers.facility.embedded import embedded_database
from servers.facility.facility_file import read_facility
from servers.facility.rehearsal import rehearse
from servers.facility.tango_database import open_database

_LINE: Final = re.compile(r"^tango_host:.*$", re.MULTILINE)


def migrate(file: Path, *, state_dir: Path, port_offset: int, tango_host: str, dry_run: bool) -> Iterator[str]:
    """Move a facility from the embedded database to the Tango database at HOST:PORT; gives the lines to show.

    What the file says is registered, what clients have set (bounds, limits, memorized values) is copied, both are
    read back, and the facility's file names the new database. The old one stays as it was.

    Raises:
        BusyError: the facility runs, here or with the new database; nothing was changed.
        ConfigurationError: the file is wrong, or cannot be changed at the end; the text has the line to add.
        NotConnectedError: a database does not answer.
        RefusedError: the new database does not take something, or gives back something else.
        UnknownNameError: the state directory has no embedded database.
    """
    facility = read_facility(file, state_dir=state_dir, offset=port_offset, to_run=False)
    rehearse(facility)
    with embedded_database(state_dir) as old_host:
        old, new = open_database(old_host), open_database(tango_host)
        registry.refuse_running(facility, tango_host, "moved")
        changes = [*registry.differences(facility, new), *registry.client_settings(facility, old, new)]
        yield from map(str, changes)
        if dry_run:
            yield f"{len(changes)} changes, none made (dry run)"
            return
        registry.apply(changes, new)
        left = [*registry.differences(facility, new), *registry.client_settings(facility, old, new)]
        if left:
            raise RefusedError(f"{tango_host} did not keep {len(left)} of {len(changes)} changes, first: {left[0]}")
    yield f"{len(changes)} changes made in {tango_host}, and read back"
    extra = file.with_suffix(".facility.yaml")
    set_tango_host(extra, tango_host)
    yield f"{extra} names {tango_host} now: `diptych up {file}` uses it; the old database stays in {state_dir}"


def set_tango_host(path: Path, tango_host: str) -> None:
    """Let a ``NAME.facility.yaml`` name a Tango database; all other lines stay as they are.

    Raises:
        ConfigurationError: it cannot be written.
    """
    line = f"tango_host: {tango_host}"
    try:
        text = path.read_text() if path.exists() else ""
        if _LINE.search(text):
            text = _LINE.sub(line, text, count=1)
        else:
            text += f"{'' if not text or text.endswith(chr(10)) else chr(10)}{line}\n"
        draft = path.with_name(f"{path.name}.new")
        draft.write_text(text)
        if path.exists():
            draft.chmod(path.stat().st_mode)
        os.replace(draft, path)
    except OSError as error:
        raise ConfigurationError(str(path), [f"{error.strerror}; add this line to it: {line}"]) from error
