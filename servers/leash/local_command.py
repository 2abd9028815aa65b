"""The commands of ``diptych saxs`` that need no server: calibrations of other programs, and whole folders of images."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from servers.command_group import OneLineCommand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers.leash.integration import Order, Tally

HELP: Final = {"help_option_names": ["-h", "--help"]}
FILE: Final = click.Path(path_type=Path, dir_okay=False)
FOLDER: Final = click.Path(path_type=Path, file_okay=False)
INTERRUPTED: Final = 130
#: Options of before that mean something else than integrating a folder, and what does that now.
ELSEWHERE: Final = {
    "plotmonitor": "-m: curves are shown live by `diptych saxs leash plot`, of a server",
    "profile": "-P: profiles are taken by py-spy or cProfile",
    "servermode": "-V: servers are started by `diptych saxs server`",
}


@click.command(cls=OneLineCommand, context_settings=HELP)
@click.argument("source", metavar="IN", type=FILE)
@click.argument("output", metavar="OUT", type=FILE)
@click.option("-t", "--template", type=FILE, help="A calibration with all that IN does not say [OUT, if it exists].")
@click.option("--poni", "as_poni", is_flag=True, help="Write a PONI file of pyFAI, as for OUT.poni.")
def convert(source: Path, output: Path, template: Path | None, as_poni: bool) -> None:
    """Make a calibration of that of another program.

    IN is a log of Fit2D, a geometry of Nika, a PONI file of pyFAI, the older flat JSON or a calibration, which its
    content tells. OUT is updated when it exists.
    """
    from devices.drivers.chi_file import write_whole
    from devices.drivers.poni_file import encode_poni, poni_of
    from devices.drivers.saxs_calibration import parse_calibration
    from devices.drivers.saxs_calibration_import import encode_calibration, import_calibration, read_template

    as_poni = as_poni or output.suffix == ".poni"
    if template is None and output.exists() and not as_poni:
        template = output
    document, notes = import_calibration(source, None if template is None else read_template(template))
    for note in notes:
        click.echo(f"warning: {note}", err=True)
    if as_poni:
        content = encode_poni(poni_of(parse_calibration(document, str(source), source.parent)))
    else:
        content = encode_calibration(document)
    write_whole(output, content.encode())
    click.echo(str(output))


@click.command(cls=OneLineCommand, context_settings=HELP)
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option(
    "-c", "--calibration", type=FILE, default=Path("cal.json"), show_default=True, help="Masks lie beside it."
)
@click.option("-t", "--threads", "workers", type=click.IntRange(1, 64), help="Worker processes [as the calibration].")
@click.option("--scheduler", default="", metavar="ADDRESS", help="Of Dask, whose workers do it: tcp://HOST:PORT.")
@click.option("--scheduler-tls", default="", metavar="DIR", help="With ca.pem, cert.pem and key.pem, for tls://.")
@click.option("-w", "--watch", "watches", is_flag=True, help="Go on with images that appear, until Ctrl-C.")
@click.option("-r", "--resume", "resumes", is_flag=True, help="Pass over images that have a text result.")
@click.option("-n", "--nowalk", is_flag=True, help="Only DIR itself, not the folders in it.")
@click.option("-R", "--relpath", "relative", default="../work", show_default=True, help="Results, seen from images.")
@click.option("-o", "--out", "output", type=FOLDER, help="The folder of all results instead.")
@click.option("--format", "form", type=click.Choice(["chi", "hdf5", "both"]), default="chi", show_default=True)
@click.option("-s", "--svg", is_flag=True, help="A picture of each image's curves, too.")
@click.option("-p", "--png", is_flag=True, help="A picture of each image's curves, too.")
@click.option("-S", "--silent", is_flag=True, help="Say nothing but what is wrong.")
@click.option("-m", "--plotmonitor", is_flag=True, hidden=True)
@click.option("-P", "--profile", is_flag=True, hidden=True)
@click.option("-V", "--servermode", is_flag=True, hidden=True)
@click.option("-D", "--walkdirinthreads", is_flag=True, hidden=True)  # as it is anyway
@click.pass_context
def integrate(
    ctx: click.Context, /, nowalk: bool, svg: bool, png: bool, silent: bool, walkdirinthreads: bool, **options: Any
) -> None:
    """Integrate the image files below DIR, without a server.

    Exit code 1 when an image could not be integrated, 130 after Ctrl-C, which ends within one image.
    """
    for name, text in ELSEWHERE.items():
        if options.pop(name):
            from devices.core.errors import NotAllowedError

            raise NotAllowedError(text)
    from servers.leash.integration import Order

    pictures = tuple(kind for kind, is_wanted in (("svg", svg), ("png", png)) if is_wanted)
    order = Order(walks=not nowalk, pictures=pictures, **options)
    tally = _integrate(order, silent)
    for line in _wrong(tally):
        click.echo(f"error: {line}", err=True)
    if not silent:
        click.echo(_summary(tally))
    was_cut = tally.is_interrupted and not order.watches  # a watch is ended by Ctrl-C only
    ctx.exit(INTERRUPTED if was_cut else 0 if tally.is_good else 1)


def _integrate(order: Order, silent: bool) -> Tally:
    import logging

    from rich.console import Console
    from rich.logging import RichHandler
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from servers.leash.integration import integrate_folder

    console = Console(stderr=True)
    logging.basicConfig(format="%(message)s", handlers=[RichHandler(console=console, show_time=False, show_path=False)])
    columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn()
    with Progress(*columns, console=console, disable=silent or not console.is_terminal, transient=True) as progress:
        task = progress.add_task("images", total=None, rate="")
        rate = _rate()

        def show(tally: Tally) -> None:
            progress.update(task, total=tally.found, completed=tally.ended, rate=rate(tally))

        return integrate_folder(order, show)


def _rate() -> Callable[[Tally], str]:
    """Images per second over the last seconds."""
    points: list[tuple[float, int]] = []

    def rate(tally: Tally) -> str:
        now = time.monotonic()
        points.append((now, tally.ended))
        while len(points) > 2 and points[0][0] < now - 5.0:
            del points[0]
        seconds = now - points[0][0]
        return f"{(tally.ended - points[0][1]) / seconds:.1f} images/s" if seconds > 0.5 else ""

    return rate


def _wrong(tally: Tally) -> Iterator[str]:
    yield from (why if image in why else f"{image}: {why}" for image, why in tally.failures.items())
    if tally.failed > len(tally.failures):
        yield f"... and {tally.failed - len(tally.failures)} before these"
    yield from tally.problems


def _summary(tally: Tally) -> str:
    parts = [f"{tally.done} of {tally.found} images integrated"]
    if tally.passed:
        parts.append(f"{tally.passed} had results")
    if tally.failed:
        parts.append(f"{tally.failed} failed")
    if tally.is_interrupted:
        parts.append("interrupted")
    return f"{', '.join(parts)}; {tally.seconds:.1f} s, {tally.done / max(tally.seconds, 1e-3):.1f} images/s"
