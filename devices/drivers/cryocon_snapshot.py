"""What one poll of a Cryo-con finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from devices.drivers.cryocon_labels import AlarmState, LoopType, OutputRange, Source, Units
from devices.drivers.cryocon_protocol import Answer


@dataclass(frozen=True, slots=True)
class InputSnapshot:
    """One input at one moment; ``sensor_reading`` in V or ohm."""

    temperature: Answer[float]
    units: Answer[Units]
    sensor_reading: Answer[float]
    alarm: Answer[AlarmState]


@dataclass(frozen=True, slots=True)
class LoopSnapshot:
    """One loop at one moment; powers in % of full scale, the set point in the unit of its source.

    Only a loop with a heater has a ``heater_readback``.
    """

    setpoint: Answer[float]
    source: Answer[Source]
    type: Answer[LoopType]
    range: Answer[OutputRange]
    output_power: Answer[float]
    ramping: Answer[bool]
    heater_readback: Answer[float] | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one poll found.

    Attributes:
        timestamp: when the first line of answers had come, Unix time in s.
        control: whether the loops are in control; None for a monitor.
        units: the display units of every input of the model, also of those that were not asked for more.
    """

    timestamp: float
    control: Answer[bool] | None
    units: Mapping[str, Answer[Units]]
    inputs: Mapping[str, InputSnapshot]
    loops: Mapping[int, LoopSnapshot]
