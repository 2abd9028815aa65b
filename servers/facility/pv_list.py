"""The PVs of a facility: all of them, or those that an archiver should record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import tango

from devices.core.errors import NotConnectedError
from servers.facility.epics_servers import MIRROR_CLASS
from servers.facility.place import database_of
from servers.facility.tango_database import open_database

TIMEOUT_MILLISECONDS: Final = 10_000
ARCHIVE_PERIOD_SECONDS: Final = 1.0  # the archiver's bound: it is told of changes and never asks


@dataclass(frozen=True)
class ServedPv:
    """A PV as the mirror lists it; see ``PvEntry`` of the mirror."""

    name: str
    device: str
    part: str
    kind: str
    rank: int
    is_writable: bool
    level: str
    is_dangerous: bool = False
    reads_only: bool = False
    period: float | None = None
    unit: str = ""
    labels: tuple[str, ...] = ()

    @property
    def is_archived(self) -> bool:
        """Whether it tells something about the instrument in one number: no text, no array, no command."""
        return self.rank == 0 and self.kind != "string" and not self.part.endswith("()")

    def matches(self, pattern: str) -> bool:
        """Whether the PV or its device is meant; a pattern without ``*`` or ``?`` is a part of either name."""
        wanted = pattern.lower() if set(pattern) & set("*?[") else f"*{pattern.lower()}*"
        return fnmatchcase(self.name.lower(), wanted) or fnmatchcase(self.device.lower(), wanted)


def served_pvs(host: str) -> list[ServedPv]:
    """What all mirrors of a Tango database serve now, by name.

    Raises:
        NotConnectedError: no mirror of this database answers.
    """
    found: list[ServedPv] = []
    answered, silent = False, []
    for mirror in open_database(host).get_device_exported_for_class(MIRROR_CLASS):
        proxy = tango.DeviceProxy(f"tango://{host}/{mirror}")
        proxy.set_timeout_millis(TIMEOUT_MILLISECONDS)
        try:
            rows = json.loads(proxy.command_inout("list_pvs"))["pvs"]
            found += [_served_pv(row, host) for row in rows]
            answered = True
        except tango.DevFailed as failed:
            silent.append(f"{mirror} does not answer: {failed.args[0].reason}")
    if not answered:
        raise NotConnectedError("; ".join(silent) or f"no EPICS mirror runs at {host}")
    return sorted(found, key=lambda pv: pv.name)


def _served_pv(row: dict[str, Any], host: str) -> ServedPv:
    return ServedPv(**row | {"device": _short_name(row["device"], host), "labels": tuple(row["labels"])})


def _short_name(device: str, host: str) -> str:
    """``a/b/c`` of ``tango://HOST:PORT/a/b/c``, as people write it; a device of another host keeps its whole name."""
    own = f"tango://{host}/"
    return device[len(own) :] if device.lower().startswith(own.lower()) else device


def list_pvs(pattern: str, *, state_dir: Path, tango_host: str | None) -> Iterator[str]:
    """The names of the PVs that are served now."""
    for pv in served_pvs(database_of(state_dir, tango_host)):
        if pv.matches(pattern):
            yield pv.name


def archive_list(pattern: str, *, as_json: bool, state_dir: Path, tango_host: str | None) -> Iterator[str]:
    """The PVs that an archiver should record: names, or what the EPICS Archiver Appliance's ``archivePV`` takes.

    Args:
        as_json: one JSON array of objects ``pv``, ``samplingmethod``, ``samplingperiod``.
    """
    wanted = [
        pv.name for pv in served_pvs(database_of(state_dir, tango_host)) if pv.matches(pattern) and pv.is_archived
    ]
    if not as_json:
        yield from wanted
        return
    rows = [{"pv": pv, "samplingmethod": "MONITOR", "samplingperiod": ARCHIVE_PERIOD_SECONDS} for pv in wanted]
    yield json.dumps(rows, indent=1)
