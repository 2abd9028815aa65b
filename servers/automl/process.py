"""The AutoML service as a process."""

from __future__ import annotations

import asyncio
import signal
from typing import Literal, cast

import click

from devices.pipelines.loop.settings import LoopSettings
from servers.automl.server import AutomlServer


def run(*, port: int, bind: str, workers: int, pin_side: str, finder: str) -> None:
    """Serve until SIGTERM or SIGINT; says READY and its address when it can be asked."""
    settings = LoopSettings(
        pin_side=cast(Literal["left", "right"], pin_side),
        least_score=0.0,  # whoever asks has a threshold of its own
        finder=cast(Literal["auto", "classical", "network"], finder),
    )
    asyncio.run(_serve(AutomlServer(settings, workers=workers), port, bind))


async def _serve(server: AutomlServer, port: int, bind: str) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    try:
        await server.start(port, bind)
        click.echo(f"READY http://{bind}:{server.port}/v1/models/default")
        await stopped.wait()
    finally:
        await server.close()
