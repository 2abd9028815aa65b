"""``diptych saxs``: the command lines of a Saxsdog network, each also by its old name.

Everything heavy is imported by the command that needs it.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from servers.command_group import OneLineCommand, OneLineErrors
from servers.leash.local_command import convert, integrate
from servers.leash.merge_command import merge

if TYPE_CHECKING:
    from servers.leash.client import LeashClient
    from servers.leash.curve_plot import View
    from servers.leash.network_file import NetworkEntry

HELP: Final = {"help_option_names": ["-h", "--help"]}
FILE: Final = click.Path(path_type=Path, dir_okay=False)
FOLDER: Final = click.Path(path_type=Path, file_okay=False)
SCALE: Final = click.Choice(["linear", "log", "symlog"])

number_option = click.option(
    "-N", "--serverno", type=click.IntRange(0), default=0, show_default=True, help="Which entry of the network file."
)
network_option = click.option(
    "--network", "network_path", type=FILE, metavar="FILE", help="In the place of ~/.saxsdognetwork."
)


@click.group(cls=OneLineErrors, context_settings=HELP)
def saxs() -> None:
    """A SAXS detector by the command lines of a Saxsdog network."""


saxs.add_command(convert)
saxs.add_command(integrate)
saxs.add_command(merge)


# The network ----------------------------------------------------------------------------------------------------------


@saxs.command(cls=OneLineCommand, context_settings=HELP)
@click.option("-n", "--new", "is_new", is_flag=True, help="Replace the whole file.")
@click.option("--name", metavar="NAME", help="Of the queue; that of an entry of the file changes it.")
@click.option("--server", metavar="URL", help="Where clients send their commands to; asked for otherwise.")
@click.option("--feeder", metavar="URL", help="Where complete images are announced; asked for otherwise.")
@click.option("--new-secret", is_flag=True, help="A new secret for an entry that is changed.")
@click.option("--curve", metavar="URL", help="Make keys for an encrypted server, too, at this address.")
@network_option
def netconf(network_path: Path | None, **asked: Any) -> None:
    """Write the network file: servers and their secrets. Copy it to the hosts of all clients."""
    from servers.leash import network_setup

    for line in network_setup.set_up(network_path, click.prompt, **asked):
        click.echo(line)


def network_entry(path: Path | None, number: int) -> NetworkEntry:
    from servers.leash.network_file import entry_of, read_network

    logging.basicConfig(format="warning: %(message)s")
    return entry_of(read_network(path), number)


# The server -----------------------------------------------------------------------------------------------------------


@saxs.command(cls=OneLineCommand, context_settings=HELP)
@click.argument("base", type=FOLDER, default=Path())
@click.option("-p", "--port", type=click.IntRange(1, 65535), help="In the place of the port of the Server URL.")
@click.option("-f", "--feeder", metavar="URL", help="In the place of the Feeder URL.")
@click.option("--bind", default="127.0.0.1", show_default=True, help="Own address to listen on; 0.0.0.0: all.")
@click.option("-t", "--threads", type=click.IntRange(1, 64), help="Worker processes at most [one for each processor].")
@click.option("-w", "--watch/--no-watch", default=True, show_default=True, help="Whether queues watch their folders.")
@click.option("-R", "--relpath", "relative", default="../work", show_default=True, help="Results, seen from images.")
@click.option("-o", "--out", "output", type=FOLDER, help="The folder of all results instead.")
@click.option("--format", "form", type=click.Choice(["chi", "hdf5", "both", "none"]), default="chi", show_default=True)
@click.option("--state-dir", type=FOLDER, help="Where queues are kept over a restart [.diptych in BASE].")
@click.option("-d", "--daemon", is_flag=True, help="In the background.")
@network_option
@click.pass_context
def server(ctx: click.Context, /, network_path: Path | None, daemon: bool, **options: Any) -> None:
    """Serve the queues of the network file for the images below BASE, until Ctrl-C."""
    from servers.leash import server as queues

    if daemon:
        click.echo(queues.in_background(ctx.params))
        return
    ctx.exit(queues.run(network=network_path, **options))


# The client -----------------------------------------------------------------------------------------------------------


class OptionsAnywhere(OneLineErrors):
    """A group whose options may also stand behind the command, as scripts have them: ``saxsleash stat -N 1``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        names = {name for option in self.params for name in option.opts} - {"--help"}
        first, rest, words = [], [], iter(args)
        for word in words:
            if word == "--":
                rest += [word, *words]
            elif word in names:
                first += [word, *itertools.islice(words, 1)]
            elif word.partition("=")[0] in names or (word[:2] in names and word[1] != "-"):
                first.append(word)
            else:
                rest.append(word)
        return super().parse_args(ctx, first + rest)


