"""What all sources of frames have in common."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from devices.daq.frame import Frame


class Source(ABC):
    """Publishes frames as they come; all methods are for one loop.

    Args:
        publish: takes each frame, in the loop, in the order in which they came.
    Attributes:
        problem: why nothing can come at present; empty when all is well.
        run_name: of the folder of the observing run that the newest frames are of; empty: of none.
        ready: set as soon as nothing that comes is missed.
        frames: so many were published.
        skipped_bytes: they belonged to no frame.
    """

    def __init__(self, publish: Callable[[Frame], None]) -> None:
        self._publish = publish
        self.problem = ""
        self.run_name = ""
        self.ready = asyncio.Event()
        self.frames = 0
        self.skipped_bytes = 0

    @abstractmethod
    async def run(self) -> None:
        """Publish until cancelled; raises DiptychError when there is no use in going on."""

    def counters(self) -> Mapping[str, int]:
        """What is counted, by name."""
        return {"frames": self.frames, "skipped_bytes": self.skipped_bytes}

    def _put(self, frame: Frame) -> None:
        self.frames += 1
        self._publish(frame)
