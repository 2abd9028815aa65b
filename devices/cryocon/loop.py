"""One control loop of a CryoCon."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from devices.core import Part, attribute
from devices.cryocon.register import Registers, publish, register
from devices.drivers.cryocon_snapshot import LoopSnapshot
from devices.drivers.cryocon_subsystems import Loop, LoopType, Source

if TYPE_CHECKING:
    from devices.cryocon.device import CryoCon  # noqa: F401 (named in a string below)


class HeaterRange(enum.StrEnum):
    """Full scale of a heater output."""

    HI = "HI"
    MID = "MID"
    LOW = "LOW"


class AnalogRange(enum.StrEnum):
    """Full scale of an analog output."""

    V_10 = "10V"
    V_5 = "5V"


class ControlLoop(Registers, Part["CryoCon"]):
    """Set point, type, gains and output of loop {key}; temperatures in the display unit of its source."""

    group = "Loop {key}"

    setpoint = attribute(
        float,
        unit="K",
        precision=3,
        highest="max_setpoint",
        memorized="show",
        setpoint_follows=True,
        doc="Set point of loop {key}",
    )
    output_power = attribute(float, unit="%", precision=1, doc="Output of loop {key}, of full scale")
    ramping = attribute(bool, doc="Whether loop {key} is on its way to a new set point")
    source = register(Source, "source", polled=True, access="read_write", doc="The input that loop {key} controls")
    type = register(LoopType, "type", polled=True, access="read_write", doc="Control type of loop {key}")

    rate = register(
        float, "rate", access="read_write", unit="K/min", limits=(0.0, 1000.0), doc="Rate of the ramps of loop {key}"
    )
    p_gain = register(
        float,
        "p_gain",
        access="read_write",
        unit="%/K",
        limits=(0.0, 1000.0),
        precision=3,
        doc="Proportional gain of loop {key}",
    )
    i_gain = register(
        float, "i_gain", access="read_write", unit="s", limits=(0.0, 10000.0), precision=3, doc="Integral time"
    )
    d_gain = register(
        float, "d_gain", access="read_write", unit="s", limits=(0.0, 10000.0), precision=3, doc="Derivative time"
    )
    manual_power = register(
        float, "manual_power", access="read_write", unit="%", limits=(0.0, 100.0), doc="Output in type MAN"
    )
    max_power = register(
        float, "max_power", access="read_write", unit="%", limits=(0.0, 100.0), level="expert", doc="Output limit"
    )
    max_setpoint = register(
        float, "max_setpoint", access="read_write", unit="K", level="expert", doc="Highest set point allowed"
    )
    pid_table = register(
        int, "pid_table", access="read_write", limits=(0, 6), level="expert", doc="PID table for types TABLE and RAMPT"
    )
    control_error = register(float, "error", unit="K", precision=3, doc="Set point less temperature")

    @property
    def subsystem(self) -> Loop:
        return self.device.driver.loops[int(self.key)]

    @property
    def unit_source(self) -> str | None:
        return self.source.reading.value

    @setpoint.write
    async def write_setpoint(self, temperature: float) -> None:
        self.setpoint.publish(await self.subsystem.setpoint.write(temperature))

    def publish_snapshot(self, found: LoopSnapshot, timestamp: float) -> None:
        """Publish what one poll found."""
        publish(self.setpoint, found.setpoint, timestamp)
        publish(self.source, found.source, timestamp)
        publish(self.type, found.type, timestamp)
        publish(self.live["range"], found.range, timestamp)  # declared below, with the labels of its kind
        publish(self.output_power, found.output_power, timestamp)
        publish(self.ramping, found.ramping, timestamp)


class HeaterLoop(ControlLoop):
    """A loop with a heater."""

    range = register(
        HeaterRange, "range", polled=True, access="read_write", doc="Full scale of loop {key}: HI, MID, LOW"
    )
    heater_readback = attribute(float, unit="%", precision=1, doc="Output current of loop {key} as measured")
    load = register(int, "load", access="read_write", unit="ohm", level="expert", doc="Load of loop {key}: 25 or 50")
    heat_sink = register(float, "heat_sink", unit="degC", precision=1, doc="Heat-sink of the output of loop {key}")
    heater_voltage = register(float, "voltage", unit="V", precision=3, doc="Voltage at the heater of loop {key}")
    heater_current = register(float, "current", unit="A", precision=4, doc="Current in the heater of loop {key}")
    heater_resistance = register(float, "load_resistance", unit="ohm", precision=2, doc="Resistance of the heater")

    def publish_snapshot(self, found: LoopSnapshot, timestamp: float) -> None:
        super().publish_snapshot(found, timestamp)
        assert found.heater_readback is not None
        publish(self.heater_readback, found.heater_readback, timestamp)


class AnalogLoop(ControlLoop):
    """A loop with an analog output."""

    range = register(AnalogRange, "range", polled=True, access="read_write", doc="Full scale of loop {key}: 5V, 10V")
    output_voltage = register(float, "voltage", unit="V", precision=3, doc="Voltage of the output of loop {key}")
