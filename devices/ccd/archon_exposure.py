"""One exposure with an Archon: its parameters, its clock."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from devices.core.errors import RangeError
from devices.drivers.archon_config import LARGEST_PARAMETER, ArchonConfiguration, split_time
from devices.drivers.archon_status import TICK, Buffer


@dataclass
class ArchonExposure:
    """The exposure that runs, in s of the loop's clock.

    Attributes:
        frames: buffer -> complete frame in it before.
        paused_since: of the loop's clock; paused_tick: of the controller's.
    """

    seconds: float
    opens_shutter: bool
    began: float
    frames: Mapping[int, int] = field(default_factory=dict)
    paused_seconds: float = 0.0
    paused_since: float | None = None
    paused_tick: int = 0
    paused_ticks: int = 0
    ended: bool = False

    def elapsed(self, now: float) -> float:
        return (now if self.paused_since is None else self.paused_since) - self.began - self.paused_seconds

    def measured_seconds(self, buffer: Buffer) -> float:
        """Seconds of the integration: by the controller's clock where its integration signal went up."""
        if self.opens_shutter and buffer.falling > buffer.rising and self.seconds > 0:
            return buffer.exposure_seconds - self.paused_ticks * TICK
        return self.seconds


def exposure_parameters(
    configuration: ArchonConfiguration, seconds: float, opens_shutter: bool, shutter_seconds: float
) -> dict[str, int]:
    """Parameters of the timing script for an exposure; ``shutter_seconds``: to wait until the shutter is shut.

    Raises:
        RangeError: a time that is none, or too long.
    """
    if not 0.0 <= seconds < math.inf:
        raise RangeError(f"seconds = {seconds} is outside [0, inf) s")
    shut = shutter_seconds if opens_shutter and seconds else 0.0
    times = {"Int": seconds, "NoInt": shut} if opens_shutter else {"Int": 0.0, "NoInt": seconds}
    values: dict[str, int] = {}
    for name, length in times.items():
        count, multiplier = split_time(round(length * 1000))
        if configuration.has_parameter(f"{name}Mul"):
            values[f"{name}Mul"] = multiplier
        elif multiplier > 1:
            raise RangeError(f"seconds = {seconds} is outside [0, {LARGEST_PARAMETER / 1000}] s of {name}MS alone")
        values[f"{name}MS"] = count
    for request in ("StopExposure", "AbortExposure", "ReadOut"):
        if configuration.has_parameter(request):
            values[request] = 0
    return values
