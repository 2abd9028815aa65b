"""What the CryoCon device shows is what the simulated instrument holds."""

from __future__ import annotations

import asyncio

import pytest

from devices.core import DeviceState, Quality
from devices.drivers.cryocon_models import MODELS
from devices.simulators.cryocon.instrument import CryoConInstrument
from tests.cryocon.cryocon_bench import becomes, bench, disagreements, expected, sent, set_apart, value
from tests.support.running import until

#: What the model adds to every device, and what is no reading of the instrument.
OF_THE_MODEL = {
    "alarm_summary", "reserved_by", "description", "operation", "operation_id", "progress", "operation_message",
    "operation_result", "operation_error",
}  # fmt: skip
#: W of one sensor: the simulator knows a formula, this test does not.
UNJUDGED = "sensor_power"


@pytest.mark.parametrize("model", list(MODELS))
def test_every_attribute_holds_what_the_instrument_holds(model: str) -> None:
    async def main() -> None:
        async with bench(model, prepare=set_apart) as (simulator, device):
            instrument = simulator.instrument
            wanted = expected(instrument)
            await until(lambda: not disagreements(device, wanted), f"all agree: {disagreements(device, wanted)}")
            shown = {name for name in device.attributes if not name.startswith(UNJUDGED)} - OF_THE_MODEL
            assert shown == set(wanted)
            assert all(value(device, f"sensor_power_{letter.lower()}") > 0.0 for letter in instrument.inputs)

    asyncio.run(main())


def test_a_monitor_has_no_loops_and_nothing_to_control() -> None:
    async def main() -> None:
        async with bench("18i") as (_, device):
            assert device.state is DeviceState.ON
            assert not any(name.startswith(("setpoint", "control", "overtemperature")) for name in device.attributes)
            assert not {"control_on", "control_off", "auto_tune", "read_pid_table"} & set(device.commands)
            assert {"temperature_h", "clear_alarm_h", "relay_state_2"} <= set(device.attributes) | set(device.commands)

    asyncio.run(main())


def test_only_the_inputs_and_loops_in_use_are_there_and_asked_for() -> None:
    async def main() -> None:
        async with bench(used_inputs=["D", "A"], used_loops=["2"]) as (simulator, device):
            assert {"temperature_a", "temperature_d", "setpoint_2"} <= set(device.attributes)
            assert not {"temperature_b", "temperature_c", "setpoint_1", "setpoint_3"} & set(device.attributes)
            assert not sent(simulator, "LOOP 1") + sent(simulator, "INP B:TEMP")
            # Loop 2 listens to input B, which is not in use; its unit counts all the same.
            simulator.instrument.settings.inputs["B"].units = "C"
            await until(lambda: device.attributes["setpoint_2"].spec.unit == "degC", "the unit of the loop")
            assert value(device, "setpoint_2") == pytest.approx(80.0 - 273.15)

    asyncio.run(main())


def test_units_and_values_change_together() -> None:
    async def main() -> None:
        async with bench(prepare=set_apart) as (simulator, device):
            pairs: list[tuple[str, float]] = []
            live = device.attributes["alarm_high_a"]
            live.subscribe(lambda each, reading, event: pairs.append((each.spec.unit, reading.value)))
            await device.put("units_a", "C")
            await until(lambda: device.attributes["temperature_a"].spec.unit == "degC", "the unit")
            wanted = expected(simulator.instrument)
            assert wanted["temperature_a"] < -200.0
            await until(lambda: not [x for x in disagreements(device, wanted) if "_a:" in x], "input A is in degC")
            assert device.attributes["temperature_b"].spec.unit == "K"
            units = {name: live.spec.unit for name, live in device.attributes.items()}
            assert units["alarm_high_a"] == units["minimum_a"] == "degC"
            assert (units["slope_a"], units["variance_a"]) == ("degC/min", "degC^2")
            assert (units["slope_b"], units["variance_b"]) == ("K/min", "K^2")
            # Loop 4 listens to input A, loop 1 to input D.
            assert (units["setpoint_4"], units["rate_4"], units["p_gain_4"]) == ("degC", "degC/min", "%/degC")
            assert (units["setpoint_1"], units["heat_sink_1"]) == ("K", "degC")
            assert value(device, "setpoint_4") == pytest.approx(64.0 - 273.15)
            assert value(device, "max_setpoint_4") == pytest.approx(314.0 - 273.15)
            # 301 K is 27.85 degC, and was never shown as anything else: the new unit and the new number come as a pair.
            assert pairs[-1] == ("degC", pytest.approx(27.85))
            assert {unit for unit, number in pairs if number == pytest.approx(301.0)} <= {"K", "degC"}
            await until(lambda: value(device, "alarm_high_a") == pytest.approx(27.85), "the alarm limit")

    asyncio.run(main())


def test_a_unit_changed_at_the_front_panel_is_followed_to_fahrenheit_and_to_the_sensor() -> None:
    async def main() -> None:
        async with bench(prepare=set_apart) as (simulator, device):
            settings = simulator.instrument.settings.inputs["B"]
            settings.units = "F"
            await until(lambda: device.attributes["temperature_b"].spec.unit == "degF", "degF")
            channel = simulator.instrument.inputs["B"]
            assert channel.displayed is not None
            assert value(device, "temperature_b") == pytest.approx(channel.displayed * 1.8 - 459.67, abs=1e-3)
            # Input B has sensor 34, a resistor; the interlock listens to it, and its limit is 333 K = 139.73 degF.
            await until(lambda: device.attributes["overtemperature_limit"].spec.unit == "degF", "the interlock")
            assert value(device, "overtemperature_limit") == pytest.approx(139.73)
            assert device.attributes["sensor_reading_b"].spec.unit == "ohm"
            settings.units = "S"
            await until(lambda: device.attributes["temperature_b"].spec.unit == "ohm", "the sensor's own unit")
            assert value(device, "temperature_b") == pytest.approx(value(device, "sensor_reading_b"))
            assert value(device, "sensor_name_b") == "R400"
            await device.put("sensor_b", 1)
            await until(lambda: value(device, "sensor_name_b") == "S900 Diode", "the sensor's name")
            await until(lambda: device.attributes["temperature_b"].spec.unit == "V", "a diode gives V")

    asyncio.run(main())


