"""``diptych daq``: PFF files, and a client of DAQ nodes. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from servers.command_group import OneLineCommand, OneLineErrors

HELP: Final = {"help_option_names": ["-h", "--help"]}
FILE: Final = click.Path(path_type=Path, dir_okay=False)
FOLDER: Final = click.Path(path_type=Path, file_okay=False)
LEVELS: Final = ("debug", "info", "warning", "error", "critical")


class _ManyModules(OneLineCommand):
    """A command whose ``--module-ids`` takes all numbers that follow it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        found: list[str] = []
        takes = False
        for word in args:
            if word == "--module-ids":
                takes = True
            elif takes and word.isdecimal():
                found += ["--module-ids", word]
            else:
                takes = False
                found.append(word)
        return super().parse_args(ctx, found)


@click.group(cls=OneLineErrors, context_settings=HELP)
def daq() -> None:
    """A DAQ node of PANOSETI modules: its files, and its clients."""


# Files ----------------------------------------------------------------------------------------------------------------


@daq.command(cls=OneLineCommand, context_settings=HELP)
@click.argument("files", type=FILE, nargs=-1, required=True, metavar="FILE...")
def info(files: tuple[Path, ...]) -> None:
    """Say what PFF files hold: frames, times, rates, quabos, clocks that ran free."""
    from servers.daqdata import pff_commands

    for file in files:
        for line in pff_commands.info(file):
            click.echo(line)


@daq.command(cls=OneLineCommand, context_settings=HELP)
@click.argument("file", type=FILE)
@click.option("--frame", "first", type=int, default=0, show_default=True, help="The first; -1: the last.")
@click.option("-n", "--count", type=click.IntRange(1), help="At most so many.")
@click.option("--pixels", is_flag=True, help="With the images, as rows.")
def cat(file: Path, first: int, count: int | None, pixels: bool) -> None:
    """Print the frames of a PFF file, a JSON object each."""
    from servers.daqdata import pff_commands

    for line in pff_commands.cat(file, first, count, pixels=pixels):
        click.echo(line)


@daq.command(cls=OneLineCommand, context_settings=HELP)
@click.argument("file", type=FILE)
@click.argument("output", type=FILE)
def convert(file: Path, output: Path) -> None:
    """Write a PFF file as FITS (.fits) or HDF5 (.h5, .hdf5)."""
    from servers.daqdata import pff_commands

    click.echo(pff_commands.convert(file, output))


# The server -----------------------------------------------------------------------------------------------------------


@daq.command(cls=OneLineCommand, context_settings=HELP)
@click.option("--config", type=FILE, help="A daq_data_server_config.json.")
@click.option("--listen", default="127.0.0.1:50051", show_default=True, help="HOST:PORT; several with blanks between.")
@click.option(
    "--data-root",
    type=FOLDER,
    default=Path("/"),
    show_default=True,
    help="What the folders of clients are confined to.",
)
@click.option(
    "--no-recorder", "needs_recorder", is_flag=True, default=True, flag_value=False, help="Ask for no hashpipe."
)
@click.option("--udp", default="", metavar="HOST:PORT", help="Take the packets of quabos here.")
@click.option("--certificate", type=FILE, metavar="PEM", help="Encrypt, with --key.")
@click.option("--key", type=FILE, metavar="PEM")
@click.option("--client-authority", type=FILE, metavar="PEM", help="Clients need a certificate of it.")
@click.option("--token-file", type=FILE, help="Clients have to say its first line.")
@click.pass_context
def server(ctx: click.Context, /, **options: Any) -> None:
    """Serve DaqData alone on a DAQ node, until Ctrl-C; no Tango database is needed."""
    from servers.daqdata import server as daq_server

    ctx.exit(daq_server.run(**options))


# Clients --------------------------------------------------------------------------------------------------------------


@daq.command(cls=_ManyModules, context_settings=HELP)
@click.argument("daq_config", type=FILE)
@click.argument("net_config", type=FILE, required=False)
@click.option("--host", help="Of daq_config; all that answer without.")
@click.option("--port", type=click.IntRange(1, 65535), default=50051, show_default=True, help="Of hosts without one.")
@click.option("--ping", "pings", is_flag=True, help="Whether --host answers.")
@click.option("--list-hosts", is_flag=True, help="Which hosts answer.")
@click.option("--reflect-services", is_flag=True, help="What services and calls the nodes have.")
@click.option("--init", "init_config", type=FILE, metavar="CFG", help="Configure the nodes by a hp_io_config.json.")
@click.option("--init-sim", is_flag=True, help="Have the nodes simulate.")
@click.option("--plot-view", is_flag=True, help="Show the newest images of each module.")
@click.option("--plot-phdist", is_flag=True, help="Show how high pulses were in the last 5, 10 and 30 s.")
@click.option("--plot-speed", is_flag=True, help="Print images per second, each second.")
@click.option("--refresh-period", type=click.FloatRange(0.0), default=1.0, show_default=True, help="Of plots, s.")
@click.option("--module-ids", type=click.IntRange(0), multiple=True, metavar="N...", help="Only these modules.")
@click.option("--output", type=FILE, help="Plots go to this file, which is written anew at each refresh.")
@click.option("--seconds", type=click.FloatRange(0.0), help="End plots after so many; Ctrl-C otherwise.")
@click.option("--tls-ca", type=FILE, metavar="PEM", help="Encrypt, and trust this authority.")
@click.option("--token-file", type=FILE, help="Its first line is the token for nodes that want one.")
@click.option("--log-level", type=click.Choice(LEVELS), default="info", show_default=True)
def client(daq_config: Path, net_config: Path | None, **asked: Any) -> None:
    """Ask, configure and watch DAQ nodes; DAQ_CONFIG and NET_CONFIG are the observatory's JSON files."""
    from servers.daqdata.client_command import Asked, run_client

    run_client(daq_config, net_config, Asked(**asked))
