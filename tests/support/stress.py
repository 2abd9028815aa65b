"""A device that publishes a text, a spectrum and an image as fast as it can."""

from __future__ import annotations

import asyncio

import numpy as np

from devices.core import Device, Operation, attribute, operation


class Stress(Device):
    """Every image is constant within itself, so that a torn one shows."""

    text = attribute(str)
    spectrum = attribute(np.int32, shape=(2000,))
    image = attribute(np.int32, shape=(300, 200))
    published = attribute(int)

    @operation()
    async def publish_all(self, run: Operation, seconds: float) -> int:
        """Publish until the time is over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        count = 0
        while loop.time() < end:
            count += 1
            self.text.publish(chr(ord("a") + count % 26) * (1 + count % 300))
            self.spectrum.publish(np.full(1 + count % 2000, count, np.int32), copy=False)
            rows, columns = 1 + count % 300, 1 + count % 200
            self.image.publish(np.full((rows, columns), count, np.int32), copy=False)
            self.published.publish(count)
            await asyncio.sleep(0)
        return count
