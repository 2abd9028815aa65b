"""The measured device, written once in the model; ``plain_device`` is the same one written by hand for Tango."""

from __future__ import annotations

import asyncio
import time

import numpy as np

from devices.core import Device, Operation, attribute, operation

IMAGE = (512, 512)
SPECTRUM = 1000


class ModelDevice(Device):
    """Values to read, and one that is published at a steady rate."""

    value = attribute(float, unit="K", initial=77.5, doc="While ``steady`` runs: the time of its publication")
    text = attribute(str, initial="Nothing to report, all is well.")
    spectrum = attribute(float, shape=(SPECTRUM,), initial=np.linspace(0.0, 1.0, SPECTRUM))
    image = attribute(np.uint16, shape=IMAGE, initial=np.arange(np.prod(IMAGE)).reshape(IMAGE) % 65536)
    seconds = attribute(float, unit="s", access="read_write", initial=4.0, doc="How long ``steady`` takes")

    @operation()
    async def steady(self, run: Operation, rate: float) -> int:
        """Publish ``value`` so many times a second, each time as the time of its publication, s since 1970; 0 ends."""
        count = int(rate * self.seconds.value)
        begin = time.perf_counter()
        for number in range(count):
            await asyncio.sleep(max(0.0, begin + number / rate - time.perf_counter()))
            self.value.publish(time.time())
            if number % 100 == 0:
                run.report(100.0 * number / count)
        self.value.publish(0.0)
        return count
