"""What an exposure is doing, and, apart from it, what somebody asks of it meanwhile."""

from __future__ import annotations

import asyncio
import enum
from dataclasses import dataclass, field


class ExposureState(enum.Enum):
    """The states of the camera; a failure or an abort leads back to IDLE from each of them."""

    IDLE = "Idle"
    SETUP = "Setup"
    READY = "Ready"
    EXPOSING = "Exposing"
    PAUSED = "Paused"
    EXPOSED = "Exposed"
    READOUT = "Reading"
    HELD = "Unsaved"
    WRITING = "Writing"
    ABORTING = "Aborting"


#: The number and name under which clients of azcam know each state.
FLAGS = {
    ExposureState.IDLE: (0, "NONE"),
    ExposureState.SETUP: (8, "SETUP"),
    ExposureState.READY: (8, "SETUP"),
    ExposureState.EXPOSING: (1, "EXPOSING"),
    ExposureState.PAUSED: (6, "PAUSED"),
    ExposureState.EXPOSED: (5, "READ"),
    ExposureState.READOUT: (7, "READOUT"),
    ExposureState.HELD: (0, "NONE"),
    ExposureState.WRITING: (9, "WRITING"),
    ExposureState.ABORTING: (2, "ABORT"),
}


class Wish(enum.Enum):
    """What can be asked of an integration."""

    PAUSE = "pause"
    RESUME = "resume"
    READ = "read-out"


@dataclass(frozen=True)
class Request:
    """One wish, and the answer of the exposure: done, or the error that says why not."""

    wish: Wish
    answer: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def grant(self) -> None:
        """It is done; who asked may have gone away."""
        if not self.answer.done():
            self.answer.set_result(None)

    def refuse(self, error: Exception) -> None:
        """It was not done."""
        if not self.answer.done():
            self.answer.set_exception(error)
            # Nobody may be waiting any more; then asyncio must not complain that nobody looked.
            self.answer.exception()
