"""A device with many values that are published at any rate, and a second one that is asked meanwhile."""

from __future__ import annotations

from benchmarks.publication import PVS, publish
from devices.core import Device, Operation, Part, attribute, operation


class Channel(Part["Channels"]):
    """One of many equal values."""

    level = attribute(float, unit="V", precision=6, doc="Level of channel {key}")


class Channels(Device):
    """A device that publishes much."""

    def build(self) -> None:
        self.channels = list(self.parts(Channel, map(str, range(PVS))).values())

    @operation()
    async def run_levels(self, run: Operation, rate: float, seconds: float, final: float) -> int:
        """Publish one channel after the other, each as the time of its publication.

        Args:
            rate: publications per second in total; 0 for as many as possible.
            seconds: how long.
            final: the last value of every channel.
        """
        return await publish(lambda number, value: self.channels[number].level.publish(value), rate, seconds, final)


class Quiet(Device):
    """A device that is asked while another one publishes much."""

    setting = attribute(float, access="read_write", unit="K", initial=1.0, doc="Whatever was put")
