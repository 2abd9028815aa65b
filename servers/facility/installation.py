"""`diptych install-units`: the units of a facility in a folder of systemd, its servers with Tango's Starter."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from devices.core.errors import BadValueError, ConfigurationError
from servers.facility import starter as tango_starter
from servers.facility.facility_file import Facility
from servers.facility.log_file import LogFile
from servers.facility.rehearsal import rehearse
from servers.facility.units import Units


def install(
    facility: Facility,
    *,
    tango_host: str | None,
    folder: Path,
    account: str,
    starter: Path | None,
    starter_host: str,
    remove: bool,
) -> Iterator[str]:
    """Write (or remove) the units; gives the lines to show.

    Args:
        starter: the folder of Tango's Starter when that runs the Tango servers.
        starter_host: name of its machine; empty: this one.

    Raises:
        BadValueError: there is no such account, or a Starter without a database of the site.
        ConfigurationError: the facility's file is wrong, or a unit cannot be written.
        NotConnectedError: the database does not answer; only with a Starter.
    """
    host = tango_host or facility.tango_host
    starter = starter.absolute() if starter else None
    units = Units(facility, host, account=account, starter_folder=starter)
    if remove:
        yield from _remove(units, folder)
        if starter is not None:
            yield from tango_starter.remove(facility, host, starter)
        return
    rehearse(facility)
    if starter is not None and host is None:
        raise BadValueError("a Starter needs the database of the site: name it with --tango-host (docs/production.md)")
    _prepare(facility, account)
    texts = dict(units.texts())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for gone in _installed(units, folder) - texts.keys():
            (folder / gone).unlink()
            yield f"{folder / gone} removed"
        for name, text in texts.items():
            (folder / name).write_text(text)
            yield str(folder / name)
    except OSError as error:
        raise ConfigurationError(str(error.filename or folder), [error.strerror or str(error)]) from error
    if starter is not None and host is not None:
        machine = starter_host or socket.gethostname()
        yield f"{tango_starter.install(facility, host, starter, machine)} for tango/admin/{machine}"
    yield f"now: systemctl daemon-reload && systemctl enable --now {units.target}"


def _remove(units: Units, folder: Path) -> Iterator[str]:
    for name in sorted(_installed(units, folder)):
        (folder / name).unlink()
        yield f"{folder / name} removed"
    yield "now: systemctl daemon-reload"


def _installed(units: Units, folder: Path) -> set[str]:
    stem = units.target.removesuffix(".target")
    mine = f"PartOf={units.target}\n"
    found = {path.name for path in folder.glob(f"{stem}*.service") if mine in path.read_text()}
    return found | {path.name for path in folder.glob(units.target)}


def _prepare(facility: Facility, account: str) -> None:
    """Make the folders of state and logs, as systemd opens the logs before the services run."""
    try:
        owner = pwd.getpwnam(account) if account else None
    except KeyError:
        raise BadValueError(f"account {account}: there is none on this machine") from None
    folder = LogFile.of(facility.state_dir, "facility").path.parent
    if owner is not None and os.geteuid() == 0:
        for path in (facility.state_dir, folder):
            shutil.chown(path, owner.pw_uid, owner.pw_gid)
