"""The options of ``diptych describe`` that make a file for a sequencer."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

OPTIONS = (
    click.option("--ophyd-async", "form", flag_value="ophyd_async", help="A Python file of ophyd-async devices."),
    click.option("--ophyd", "form", flag_value="ophyd", help="A Python file of ophyd devices."),
    click.option("--happi", "form", flag_value="happi", help="A happi database for such a file."),
    click.option("--sardana", "form", flag_value="sardana", help="A Python file of Sardana controllers."),
    click.option("--via", type=click.Choice(["ca", "pva", "tango"]), help="Protocol [pva; ophyd, happi: ca]."),
    click.option("--read", default="", metavar="NAME,...", help="Read at each point [numbers with a unit]."),
    click.option("--config", default="", metavar="NAME,...", help="Read once in a run."),
    click.option("--move", multiple=True, metavar="NAME=SETPOINT,READBACK,TOLERANCE,SECONDS", help="A move."),
    click.option("--trigger", default="", metavar="NAME,...", help="Operation to run, or readings that are awaited."),
    click.option("--writes", default="", metavar="NAME", help="The attribute that names the file of a trigger."),
    click.option("--module", default="devices", show_default=True, help="With --happi: import name of the classes."),
    click.option("--from-file", type=click.Path(path_type=Path), help="A facility's JSON file, which need not run."),
)


def sequencer_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """All of them, as one decorator."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def text(devices: Sequence[str], asked: dict[str, Any], *, state_dir: Path, tango_host: str | None) -> str:
    """The file that is asked for.

    Raises:
        BadValueError, UnknownNameError, NotAllowedError: it cannot be made of these devices.
    """
    from servers.sequencers import command
    from servers.sequencers.subject import Wanted, parse_move

    trigger, *together = _names(asked["trigger"]) or ("",)
    wanted = Wanted(
        read=_names(asked["read"]),
        config=_names(asked["config"]),
        moves=tuple(map(parse_move, asked["move"])),
        trigger=trigger,
        file=asked["writes"],
        together=tuple(together),
    )
    return command.generate(
        devices,
        asked["form"],
        asked["via"],
        wanted,
        asked["module"],
        asked["from_file"],
        state_dir=state_dir,
        tango_host=tango_host,
        command=shlex.join(["diptych", *sys.argv[1:]]),
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
