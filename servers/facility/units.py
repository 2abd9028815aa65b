"""The units by which systemd keeps a facility running, instead of `diptych up`.

One target for all, one service for each process, and one (`diptych attend`) that registers the facility before any
server starts. Each process writes the log that it has under `diptych up`. Formats: systemd.unit(5), systemd.service(5).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from servers.facility.attendant import all_programs
from servers.facility.facility_file import Facility, full_server_name
from servers.facility.log_file import LogFile
from servers.facility.process import PYTHON, Program

# An instrument's server is tried again for ever, as under `diptych up`: it may be off for the night.
_SERVICE: Final = """\
[Unit]
Description={description}
PartOf={target}
After={after}
StartLimitIntervalSec=0

[Service]
Type={type}
ExecStart={command}
WorkingDirectory={folder}
{account}Environment={environment}
StandardOutput=append:{log}
StandardError=inherit
Restart=always
RestartSec=0.5
TimeoutStopSec=10
KillMode=mixed
NoNewPrivileges=yes
"""

_TARGET: Final = """\
[Unit]
Description=Facility {name}
Wants={services}
After=network-online.target

[Install]
WantedBy=multi-user.target
"""


class Units:
    """The units of one facility.

    Args:
        tango_host: HOST:PORT of an existing database; None: the embedded one is a service, too.
        account: who runs the services; empty: whoever systemd is run by.
        starter_folder: where Tango's Starter has the Tango servers, which it runs then.
    """

    def __init__(
        self, facility: Facility, tango_host: str | None, *, account: str = "", starter_folder: Path | None = None
    ) -> None:
        self._facility = facility
        self._account = account
        self._starter = [] if starter_folder is None else ["--starter", str(starter_folder)]
        self._own_database = tango_host is None
        self._tango_host = tango_host or facility.ports.endpoint("tango")
        self.target = f"diptych-{facility.name}.target"
        self.attendant = f"diptych-{facility.name}.service"
        found = all_programs(facility, self._tango_host, own_database=self._own_database)
        servers = {full_server_name(server) for server in facility.start_order}
        self.programs = [each for each in found if starter_folder is None or full_server_name(each.name) not in servers]

    def texts(self) -> Iterator[tuple[str, str]]:
        """File name and text of each unit."""
        place = ["--state-dir", str(self._facility.state_dir), "--port-offset", str(self._facility.ports.offset)]
        database = [] if self._own_database else ["--tango-host", self._tango_host]
        words = [*PYTHON, "servers.main", "attend", str(self._facility.path), *place, *database, *self._starter]
        # The embedded database is what the attendant waits for; everything else waits for the attendant.
        yield self.attendant, self._service(Program("facility", words), "notify", "network-online.target")
        for program in self.programs:
            after = "network-online.target" if program.name == "database" else self.attendant
            yield self.name_of(program), self._service(program, "simple", after)
        services = [self.attendant, *(self.name_of(program) for program in self.programs)]
        yield self.target, _TARGET.format(name=_plain(self._facility.name), services=" ".join(services))

    def name_of(self, program: Program) -> str:
        """``diptych-lab-cryocon.service``"""
        return f"diptych-{self._facility.name}-{program.name.replace('/', '.')}.service"

    def _service(self, program: Program, kind: str, after: str) -> str:
        variables = ["PYTHONUNBUFFERED=1", f"TANGO_HOST={self._tango_host}"]
        return _SERVICE.format(
            description=_plain(f"{program.name} of facility {self._facility.name}"),
            target=self.target,
            after=after,
            type=kind,
            command=command_line(program.command),
            folder=_plain(str(self._facility.state_dir)),
            account=f"User={self._account}\n" if self._account else "",
            environment=" ".join(map(_quoted, variables)),
            log=_plain(str(LogFile.of(self._facility.state_dir, program.name).path)),
        )


def command_line(words: Iterable[str]) -> str:
    """A command as systemd reads it: no word is split, and neither % nor $ mean anything."""
    return " ".join(_quoted(word.replace("$", "$$")) for word in words)


def _quoted(word: str) -> str:
    text = _plain(word)
    if word and not set(word) & set(" \t\n\"'\\;"):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'


def _plain(text: str) -> str:
    """% begins what systemd puts in."""
    return text.replace("%", "%%")
