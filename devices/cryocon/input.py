"""One sensor input of a CryoCon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devices.core import Part, Quality, attribute, command
from devices.cryocon.register import Registers, publish, register
from devices.drivers.cryocon_line import Turn
from devices.drivers.cryocon_protocol import Answer
from devices.drivers.cryocon_snapshot import InputSnapshot
from devices.drivers.cryocon_subsystems import AlarmState, BiasVoltage, BridgeRange, Input, Units

if TYPE_CHECKING:
    from devices.cryocon.device import CryoCon  # noqa: F401 (named in a string below)

#: The display units as units of an attribute; in S, the sensor's own, it is V or ohm.
UNIT = {Units.K: "K", Units.C: "degC", Units.F: "degF"}


class SensorInput(Registers, Part["CryoCon"]):
    """Temperature, raw reading, alarm and statistics of input {key}; temperatures in its display unit."""

    group = "Input {key}"

    temperature = attribute(float, unit="K", precision=3, doc="Temperature of input {key}")
    sensor_reading = attribute(float, precision=5, doc="What the sensor of input {key} gives")
    alarm_state = attribute(AlarmState, doc="The instrument's own alarm of input {key}: --, SF (fault), HI, LO")
    units = register(
        Units, "units", polled=True, access="read_write", doc="Display unit of input {key}: K, C, F, S (sensor)"
    )

    input_name = register(str, "name", access="read_write", doc="Name of input {key} on the display")
    sensor = register(
        int,
        "sensor",
        access="read_write",
        limits=(0, 68),
        level="expert",
        doc="Sensor of input {key}: 0 none, 61-68 user",
    )
    sensor_name = attribute(str, doc="What the sensor of input {key} is, in the instrument's table")
    sensor_power = register(float, "sensor_power", unit="W", level="expert", doc="Power in the sensor of input {key}")
    bias_voltage = register(
        BiasVoltage,
        "bias_voltage",
        access="read_write",
        level="expert",
        doc="Constant-voltage excitation of input {key}",
    )
    bridge_range = register(
        BridgeRange,
        "bridge_range",
        access="read_write",
        level="expert",
        doc="Constant-current excitation of input {key}",
    )
    ac_excitation = register(
        bool, "ac_excitation", access="read_write", level="expert", doc="Whether the excitation of input {key} is AC"
    )
    bridge_unlocked = register(
        bool, "bridge_unlocked", level="expert", doc="Whether the bridge of input {key} has not settled"
    )
    polarity = register(str, "polarity", level="expert", doc="Polarity of the excitation of input {key}")

    minimum = register(float, "minimum", unit="K", precision=3, doc="Lowest temperature since the statistics began")
    maximum = register(float, "maximum", unit="K", precision=3, doc="Highest temperature since the statistics began")
    variance = register(float, "variance", unit="K^2", precision=6, doc="Variance of the temperature of input {key}")
    slope = register(float, "slope", unit="K/min", precision=3, doc="Slope of the best-fit line of input {key}")
    offset = register(float, "offset", unit="K", precision=3, doc="Offset of the best-fit line of input {key}")

    alarm_high = register(float, "alarm_highest", access="read_write", unit="K", doc="High alarm of input {key}")
    alarm_low = register(float, "alarm_lowest", access="read_write", unit="K", doc="Low alarm of input {key}")
    alarm_deadband = register(
        float, "alarm_deadband", access="read_write", unit="K", limits=(0.0, 1000.0), doc="Dead-band of both alarms"
    )
    alarm_high_enabled = register(bool, "alarm_high_enabled", access="read_write", doc="Whether the high alarm counts")
    alarm_low_enabled = register(bool, "alarm_low_enabled", access="read_write", doc="Whether the low alarm counts")
    alarm_fault_enabled = register(
        bool, "alarm_fault_enabled", access="read_write", doc="Whether a sensor fault is an alarm"
    )
    alarm_latched = register(bool, "alarm_latched", access="read_write", doc="Whether an alarm stays until cleared")
    alarm_audible = register(bool, "alarm_audible", access="read_write", doc="Whether an alarm sounds")

    #: What the sensor gives, V or ohm; empty while that is not known.
    sensor_unit = ""

    @property
    def letter(self) -> str:
        return self.key.upper()

    @property
    def subsystem(self) -> Input:
        return self.device.driver.inputs[self.letter]

    @property
    def unit_source(self) -> str:
        return self.letter

    @command()
    async def clear_alarm(self) -> None:
        """Clear a latched alarm of input {key}."""
        await self.subsystem.clear_alarm()
        self._publish_alarm(await self.subsystem.alarm.answer())

    async def read_sensor(self) -> None:
        """Ask the instrument's table for the sensor that was read last: its name, and what it gives."""
        index = self.sensor.reading.value
        if not index:
            self.sensor_name.publish("")
            return
        sensor = self.device.driver.sensor(index)
        answers, timestamp = await self.device.driver.ask([sensor.name, sensor.units], Turn.POLL)
        publish(self.sensor_name, answers[0], timestamp)
        unit = str(answers[1].value or "")
        self.sensor_unit = {"": "", "volts": "V"}.get(unit.casefold(), "ohm")
        self.sensor_reading.configure(unit=self.sensor_unit)

    def publish_snapshot(self, found: InputSnapshot, timestamp: float) -> None:
        """Publish what one poll found."""
        publish(self.units, found.units, timestamp)
        publish(self.sensor_reading, found.sensor_reading, timestamp)
        self._publish_alarm(found.alarm, timestamp)
        # The instrument's own alarm, with its dead-band and latch, is as good a judge as our bounds.
        alarmed = found.alarm.value in (AlarmState.HIGH, AlarmState.LOW)
        publish(self.temperature, found.temperature, timestamp, Quality.ALARM if alarmed else Quality.VALID)

    def _publish_alarm(self, found: Answer[AlarmState], timestamp: float | None = None) -> None:
        quiet = found.value in (AlarmState.NONE, None)
        publish(self.alarm_state, found, timestamp, Quality.VALID if quiet else Quality.ALARM)
