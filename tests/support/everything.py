"""A device with one of everything: the table that all type tests share, and a device made from it."""

from __future__ import annotations

import asyncio
import enum
import time
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from devices.core import (
    Argument,
    Deadband,
    Device,
    DeviceState,
    Encoded,
    Operation,
    Part,
    Properties,
    Quality,
    attribute,
    command,
    operation,
    pipeline,
    poll,
    setting,
)


class Filter(enum.Enum):
    """Labels that are not in alphabetical order, so that a sorted list would be noticed."""

    OPEN = "open"
    RED = "red"
    BLUE = "blue"


#: name of a scalar attribute -> (type, a value that no other type would keep, a value that is refused)
SCALARS: dict[str, tuple[Any, Any, Any]] = {
    "a_bool": (bool, True, None),
    "a_uint8": (np.uint8, 250, None),
    "an_int16": (np.int16, -32000, None),
    "a_uint16": (np.uint16, 65000, None),
    "an_int32": (np.int32, -2_000_000_000, None),
    "a_uint32": (np.uint32, 4_000_000_000, None),
    "an_int64": (np.int64, -(2**53) - 1, None),
    "a_uint64": (np.uint64, 2**63 + 5, None),
    "a_float32": (np.float32, 0.5, None),
    "a_float64": (float, 0.00314, None),
    "a_string": (str, "Grüße aus 100 % Stahl", None),
    "an_enum": (Filter, Filter.BLUE, None),
}


def scale_frame(frame: np.ndarray[Any, Any], factor: float) -> np.ndarray[Any, Any]:
    """Multiply a frame, (rows, columns), by a factor."""
    return frame * factor


class Channel(Part["Everything"]):
    """One of several equal channels."""

    level = attribute(float, unit="V", alarm=(None, 9.0), warning=(None, 5.0), doc="Level of channel {key}")
    offset = attribute(float, unit="V", limits=(-1.0, 1.0), doc="Offset of channel {key}")

    @offset.write
    async def write_offset(self, volts: float) -> None:
        self.offset.publish(volts)

    @command()
    async def clear(self) -> str:
        """Clear channel {key}."""
        self.level.publish(0.0)
        return self.key


@dataclass(frozen=True)
class EverythingProperties(Properties):
    """Two, so that several wrong ones can be reported."""

    channels: int = setting(2, doc="How many channels", limits=(0, 8))
    period: float = setting(0.05, doc="Polling period, s", limits=(0.001, 60.0))


