"""``diptych correlator send``, ``search`` and ``train``: cubes in files, and the classifier."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Final

import click

from devices.correlator.properties import CorrelatorProperties
from servers.command_group import OneLineCommand
from servers.ingest.command import HELP
from servers.ingest.command_serve import given_properties, property_options, was_given

FILE: Final = click.Path(path_type=Path, dir_okay=False)


@click.command(cls=OneLineCommand, context_settings=HELP)
@click.argument("files", type=FILE, nargs=-1, required=True, metavar="FILE...")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), default=8843, show_default=True)
@click.option("--isot", default="", metavar="TIME", help="Of the first gulp, UTC: 2026-11-21T03:12:04.215 [now].")
@click.option("--nsamps", type=click.IntRange(1), default=25, show_default=True, help="Samples of a gulp.")
@click.option("--sample_s", type=float, default=CorrelatorProperties.sample_s, show_default=True)
@click.option("--uv_diag", type=float, help="Longest baseline, m; with --dec.")
@click.option("--dec", type=float, help="Declination of the pointing, deg; with --uv_diag.")
@click.option("-T", "--testh23", is_flag=True, help="As the one test client that plays all sub-bands.")
@click.option("--token-file", type=FILE, help="Its first line is what the server asks for.")
def send(files: tuple[Path, ...], **options: Any) -> None:
    """Send cubes as all correlator nodes would; axes (channel, sample, y, x)."""
    from servers.ingest import sending

    for line in sending.send(files, **options):
        click.echo(line)


@click.command(cls=OneLineCommand, context_settings=HELP)
@click.argument("files", type=FILE, nargs=-1, required=True, metavar="FILE...")
@property_options
@click.pass_context
def search(ctx: click.Context, /, files: tuple[Path, ...], **options: Any) -> None:
    """Search cubes in files; axes (channel, sample, y, x). Prints a JSON object for each.

    Sub-bands and pixels are those of the first file unless options say otherwise.
    """
    from devices.correlator.apart import read_cube, search_file
    from devices.correlator.finder import Finder
    from devices.correlator.plan import Plan

    shape = read_cube(files[0].absolute()).shape
    own = {"nchans": shape[0], "gridsize": shape[2]}
    given = given_properties({**own, **{name: options[name] for name in options if was_given(ctx, name)}})
    for file in files:
        finder = Finder(given)
        try:
            found = search_file(finder, given, str(file.absolute()), Plan(given.snr_thresh, given.trials()))
        finally:
            finder.close()
        click.echo(json.dumps(found))


@click.command(cls=OneLineCommand, context_settings=HELP)
@click.argument("output", type=FILE)
@click.option("--steps", type=click.IntRange(1), default=1200, show_default=True, help="Batches to learn from.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--threads", type=click.IntRange(1, 256), default=2, show_default=True)
def train(output: Path, steps: int, seed: int, threads: int) -> None:
    """Train the classifier on simulated pulses and interference, and write its weights to OUTPUT (.npz)."""
    from devices.correlator.apart import train_network

    began = time.monotonic()
    found = train_network(str(output), steps, seed, threads, lambda part: click.echo(f"{100 * part:.0f} %", err=True))
    click.echo(json.dumps(found))
    click.echo(f"{time.monotonic() - began:.0f} s", err=True)
