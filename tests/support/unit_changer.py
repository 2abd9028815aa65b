"""A device that has its unit changed while it publishes images: what a telescope's focus or a DCSS motor may do."""

from __future__ import annotations

import asyncio

import numpy as np

from devices.core import Device, Operation, attribute, operation

SIZE = 512


class UnitChanger(Device):
    """Images, and a length in mm or um."""

    image = attribute(np.uint16, shape=(SIZE, SIZE))
    length = attribute(float, unit="mm")

    @operation()
    async def work(self, run: Operation, count: int = 300) -> int:
        """Publish so many images, and change the unit after each."""
        for number in range(count):
            self.image.publish(np.full((SIZE, SIZE), number, np.uint16))
            await asyncio.sleep(0.0)  # the thread that pushes begins
            self.length.configure(unit=("um", "mm")[number % 2])
            self.length.publish(float(number))
            run.report(100.0 * number / count)
            await asyncio.sleep(0.001)
        return count
