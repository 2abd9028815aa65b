"""What the panels' benchmark looks at: many values, and a camera."""

from __future__ import annotations

import asyncio
import time

import numpy as np

from devices.core import Device, Operation, Part, attribute, command, operation

VALUES = 500
RATE = 10.0  # Hz, of every value
TOGETHER = 25  # values that change at the same time
SHAPES = {"small": (981, 1043), "large": (4096, 4096)}


class Level(Part["Levels"]):
    """One of many equal values."""

    level = attribute(float, unit="s", precision=3, doc="Value {key}")


class Levels(Device):
    """Publishes each of its values ten times a second; it is the time of its publication, s since today began.

    Not all at once: those of a facility come from many devices.
    """

    def build(self) -> None:
        self.levels = list(self.parts(Level, map(str, range(VALUES))).values())

    @operation()
    async def publish_levels(self, run: Operation, seconds: float = 20.0) -> None:
        """Publish for so long."""
        due = time.monotonic()
        end = due + seconds
        while due < end:
            for first in range(0, VALUES, TOGETHER):
                for part in self.levels[first : first + TOGETHER]:
                    part.level.publish(time.time() % 86_400)
                due += TOGETHER / VALUES / RATE
                await asyncio.sleep(max(0.0, due - time.monotonic()))


class Camera(Device):
    """Two sizes of image, as fast as they are asked for."""

    small = attribute(np.uint16, shape=SHAPES["small"], doc="The image of a SAXS detector")
    large = attribute(np.uint16, shape=SHAPES["large"], doc="The image of a CCD")

    @operation()
    async def publish_frames(self, run: Operation, name: str, rate: float, seconds: float = 20.0) -> None:
        """Publish frames of one size."""
        frames = [np.random.default_rng(seed).poisson(200.0, SHAPES[name]).astype(np.uint16) for seed in range(2)]
        due, number = time.monotonic(), 0
        end = due + seconds
        while due < end:
            self.live[name].publish(frames[number % 2])
            number += 1
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))


class Bell(Device):
    """A level with an alarm bound."""

    level = attribute(float, unit="V", alarm=(None, 9.0), doc="Above 9 V it is an alarm")

    @command()
    async def ring(self, volts: float) -> float:
        """Publish a level; returns when, s since 1970."""
        self.level.publish(volts)
        return time.time()
