"""What stands at the end of each command's --help: examples, exit status, the page of the documentation.

Python, and not a data file, since `diptych --help` has to be quick.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import click


@dataclass(frozen=True)
class HelpPage:
    """What a --help ends with.

    Attributes:
        examples: command lines without the name of the program and the command.
        page: of the documentation, in ``docs/``.
        status: what other exit codes mean than 0 (all went well) and 1 (an error, which stands on stderr).
    """

    examples: Sequence[str]
    page: str
    status: str = ""


HELP: Final[Mapping[str, HelpPage]] = {
    "attend": HelpPage(("lab.json --state-dir /srv/lab --tango-host db.site.org:10000",), "production.md"),
    "automl": HelpPage(("", "--port 9010"), "loop-detection.md"),
    "backup": HelpPage(("lab.json /backups/lab-2026-11-22.tar.gz",), "production.md"),
    "call": HelpPage(
        ("cryo/cryocon/1/control_off", "cryo/cryocon/1/beep 3", "cryo/cryocon/1/auto_tune loop=1 timeout=300 --wait"),
        "user-guide.md",
    ),
    "correlator": HelpPage(("serve --help",), "correlator.md"),
    "daq": HelpPage(("info night.dp_ph256.pff",), "daq-files.md"),
    "describe": HelpPage(
        (
            "cryo/cryocon/1",
            "cryo/cryocon/1 --json",
            "cryo/cryocon/1 --ophyd-async --move temperature=setpoint_1,temperature_a,1.0,1.0",
        ),
        "sequencers.md",
    ),
    "dhs": HelpPage(("BL-831 deicer",), "dcss.md"),
    "doctor": HelpPage(("", "--tango-host db.site.org:10000"), "user-guide.md", "1 when something is wrong"),
    "env": HelpPage(("", "--state-dir /srv/lab"), "user-guide.md"),
    "get": HelpPage(
        ("cryo/cryocon/1/temperature_a", "cryo/cryocon/1/State cryo/cryocon/1/Status"),
        "user-guide.md",
        "1 also when a value is INVALID",
    ),
    "historian": HelpPage(("--facility lab.json --state-dir /srv/lab",), "history.md"),
    "history": HelpPage(
        ("", 'CRYO1:TemperatureA --from "2 h ago"', "CRYO1:TemperatureA --points 500 --parquet --output night.parquet"),
        "history.md",
    ),
    "install-units": HelpPage(
        (
            "lab.json --state-dir /srv/lab --account lab",
            "lab.json --tango-host localhost:10000 --state-dir /srv/lab --starter /srv/starter",
            "lab.json --state-dir /srv/lab --remove",
        ),
        "production.md",
    ),
    "log": HelpPage(
        ("--follow", "--server cryocon --level WARNING --since 1h", '--writes --pv "CRYO1:*" --who anna'), "log.md"
    ),
    "ls": HelpPage(("", "cryo", "--pvs", "--archive --json"), "user-guide.md"),
    "migrate": HelpPage(
        ("lab.json --tango-host localhost:10000 --dry-run", "lab.json --tango-host localhost:10000"), "production.md"
    ),
    "mirror": HelpPage(("mirror --facility lab.json --tango-host db.site.org:10000",), "epics.md"),
    "monitor": HelpPage(("cryo/cryocon/1/temperature_a", "cryo/cryocon/1/temperature_a --count 10"), "user-guide.md"),
    "observe": HelpPage(("night.csv --dry-run", "night.csv"), "observing.md"),
    "panels": HelpPage(("", "lab.json --folder opi", "--check"), "panels.md", "1 when --check finds something"),
    "password": HelpPage(("anna users",), "logins.md"),
    "put": HelpPage(
        ("cryo/cryocon/1/setpoint_1 80", "cryo/cryocon/1/units_a K", "saxs/detector/1/geometry '[0.5, 1043, 981]'"),
        "user-guide.md",
    ),
    "register": HelpPage(
        ("lab.json --dry-run", "lab.json --restart", "lab.json --tango-host db.site.org:10000 --remove"),
        "production.md",
    ),
    "restore": HelpPage(("/backups/lab-2026-11-22.tar.gz /srv/diptych --state-dir /srv/lab",), "production.md"),
    "saxs": HelpPage(("leash stat", "integrate --help"), "saxs-leash.md"),
    "serve": HelpPage(("room --file lab.json", "cryocon --background"), "user-guide.md"),
    "shell": HelpPage(("--mock", "-c 'exposure.expose(2.0)'"), "ccd-azcam.md"),
    "sim": HelpPage(("cryocon --port 5000 --option model=22C --option speed=10",), "user-guide.md"),
    "stop": HelpPage(("cryocon",), "user-guide.md"),
    "token": HelpPage(("wall tokens",), "logins.md"),
    "up": HelpPage(("", "lab.json --state-dir /srv/lab", "dbconfig/saxs.json --port-offset 100"), "user-guide.md"),
    "web": HelpPage(("--facility lab.json --state-dir /srv/lab",), "panels.md"),
}


def explain(program: click.Group) -> None:
    """Give each command of a program its help page."""
    for name, command in program.commands.items():
        if name in HELP:
            command.epilog = "\n\n".join(_paragraphs(name, HELP[name]))


def _paragraphs(name: str, page: HelpPage) -> Iterator[str]:
    # \b keeps click from filling the lines of a paragraph.
    yield "\n".join(["\b", "Examples:", *(f"  diptych {name} {words}".rstrip() for words in page.examples)])
    more = f"; {page.status}" if page.status else ""
    yield "\n".join(
        ["\b", f"Exit status: 0, or 1 with a line `error: ...` on stderr for each thing that is wrong{more}."]
    )
    yield "\n".join(["\b", f"See also: docs/{page.page}, docs/reference/commands.md"])
