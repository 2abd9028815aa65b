"""One sensor input of a CryoCon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devices.core import Part, Quality, attribute, command
from devices.cryocon.register import publish, register
from devices.drivers.cryocon_snapshot import InputSnapshot
from devices.drivers.cryocon_subsystems import AlarmState, BiasVoltage, BridgeRange, Input, Units

if TYPE_CHECKING:
    from devices.cryocon.device import CryoCon  # noqa: F401 (named in a string below)

#: The display units of the instrument as units of an attribute; in sensor units it may be V or ohm.
UNIT = {Units.K: "K", Units.C: "degC", Units.F: "degF", Units.S: ""}


class SensorInput(Part["CryoCon"]):
    """Temperature, raw reading, alarm and statistics of input {key}; temperatures in its display unit."""

    temperature = attribute(float, unit="K", precision=3, doc="Temperature of input {key}")
    sensor_reading = attribute(float, precision=5, doc="What the sensor of input {key} gives, V or ohm")
    alarm_state = attribute(AlarmState, doc="The instrument's own alarm of input {key}: --, SF (fault), HI, LO")
    units = register(Units, "units", access="read_write", doc="Display unit of input {key}: K, C, F, S (sensor)")

    input_name = register(str, "name", access="read_write", doc="Name of input {key} on the display")
    sensor = register(
        int,
        "sensor",
        access="read_write",
        limits=(0, 68),
        level="expert",
        doc="Sensor of input {key}: 0 none, 61-68 user",
    )
    sensor_power = register(float, "sensor_power", level="expert", doc="Power in the sensor of input {key}, W")
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

    minimum = register(
        float, "minimum", unit="K", precision=3, doc="Lowest temperature since the statistics were reset"
    )
    maximum = register(
        float, "maximum", unit="K", precision=3, doc="Highest temperature since the statistics were reset"
    )
    variance = register(float, "variance", precision=6, doc="Variance of the temperature of input {key}")
    slope = register(float, "slope", precision=6, doc="Slope of the best-fit line, display units per minute")
    offset = register(float, "offset", unit="K", precision=3, doc="Offset of the best-fit line")

    alarm_high = register(float, "alarm_highest", access="read_write", unit="K", doc="High alarm of input {key}")
    alarm_low = register(float, "alarm_lowest", access="read_write", unit="K", doc="Low alarm of input {key}")
    alarm_deadband = register(
        float, "alarm_deadband", access="read_write", unit="K", limits=(0.0, 1000.0), doc="Dead-band of these alarms"
    )
    alarm_high_enabled = register(bool, "alarm_high_enabled", access="read_write", doc="Whether the high alarm counts")
    alarm_low_enabled = register(bool, "alarm_low_enabled", access="read_write", doc="Whether the low alarm counts")
    alarm_fault_enabled = register(
        bool, "alarm_fault_enabled", access="read_write", doc="Whether a sensor fault is an alarm"
    )
    alarm_latched = register(bool, "alarm_latched", access="read_write", doc="Whether an alarm stays until cleared")
    alarm_audible = register(bool, "alarm_audible", access="read_write", doc="Whether an alarm sounds")

    @property
    def subsystem(self) -> Input:
        return self.device.driver.inputs[self.key.upper()]

    @command()
    async def clear_alarm(self) -> None:
        """Clear a latched alarm of input {key}."""
        await self.subsystem.clear_alarm()
        publish(self.alarm_state, await self.subsystem.alarm.answer())

    def publish_snapshot(self, found: InputSnapshot, timestamp: float) -> None:
        """Publish what one poll found."""
        if found.units.valid and found.units.value is not None:
            unit = UNIT[found.units.value]
            for live in (self.temperature, self.minimum, self.maximum, self.offset, self.alarm_high, self.alarm_low):
                live.configure(unit=unit)
            self.alarm_deadband.configure(unit=unit)
        publish(self.units, found.units, timestamp)
        publish(self.sensor_reading, found.sensor_reading, timestamp)
        publish(self.alarm_state, found.alarm, timestamp)
        if found.temperature.valid and found.alarm.value in (AlarmState.HIGH, AlarmState.LOW):
            # The instrument's own alarm, with its dead-band and latch, is as good a judge as our bounds.
            self.temperature.publish(found.temperature.value or 0.0, timestamp=timestamp, quality=Quality.ALARM)
        else:
            publish(self.temperature, found.temperature, timestamp)
