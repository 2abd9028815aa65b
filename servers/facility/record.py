"""What runs on a state directory: the supervisor writes it, every other command reads it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from servers.facility import lock
from servers.facility.ports import Ports

if TYPE_CHECKING:
    from servers.facility.facility_file import Facility

FILE_NAME: Final = "facility.json"


@dataclass(frozen=True)
class Running:
    """A facility that runs now.

    Attributes:
        pid: of the supervisor.
        facility: path of its dsconfig file.
        tango_host: HOST:PORT of its database.
        ports: service -> port, already shifted.
        offset: by how much they are shifted.
        own_database: whether the database is the facility's own.
        processes: process -> pid.
        starts: process -> how often it was started, also of those that do not run now.
        ready: whether READY was printed.
        kept_by_others: whether systemd or Tango's Starter keep the processes running.
        ca_servers, pva_servers: HOST:PORT of the EPICS servers that clients ask.
    """

    pid: int
    facility: str
    tango_host: str
    ports: Mapping[str, int]
    offset: int = 0
    own_database: bool = True
    processes: Mapping[str, int] = field(default_factory=dict)
    starts: Mapping[str, int] = field(default_factory=dict)
    ready: bool = False
    kept_by_others: bool = False
    ca_servers: Sequence[str] = ()
    pva_servers: Sequence[str] = ()

    @classmethod
    def of(cls, facility: Facility, tango_host: str, **now: Any) -> Running:
        """The record of this process's facility; ``now``: the attributes that change while it runs."""
        return cls(
            pid=os.getpid(),
            facility=str(facility.path),
            tango_host=tango_host,
            ports={service: facility.ports[service] for service in facility.ports.table},
            offset=facility.ports.offset,
            ca_servers=facility.ports.ca_servers,
            pva_servers=facility.ports.pva_servers,
            **now,
        )

    @property
    def port_table(self) -> Ports:
        return Ports(table=dict(self.ports), ca_servers=tuple(self.ca_servers), pva_servers=tuple(self.pva_servers))

    def write(self, state_dir: Path) -> None:
        """Replace the record in one step, so that a reader never sees half of it."""
        draft = state_dir / f"{FILE_NAME}.new"
        draft.write_text(json.dumps(asdict(self), indent=1))
        os.replace(draft, state_dir / FILE_NAME)


def running(state_dir: Path) -> Running | None:
    """The facility that runs on a state directory; None when none does, whatever a killed one left behind."""
    if not lock.is_held(state_dir):
        return None
    try:
        return Running(**json.loads((state_dir / FILE_NAME).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None  # it is starting, or is of another version


def forget(state_dir: Path) -> None:
    (state_dir / FILE_NAME).unlink(missing_ok=True)
