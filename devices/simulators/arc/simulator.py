"""The simulated ARC controller with its sockets.

async with ArcSimulator(columns=64, rows=48) as simulator:
    ... connect to 127.0.0.1, simulator.port ...
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from devices.simulators._controller_server import ControllerServerSimulator
from devices.simulators.arc.controller import ArcController
from devices.simulators.arc.settings import ArcSettings


class ArcSimulator(ControllerServerSimulator):
    """One simulated ARC controller and its server.

    Args:
        options: as `ArcSettings` has them.
    """

    controller: ArcController

    def __init__(self, **options: object) -> None:
        self.settings = ArcSettings.of(options)
        super().__init__(ArcController(self.settings), self.settings.host)


async def run(port: int, options: Mapping[str, object]) -> None:
    """Simulate until cancelled.

    Args:
        options: as `ArcSettings` has them.
    Raises:
        ConfigurationError: wrong options, all of them. OSError: the port is taken.
    """
    simulator = ArcSimulator(**options)
    try:
        await simulator.start(port)
        await asyncio.Event().wait()
    finally:
        await simulator.stop()
