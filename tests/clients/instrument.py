"""One of everything, and what clients stumble over: a long enumeration, a short text, a shutter that sticks."""

from __future__ import annotations

import asyncio
import enum

import numpy as np

from devices.core import Operation, Part, attribute, command, operation
from devices.core.errors import ProtocolError
from tests.support.everything import Everything


class Grating(enum.Enum):
    """More labels than a Channel Access ENUM takes."""

    G150, G200, G300, G400, G500, G600, G700, G800, G900 = (f"{n}/mm" for n in (150, 200, *range(300, 1000, 100)))
    G1000, G1100, G1200, G1300, G1400, G1500, G1600, G1700 = (f"{n}/mm" for n in range(1000, 1800, 100))


class Lamp(Part["Spectrograph"]):
    """A calibration lamp; one that is asked for while another glows waits for its turn."""

    @operation(when_busy="queue")
    async def glow(self, run: Operation, seconds: float) -> None:
        """Have lamp {key} glow."""
        await asyncio.sleep(seconds)


class Spectrograph(Everything):
    """One of everything, with a shutter and four lamps."""

    grating = attribute(Grating, access="read_write", initial=Grating.G300)
    observer = attribute(str, text_limit=20, access="read_write", initial="Cecilia")
    counts = attribute(np.int32, unit="count", limits=(0, 1000), warning=(None, 800), access="read_write", initial=12)
    spectrum = attribute(np.float32, shape=(2000,), unit="electron")
    notes = attribute(str, doc="Longer than an EPICS string")

    def build(self) -> None:
        super().build()
        self.lamps = self.parts(Lamp, "abcd")

    async def connect(self) -> None:
        await super().connect()
        self.frame.publish(np.arange(15, dtype=np.uint16).reshape(3, 5))
        self.notes.publish("Fe K, 1.936 Å, 21 °C; " + 30 * "flat, dark, arc; ")
        self.spectrum.publish(np.zeros(0, np.float32))
        self.an_int64.publish(2**53 + 1)

    @command()
    async def publish_spectrum(self, electrons: list[float]) -> None:
        """Publish ``spectrum``."""
        self.spectrum.publish(np.array(electrons, np.float32))

    @operation()
    async def stick(self, run: Operation, seconds: float) -> None:
        """Open the shutter, which sticks."""
        await asyncio.sleep(seconds)
        raise ProtocolError(f"the shutter is stuck after {seconds:g} s")
