"""Simulated frames, without files or sockets in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from devices.daq.frame import Frame
from devices.daq.sources.source import Source
from devices.simulators.daq.settings import DaqSettings
from devices.simulators.daq.simulator import simulated


class Simulation(Source):
    """What simulated modules see; `mode`, folders and sockets of the settings are not used."""

    def __init__(self, publish: Callable[[Frame], None], settings: DaqSettings) -> None:
        super().__init__(publish)
        self._settings = settings
        self._counts: Counter[str] = Counter()

    async def run(self) -> None:
        """Publish until cancelled; raises BadValueError or ProtocolError: a file that cannot be played."""
        async for frames in simulated(self._settings):
            self.ready.set()
            for module, raw in frames:
                name = f"rpc_sim_{raw.product.name}.pff"  # as clients know it
                self._put(Frame.of(raw, module, name, self._counts[name]))
                self._counts[name] += 1
