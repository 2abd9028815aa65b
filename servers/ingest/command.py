"""``diptych correlator``, ``run_proc_server`` and ``kill_proc_server``; imported when they are asked for.

Their options are those of the properties of the correlator image server, and to import these takes a moment.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import click

from servers.command_group import OneLineCommand, OneLineErrors

HELP: Final = {"help_option_names": ["-h", "--help"]}
NAME: Final = "run_proc_server"
STOP_S: Final = 10.0
COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "serve": "servers.ingest.command_serve:serve",
        "send": "servers.ingest.command_files:send",
        "search": "servers.ingest.command_files:search",
        "train": "servers.ingest.command_files:train",
    }
)


class _Later(OneLineErrors):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        found: click.Command = getattr(importlib.import_module(module), name)
        return found


@click.group(cls=_Later, context_settings=HELP)
def correlator() -> None:
    """A correlator image server: gulps of sub-band images, searched for transients."""


def run_proc_server() -> None:
    """Serve in the background, as ``diptych correlator serve --background``."""
    from servers.ingest.command_serve import serve

    serve.main(["--background", *sys.argv[1:]], prog_name=NAME)


@click.command(cls=OneLineCommand, context_settings=HELP)
@click.option("--state-dir", type=click.Path(path_type=Path, file_okay=False), default=Path("var"), show_default=True)
def kill_proc_server(state_dir: Path) -> None:
    """End the server that run_proc_server started."""
    from servers.facility import background

    if not background.stop(state_dir.absolute(), NAME, STOP_S):
        raise click.ClickException(f"no {NAME} runs on {state_dir}")
    click.echo(f"{NAME} is stopped")