class Everything(Device):
    """One of everything."""

    properties_class = EverythingProperties
    properties: EverythingProperties

    a_bool = attribute(bool, access="read_write")
    a_uint8 = attribute(np.uint8, access="read_write")
    an_int16 = attribute(np.int16, access="read_write")
    a_uint16 = attribute(np.uint16, access="read_write")
    an_int32 = attribute(np.int32, access="read_write")
    a_uint32 = attribute(np.uint32, access="read_write")
    an_int64 = attribute(np.int64, access="read_write")
    a_uint64 = attribute(np.uint64, access="read_write")
    a_float32 = attribute(np.float32, access="read_write")
    a_float64 = attribute(float, access="read_write", unit="mm", precision=1)
    a_string = attribute(str, access="read_write")
    an_enum = attribute(Filter, access="read_write")
    a_state = attribute(DeviceState)
    an_encoded = attribute(Encoded)
    numbers = attribute(float, shape=(100,), access="read_write", unit="nm")
    texts = attribute(str, shape=(10,), access="read_write")
    flags = attribute(bool, shape=(10,))
    frame = attribute(np.uint16, shape=(40, 60), access="read_write", doc="Wider than high")
    scaled = attribute(np.float64, shape=(40, 60))

    temperature = attribute(
        float,
        unit="K",
        limits=(0.0, 400.0),
        warning=(80.0, 110.0),
        alarm=(70.0, 120.0),
        hysteresis=2.0,
        setpoint_follows=True,
        memorized="show",
        doc="A register that the front panel can change, too",
    )
    position = attribute(float, unit="mm", limits=(-10.0, 10.0), memorized="apply", doc="Lags behind its setpoint")
    gain = attribute(float, access="read_write", memorized="show", initial=1.0, doc="A setting of the device itself")
    counter = attribute(int, change=Deadband(absolute=10), archive=Deadband(absolute=100))
    fast = attribute(float, doc="Published as fast as asked for")

    scale = pipeline(scale_frame, inputs={"frame": frame}, outputs=[scaled], run_as="command")

    hardware_temperature = 100.0
    connected_times = 0

    def build(self) -> None:
        self.channels = self.parts(Channel, "abcdefgh"[: self.properties.channels])

    @temperature.write
    async def write_temperature(self, kelvin: float) -> None:
        self.hardware_temperature = kelvin
        self.temperature.publish(kelvin)

    @position.write
    async def write_position(self, mm: float) -> None:
        self.position.publish(mm / 2)

    @poll(0.05)
    async def poll_temperature(self) -> None:
        self.temperature.publish(self.hardware_temperature)

    async def connect(self) -> None:
        self.connected_times += 1
        self.position.publish(1.5)
        self.position.publish_setpoint(3.0)

    @command()
    async def nothing(self) -> None:
        """Do nothing."""

    @command()
    async def turn_front_panel(self, kelvin: Annotated[float, Argument(unit="K", limits=(0.0, 400.0))]) -> None:
        """Change the register at the front panel."""
        self.hardware_temperature = kelvin

    @command()
    async def add(self, first: float, second: int = 2) -> float:
        """Add two numbers."""
        return first + second

    @command(reads_only=True)
    async def reverse(self, text: str) -> str:
        """Turn a text round."""
        return text[::-1]

    @command()
    async def total(self, numbers: list[float]) -> float:
        """Add a list."""
        return float(np.sum(numbers))

    @command()
    async def opposite(self, colour: Filter) -> Filter:
        """Another filter."""
        return Filter.RED if colour is Filter.BLUE else Filter.BLUE

    @command()
    async def facts(self) -> dict[str, Any]:
        """A JSON object."""
        return {"answer": 42}

    @command()
    async def sleep(self, seconds: float) -> None:
        """Wait, to be ended by the framework when it is too long."""
        await asyncio.sleep(seconds)

    @command(allowed=[DeviceState.OFF])
    async def only_when_off(self) -> None:
        """Never allowed here."""

    @command(level="expert", dangerous=True)
    async def fail(self) -> None:
        """Raise an error that is not one of ours."""
        raise ZeroDivisionError("no such luck")

    @command()
    async def make_invalid(self, name: str) -> None:
        """Make an attribute INVALID."""
        self.attributes[name].publish_invalid("the sensor is open")

    @command()
    async def complain(self, text: str) -> None:
        """Log an error."""
        self.log.error("%s", text)

    @command()
    async def publish_nan(self, name: str) -> None:
        """Publish what a broken calculation gives."""
        self.attributes[name].publish(float("nan"))

    @command()
    async def publish_state(self, state: DeviceState) -> None:
        """Publish ``a_state``."""
        self.a_state.publish(state)

    @command()
    async def publish_value(self, name: str, value: float, timestamp: float = 0.0, quality: str = "VALID") -> None:
        """Publish a number."""
        self.attributes[name].publish(value, timestamp=timestamp or time.time(), quality=Quality(quality))

    @operation()
    async def expose(
        self, run: Operation, seconds: Annotated[float, Argument(unit="s", limits=(0.0, 100.0))]
    ) -> dict[str, Any]:
        """Take a frame."""
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < seconds:
            run.report(100.0 * elapsed / seconds, "exposing")
            await asyncio.sleep(0.02)
        return {"seconds": seconds}

    @operation(when_busy="queue")
    async def queued(self, run: Operation, seconds: float = 0.1) -> None:
        """An operation that waits for its turn."""
        await asyncio.sleep(seconds)

    @operation()
    async def flood(self, run: Operation, count: int = 1000, period: float = 0.001) -> None:
        """Publish ``fast`` so many times."""
        due = time.monotonic()
        for i in range(count):
            self.fast.publish(float(i))
            due += period
            await asyncio.sleep(max(0.0, due - time.monotonic()))
