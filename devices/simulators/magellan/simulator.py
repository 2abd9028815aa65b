"""The simulated Magellan controller with its sockets.

async with MagellanSimulator(columns=64, rows=48) as simulator:
    ... connect to 127.0.0.1, simulator.port ...
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from devices.simulators._controller_server import ControllerServerSimulator
from devices.simulators.magellan.controller import MagellanController
from devices.simulators.magellan.settings import MagellanSettings


class MagellanSimulator(ControllerServerSimulator):
    """One simulated Magellan controller and its server.

    Args:
        options: as `MagellanSettings` has them.
    """

    controller: MagellanController

    def __init__(self, **options: object) -> None:
        self.settings = MagellanSettings.of(options)
        super().__init__(MagellanController(self.settings), self.settings.host)


async def run(port: int, options: Mapping[str, object]) -> None:
    """Simulate until cancelled.

    Args:
        options: as `MagellanSettings` has them.
    Raises:
        ConfigurationError: wrong options, all of them. OSError: the port is taken.
    """
    simulator = MagellanSimulator(**options)
    try:
        await simulator.start(port)
        await asyncio.Event().wait()
    finally:
        await simulator.stop()
