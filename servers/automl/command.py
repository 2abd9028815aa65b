"""``diptych automl``: the loop detector as an AutoML service."""

from __future__ import annotations

import click

from servers.command_group import OneLineCommand


@click.command(cls=OneLineCommand)
@click.option("--port", type=click.IntRange(0, 65535), default=9010, show_default=True, help="TCP port; 0: any.")
@click.option("--bind", default="127.0.0.1", show_default=True, help="Own address to listen on.")
@click.option("--workers", type=click.IntRange(1, 16), default=1, show_default=True, help="Pictures at the same time.")
@click.option("--pin-side", type=click.Choice(["left", "right"]), default="left", show_default=True)
@click.option("--finder", type=click.Choice(["auto", "classical", "network"]), default="auto", show_default=True)
def automl(port: int, bind: str, workers: int, pin_side: str, finder: str) -> None:
    """Find loops for others, as an AutoML edge container does, until Ctrl-C."""
    from servers.automl import process

    process.run(port=port, bind=bind, workers=workers, pin_side=pin_side, finder=finder)