def test_a_loop_that_changes_its_source_changes_its_unit() -> None:
    async def main() -> None:
        async with bench() as (simulator, device):
            await device.put("units_c", "C")
            assert device.attributes["setpoint_1"].spec.unit == "K"
            await device.put("source_1", "C")
            await until(lambda: device.attributes["setpoint_1"].spec.unit == "degC", "the unit of input C")
            assert value(device, "setpoint_1") == pytest.approx(80.0 - 273.15)
            simulator.instrument.settings.relays[2].source = "C"
            await until(lambda: device.attributes["relay_high_2"].spec.unit == "degC", "the unit of the relay")
            assert value(device, "relay_high_2") == pytest.approx(350.0 - 273.15)

    asyncio.run(main())


def test_a_broken_sensor_is_invalid_with_its_reason_and_comes_back() -> None:
    async def main() -> None:
        async with bench(speed=5.0) as (simulator, device):
            temperature = device.attributes["temperature_b"]
            simulator.open_sensor("B")
            await until(lambda: temperature.quality is Quality.INVALID, "INVALID")
            assert temperature.reading.value is None
            assert "sensor fault" in temperature.reading.reason
            assert device.attributes["temperature_a"].quality is Quality.VALID
            simulator.open_sensor("B", False)
            await until(lambda: temperature.quality is Quality.VALID, "back")
            simulator.leave_curve("B")
            await until(lambda: temperature.quality is Quality.INVALID, "beyond the curve")
            assert "outside the calibration curve" in temperature.reading.reason
            assert device.attributes["sensor_reading_b"].quality is Quality.VALID, "the sensor itself is well"
            simulator.leave_curve("B", False)
            await until(lambda: temperature.quality is Quality.VALID, "back on the curve")

    asyncio.run(main())


def test_the_instrument_s_own_alarm_is_an_alarm_of_the_device() -> None:
    async def main() -> None:
        async with bench(speed=5.0) as (simulator, device):
            await device.put("alarm_high_d", 300.0)
            await device.put("alarm_high_enabled_d", True)
            await device.put("alarm_latched_d", True)
            simulator.set_temperature("D", 305.0)
            await becomes(device, "alarm_state_d", "HI")
            await until(lambda: device.attributes["temperature_d"].quality is Quality.ALARM, "the temperature")
            assert device.state is DeviceState.ALARM
            assert "temperature_d" in device.alarm_summary.value
            assert "alarm_state_d = HI" in device.alarm_summary.value
            simulator.set_temperature("D", 280.0)
            await until(lambda: value(device, "temperature_d") < 281.0, "cold again")
            assert value(device, "alarm_state_d") == "HI", "the alarm is latched"
            await device.run("clear_alarm_d")
            assert value(device, "alarm_state_d") == "--"
            await until(lambda: device.attributes["temperature_d"].quality is Quality.VALID, "no alarm")
            assert device.state is DeviceState.STANDBY

    asyncio.run(main())


def test_clearing_one_alarm_leaves_the_others() -> None:
    async def main() -> None:
        async with bench(speed=5.0) as (simulator, device):
            for letter in "bd":
                await device.put(f"alarm_low_{letter}", 300.0)
                await device.put(f"alarm_low_enabled_{letter}", True)
                await device.put(f"alarm_latched_{letter}", True)
                await becomes(device, f"alarm_state_{letter}", "LO")
            await device.put("alarm_low_enabled_b", False)
            await device.put("alarm_low_enabled_d", False)
            await device.run("clear_alarm_b")
            assert (value(device, "alarm_state_b"), value(device, "alarm_state_d")) == ("--", "LO")
            assert simulator.instrument.inputs["D"].alarm == "LO"

    asyncio.run(main())


def test_a_sensor_fault_is_an_alarm_when_the_instrument_calls_it_one() -> None:
    async def main() -> None:
        async with bench(speed=5.0) as (simulator, device):
            await device.put("alarm_fault_enabled_c", True)
            simulator.open_sensor("C")
            await becomes(device, "alarm_state_c", "SF")
            assert device.attributes["temperature_c"].quality is Quality.INVALID
            assert device.state is DeviceState.ALARM
            assert "alarm_state_c = SF" in device.status

    asyncio.run(main())


def test_an_answer_that_nobody_expected_spoils_no_other() -> None:
    def newer_firmware(instrument: CryoConInstrument) -> None:
        instrument.settings.loops[3].range = "20V"
        instrument.settings.loops[4].range = "MID"

    async def main() -> None:
        async with bench(prepare=newer_firmware) as (_, device):
            for name, text in (("range_3", "20V"), ("range_4", "MID")):
                reading = device.attributes[name].reading
                assert reading.quality is Quality.INVALID
                assert text in reading.reason
            assert (value(device, "range_2"), value(device, "type_4")) == ("MID", "OFF")
            assert device.state is DeviceState.STANDBY

    asyncio.run(main())
