"""Simulated frames: straight to the node, or by a simulated recorder whose files or sockets other sources read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from devices.daq.frame import Frame
from devices.daq.sources.source import Source
from devices.simulators.daq.settings import DaqSettings
from devices.simulators.daq.simulator import simulate, simulated


class Simulation(Source):
    """Simulated frames as if a client had uploaded them."""

    def __init__(self, publish: Callable[[Frame], None], settings: DaqSettings) -> None:
        super().__init__(publish)
        self._settings = settings
        self._numbers: Counter[tuple[int, str]] = Counter()

    async def run(self) -> None:
        """Publish until cancelled; raises BadValueError, ProtocolError when a file cannot be played."""
        self.ready.set()
        async for frames in simulated(self._settings):
            for module, raw in frames:
                key = module, raw.product.name
                self._put(Frame.of(raw, module, f"rpc_sim_{raw.product.name}.pff", self._numbers[key]))
                self._numbers[key] += 1


class SimulatedRecorder(Source):
    """A simulated recorder beside the sources that read what it writes."""

    def __init__(self, publish: Callable[[Frame], None], settings: DaqSettings) -> None:
        super().__init__(publish)
        self._settings = settings

    async def run(self) -> None:
        """Write until cancelled; raises ConfigurationError, BadValueError, ProtocolError when it cannot."""
        self.ready.set()
        await simulate(self._settings)