@saxs.group(cls=OptionsAnywhere, context_settings=HELP)
@click.option("-S", "--server", metavar="URL", help="Another server, with the secret of the entry.")
@number_option
@network_option
@click.option("--timeout", "seconds", type=click.FloatRange(0.1), default=100.0, show_default=True, help="s")
@click.pass_context
def leash(ctx: click.Context, server: str | None, serverno: int, network_path: Path | None, seconds: float) -> None:
    """Command the server of a SAXS detector; prints its reply as JSON."""

    def connect() -> LeashClient:
        from servers.leash.client import LeashClient
        from servers.leash.curve_keys import read_client_keys
        from servers.leash.endpoint import Endpoint
        from servers.leash.network_file import network_file

        entry = network_entry(network_path, serverno)
        if server is not None:
            return LeashClient(Endpoint.parse(server), entry.secret, None, seconds)
        return LeashClient(
            entry.server, entry.secret, read_client_keys(entry.name, network_path or network_file()), seconds
        )

    ctx.obj = connect


def show(ctx: click.Context, command: str, *content: Any, **options: Any) -> None:
    """Send a command and print the reply; an error of it also as a line, with exit code 1."""
    import json

    from servers.leash.client import require_done

    reply = ctx.obj().ask(command, *content, **options)
    click.echo(json.dumps(reply, indent=4))
    require_done(reply)


def simple(name: str, wire: str, text: str) -> None:
    """A command without arguments."""

    @leash.command(name, help=text)
    @click.pass_context
    def run(ctx: click.Context) -> None:
        show(ctx, wire)


simple("abort", "abort", "End the queue; what waits is dropped.")
simple("close", "close", "Take no more images; what waits is still done.")
simple("get", "get", "The calibration of the queue and its masks.")
simple("plotdata", "plot", "The curves of the newest image.")
simple("readdir", "readdir", "Begin anew with all images that are there.")
simple("stat", "stat", "How the queue stands.")
simple("fileslist", "fileslist", "The results of the queue by kind.")
simple("getmergedata", "getmergedata", "What the last merge gave.")
simple("getmergestat", "mergestat", "What the merge has said since the last time.")
simple("mergestat", "mergestat", "As getmergestat.")


@leash.command()
@click.argument("calibration", type=FILE)
@click.argument("mask", type=FILE, required=False)
@click.argument("directory", required=False)
@click.pass_context
def new(ctx: click.Context, calibration: Path, mask: Path | None, directory: str | None) -> None:
    """Begin a queue with a calibration.

    MASK is used in the place of the first mask that the calibration names, DIRECTORY (below the server's base folder)
    in the place of its folder.
    """
    from servers.leash.queue_files import queue_files

    document, masks = queue_files(calibration, mask, directory)
    show(ctx, "new", {"calibration": document, "data": {}}, masks)


@leash.command()
@click.argument("directory", default="")
@click.pass_context
def listdir(ctx: click.Context, directory: str) -> None:
    """What is in a folder below the server's base folder."""
    from servers.leash.queue_files import components

    show(ctx, "listdir", {"directory": components(directory)})


@leash.command()
@click.argument("configuration", type=FILE)
@click.pass_context
def mergedata(ctx: click.Context, configuration: Path) -> None:
    """Merge images with logs, as a configuration says."""
    from servers.leash.queue_files import merge_files

    document, logs = merge_files(configuration)
    show(ctx, "mergedata", {"mergeconf": document}, logs, encoding="utf-8")


