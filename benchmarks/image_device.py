"""A camera with frames of two sizes, and a scalar that is published meanwhile."""

from __future__ import annotations

import asyncio
import time

import numpy as np

from benchmarks.image_frames import SHAPES, Frame, publish_frames, ring
from devices.core import Device, Operation, attribute, operation


class Camera(Device):
    """Publishes frames that carry their number and the time of their publication."""

    small = attribute(np.uint8, shape=SHAPES["small"][0], unit="adu", doc="Frames of 1 MB")
    large = attribute(np.uint16, shape=SHAPES["large"][0], unit="adu", doc="Frames of 32 MB")
    level = attribute(float, unit="s", precision=6, initial=0.0, doc="While frames are published: the time, 100 Hz")

    def build(self) -> None:
        for name in SHAPES:
            ring(name)

    @operation()
    async def expose(self, run: Operation, name: str, rate: float, seconds: float, final: float) -> int:
        """Publish frames and the scalar.

        Args:
            name: small or large.
            rate: frames per second.
            seconds: how long.
            final: the last value of the scalar.
        """

        def publish(frame: Frame) -> None:
            # A ring of frames, as a driver has it: none is written again before it was sent.
            self.live[name].publish(frame.view(), copy=False)

        async with asyncio.TaskGroup() as both:
            exposing = both.create_task(publish_frames(name, rate, seconds, publish))
            both.create_task(self._publish_level(seconds, final))
        return exposing.result()

    async def _publish_level(self, seconds: float, final: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.level.publish(time.time())
            await asyncio.sleep(0.01)
        self.level.publish(final)
