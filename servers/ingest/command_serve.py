"""``diptych correlator serve``: a correlator image server alone, with the options of the process server."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import click

from devices.correlator.properties import CorrelatorProperties
from servers.command_group import OneLineCommand
from servers.ingest.command import HELP

#: Properties whose option is not their name: as the process server spells it.
SPELT: Final = MappingProxyType(
    {
        "snr_thresh": "SNRthresh",
        "max_processes": "maxProcesses",
        "thread_dm": "threadDM",
        "dm_batches": "DMbatches",
        "pytorch_dedispersion": "PyTorchDedispersion",
    }
)
#: Properties that only a facility gives.
NOT_HERE: Final = frozenset({"pv_prefix", "executor"})
FOLDER: Final = click.Path(path_type=Path, file_okay=False)


def property_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """One option for each property of the correlator image server."""
    hints = typing.get_type_hints(CorrelatorProperties)
    for field in reversed(dataclasses.fields(CorrelatorProperties)):
        if field.name in NOT_HERE:
            continue
        name, hint = SPELT.get(field.name, field.name), hints[field.name]
        words: dict[str, Any] = {"help": field.metadata["doc"] + ".", "show_default": True, "default": field.default}
        spellings = [f"--{name}"]
        if hint is bool:
            spellings = [f"--{name}/--no-{name}"] + (["-T"] if name == "testh23" else [])
        elif typing.get_origin(hint) is tuple:
            words |= {"multiple": True, "type": typing.get_args(hint)[0], "help": words["help"] + " Repeatable."}
        else:
            words["type"] = hint
        command = click.option(*spellings, field.name, **words)(command)
    return command


def was_given(ctx: click.Context, name: str) -> bool:
    """Whether an option stands on the command line."""
    return ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT


def texts(properties: Mapping[str, Any]) -> dict[str, list[str]]:
    """Properties as a Tango database keeps them."""
    return {
        name: [str(each) for each in value] if isinstance(value, tuple) else [str(value)]
        for name, value in properties.items()
    }


def given_properties(properties: Mapping[str, Any]) -> CorrelatorProperties:
    """The properties of options; raises ConfigurationError."""
    return CorrelatorProperties.parse(texts(properties), "correlator")


@click.command(cls=OneLineCommand, context_settings=HELP)
@property_options
@click.option("--bind", default="127.0.0.1", show_default=True, help="Own address to listen on; 0.0.0.0: all.")
@click.option("--addresses", default="", metavar="IP=SUBBAND...", help="Nodes by address, with blanks between.")
@click.option("--multiport", is_flag=True, help="One port for each sub-band, from --port up.")
@click.option("--token-file", type=click.Path(path_type=Path, dir_okay=False), help="Nodes have to say its first line.")
@click.option("--tango-port", type=click.IntRange(0, 65535), default=0, help="Of the device; 0: any.")
@click.option(
    "--state-dir", type=FOLDER, default=Path("var"), show_default=True, help="Logs; results without --results."
)
@click.option("-d", "--background", is_flag=True, help="Return; the log is process_log.txt in the state directory.")
@click.pass_context
def serve(ctx: click.Context, /, background: bool, **options: Any) -> None:
    """Take, assemble and search what correlator nodes send, until Ctrl-C; no Tango database is needed."""
    from servers.ingest import server

    given = {name: value for name, value in options.items() if was_given(ctx, name)}
    names = {field.name for field in dataclasses.fields(CorrelatorProperties)}
    properties = {name: value for name, value in given.items() if name in names}
    others = {name: value for name, value in options.items() if name not in names}
    given_properties(properties)  # what is wrong is said here, before anything runs in the background
    if background:
        click.echo(server.in_background(ctx.command, given, Path(options["state_dir"]).absolute()))
        return
    ctx.exit(server.run(properties, **others))