def view_options(y_scale: str, clip: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """What is shown of curves."""
    options = (
        click.option(
            "-s", "--skip", type=click.IntRange(0), default=0, show_default=True, help="Points left out first."
        ),
        click.option("-k", "--clip", type=click.IntRange(0), default=clip, show_default=True, help="... and last."),
        click.option("-x", "--xaxsistype", "--xaxistype", "x_scale", type=SCALE, default="linear", show_default=True),
        click.option("-y", "--yaxsistype", "--yaxistype", "y_scale", type=SCALE, default=y_scale, show_default=True),
    )

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def view_of(skip: int, clip: int, x_scale: Any, y_scale: Any) -> View:
    from servers.leash.curve_plot import View

    return View(skip, clip, x_scale, y_scale)


@leash.command("plot")
@view_options("symlog", 1)
@click.option("-o", "--out", "output", type=FILE, help="One picture to a file (svg, pdf, png); no window.")
@click.option("--json", "as_json", is_flag=True, help="The reply in the place of a picture, as without a display.")
@click.pass_context
def live(ctx: click.Context, /, output: Path | None, as_json: bool, **view: Any) -> None:
    """Show the curves of the newest image, live."""
    from servers.leash.client import require_done
    from servers.leash.curve_plot import has_display, plot_live

    if as_json or not (output or has_display()):
        show(ctx, "plot")
        return
    client = ctx.obj()
    plot_live(lambda: dict(require_done(client.ask("plot"))["data"]), view_of(**view), output)


# The rest -------------------------------------------------------------------------------------------------------------


@saxs.command(cls=OneLineCommand, context_settings=HELP)
@click.argument("folder", type=FOLDER, required=False)
@click.option("-d", "--dir", "same_folder", type=FOLDER, help="As the argument [.].")
@click.option("-s", "--sdir", hidden=True, help="Taken, and without a meaning, as it always was.")
@click.option("-p", "--port", type=click.IntRange(0, 65535), help="In the place of the port of the Feeder URL.")
@click.option("--bind", default="127.0.0.1", show_default=True, help="Own address to listen on; 0.0.0.0: all.")
@click.option(
    "--settle", "settled_s", type=click.FloatRange(0.0), default=0.3, show_default=True, help="s without a change."
)
@click.option("--existing", is_flag=True, help="Announce the images that are there already, too.")
@click.option("--poll", "polls", is_flag=True, help="Look again and again: for file systems that tell nothing.")
@number_option
@network_option
def feeder(
    folder: Path | None,
    same_folder: Path | None,
    sdir: str | None,
    port: int | None,
    bind: str,
    serverno: int,
    network_path: Path | None,
    **options: Any,
) -> None:
    """Announce the images of a folder as they become complete, until Ctrl-C."""
    from servers.leash import feeder as announcer
    from servers.leash.endpoint import Endpoint

    url = Endpoint(bind, port) if port is not None else network_entry(network_path, serverno).feeder
    announcer.run(folder or same_folder or Path(), url, bind, **options)


@saxs.command("plot", cls=OneLineCommand, context_settings=HELP)
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("-o", "--out", "output", type=FILE, help="A file (svg, pdf, png) in the place of a window.")
@click.option("-c", "--compare", is_flag=True, help="The differences to the first one, too, also in percent.")
@click.option("-l", "--log", "is_log", is_flag=True, help="As --yaxistype log.")
@click.option("-n", "--no-legend", is_flag=True)
@click.option("-t", "--title", default="")
@view_options("linear", 1)
def plot_curves(
    files: tuple[Path, ...], output: Path | None, is_log: bool, no_legend: bool, compare: bool, title: str, **view: Any
) -> None:
    """Plot curves of .chi files."""
    from servers.leash.curve_plot import FileCurve, plot_files

    if is_log:
        view["y_scale"] = "log"
    curves = [FileCurve.read(file) for file in files]
    plot_files(curves, view_of(**view), output, compare=compare, legend=not no_legend, title=title)


@saxs.command("open", cls=OneLineCommand, context_settings=HELP)
@click.argument("calibration", type=FILE, required=False)
@click.option("--url", help="The page; otherwise that of the facility that runs.")
@click.option("-S", "--server", hidden=True)
@click.option("-N", "--serverno", hidden=True)
@click.option("--state-dir", type=FOLDER, envvar="DIPTYCH_STATE_DIR", help="Of the facility.")
def open_panel(calibration: Path | None, url: str | None, state_dir: Path | None, **ignored: Any) -> None:
    """Open the panel of the detector in a browser.

    It takes the options of the old leash. A CALIBRATION is loaded into the editor; no queue is begun with it.
    """
    from servers.leash import panel

    for line in panel.open_in_browser(url, state_dir, calibration):
        click.echo(line)
