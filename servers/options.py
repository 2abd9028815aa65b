"""Options that several commands have: whose facility, which state directory, which database."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from servers.facility import DEFAULT_STATE_DIR

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def option_group(*options: Callable[[CommandT], CommandT]) -> Callable[[CommandT], CommandT]:
    """Several options as one decorator."""

    def decorate(command: CommandT) -> CommandT:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


state_dir_option = partial(
    click.option,
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_STATE_DIR,
    show_default=True,
    help="Database, logs and files of the facility.",
)
port_offset_option = partial(
    click.option, "--port-offset", type=int, default=0, show_default=True, help="Added to every port."
)
tango_host_option = partial(
    click.option, "--tango-host", metavar="HOST:PORT", help="An existing Tango database instead of the facility's own."
)
facility_option = click.option(
    "--facility", "facility_path", type=click.Path(path_type=Path), help="The facility's JSON file."
)
# A client also finds its facility through what `diptych env` exported; a server never listens to the shell.
client_options = option_group(state_dir_option(envvar="DIPTYCH_STATE_DIR"), tango_host_option())
server_options = option_group(facility_option, state_dir_option(), port_offset_option(), tango_host_option())
