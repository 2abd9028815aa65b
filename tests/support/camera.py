"""A camera: commands with none, one and several arguments, and operations that refuse, queue, or run side by side."""

from __future__ import annotations

import asyncio
import enum
import time
from typing import Annotated, Any

from devices.core import Argument, Device, DeviceState, Operation, attribute, command, operation
from devices.core.errors import ProtocolError


class Shutter(enum.Enum):
    CLOSED = "closed"
    OPEN = "open"
    SYNC = "synchronous"


Seconds = Annotated[float, Argument(unit="s", limits=(0.0, 3600.0), doc="Exposure time")]


class Camera(Device):
    """A cooled camera with a shutter and a filter wheel."""

    exposures = attribute(int, doc="Exposures that were begun")
    homed = attribute(int, doc="How often the wheel was sent home")

    async def connect(self) -> None:
        self.exposures.publish(0)
        self.homed.publish(0)

    @command()
    async def home(self) -> None:
        """Send the filter wheel home."""
        self.homed.publish(self.homed.value + 1)

    @command()
    async def move(self, millimetres: Annotated[float, Argument(unit="mm", limits=(-5.0, 25.0))]) -> float:
        """Move the stage; gives where it is then."""
        return round(millimetres * 1000) / 1000

    @command()
    async def ramp(self, first: int, last: int = 4) -> list[float]:
        """The squares of some numbers."""
        return [float(number**2) for number in range(first, last + 1)]

    @command()
    async def other(self, shutter: Shutter) -> Shutter:
        """The next position of the shutter."""
        positions = list(Shutter)
        return positions[(positions.index(shutter) + 1) % len(positions)]

    @command()
    async def total(self, counts: list[int]) -> int:
        """Add counts."""
        return sum(int(count) for count in counts)

    @command(reads_only=True)
    async def label(self, text: str) -> dict[str, Any]:
        """Take a text and give it back in an object."""
        return {"label": text, "gain": 1.5}

    @command(allowed=[DeviceState.OFF])
    async def service(self) -> None:
        """Only with the camera off."""

    @command(level="expert")
    async def calibrate(self) -> str:
        """For experts."""
        return "calibrated"

    @operation()
    async def expose(
        self, run: Operation, seconds: Seconds, frames: int = 1, shutter: Shutter = Shutter.OPEN
    ) -> dict[str, Any]:
        """Take some frames; the third shutter position is broken."""
        self.exposures.publish(self.exposures.value + 1)
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < seconds * frames:
            run.report(100.0 * elapsed / (seconds * frames), "exposing")
            await asyncio.sleep(0.02)
        if shutter is Shutter.SYNC:
            raise ProtocolError("the shutter does not answer")
        return {"seconds": seconds, "frames": frames, "shutter": shutter.value}

    @operation(when_busy="queue")
    async def read_out(self, run: Operation, seconds: Seconds) -> float:
        """Waits for its turn."""
        await asyncio.sleep(seconds)
        return seconds

    @operation(when_busy="parallel")
    async def save(self, run: Operation, seconds: Seconds) -> str:
        """Runs beside others."""
        await asyncio.sleep(seconds)
        return f"saved after {seconds:g} s"
