"""Devices whose small values and images are pushed at the same time, by threads that Python changes all the time."""

from __future__ import annotations

import asyncio
import sys

import numpy as np

from devices.core import Device, Operation, attribute, operation

SWITCH_INTERVAL = 1e-5  # s; Python's own is 5 ms


class Crowd(Device):
    """Images go through a thread of the server, numbers through its loop; two devices push beside each other."""

    image = attribute(np.int32, shape=(300, 200))
    number = attribute(int)

    @operation()
    async def publish_all(self, run: Operation, seconds: float) -> int:
        """Publish both until the time is over; the number of images."""
        usual = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL)
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        count = 0
        try:
            while loop.time() < end:
                count += 1
                self.image.publish(np.full((300, 200), count, np.int32), copy=False)
                for number in range(20):
                    self.number.publish(20 * count + number)
                await asyncio.sleep(0)
        finally:
            sys.setswitchinterval(usual)
        return count
