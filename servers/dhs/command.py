"""``diptych dhs BEAMLINE NAME`` and ``pyDHS BEAMLINE NAME``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from pathlib import Path

import click

from servers.command_group import OneLineCommand


@click.command(cls=OneLineCommand, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("beamline")
@click.argument("name", default="loop")
@click.option(
    "--config",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("config"),
    show_default=True,
    help="Folder of BEAMLINE.config.",
)
@click.option("-v", "--verbose", count=True, help="Say more; twice: every message.")
def dhs(beamline: str, name: str, folder: Path, verbose: int) -> None:
    """Serve DCSS as the hardware server NAME until Ctrl-C, without a database: loop, deicer, or a module of yours.

    Functions of the module that BEAMLINE.config names for NAME become operations; ``loop`` is the loop detector.
    """
    from servers.dhs.config_file import read_config
    from servers.dhs.server import serve_functions, serve_loop
    from servers.log.formatter import log_to_stderr

    config = read_config(folder, beamline, name)
    log_to_stderr()
    logging.getLogger("diptych").setLevel(logging.DEBUG if verbose > 1 else logging.INFO)
    if config.log_dir is not None:
        config.log_dir.mkdir(parents=True, exist_ok=True)
        logging.getLogger().addHandler(logging.FileHandler(config.log_dir / f"{config.name}.log"))
    is_loop = name == "loop" and "module" not in config.settings

    async def until_signal() -> None:
        task = asyncio.ensure_future(serve_loop(config) if is_loop else serve_functions(config))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(until_signal())
