"""What is put into a CryoCon device reaches the simulated instrument, at once, or is refused for a reason."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import pytest

from devices.core import DeviceState
from devices.core.errors import BadValueError, NotConnectedError, RangeError, RefusedError
from devices.drivers.cryocon_items import Setting
from devices.drivers.cryocon_models import MODELS
from devices.simulators.cryocon.instrument import CryoConInstrument
from tests.cryocon.cryocon_bench import becomes, bench, lines, sent, set_apart, value
from tests.support.running import until


def other(device: Any, name: str) -> Any:
    """A value that may be put and is not the present one."""
    live = device.attributes[name]
    datatype, now = live.spec.datatype, live.reading.value
    if datatype.labels:
        return next(text for text in datatype.labels if text not in (now, "SCALE"))
    if isinstance(now, bool):
        return not now
    if isinstance(now, str):
        return now[:10] + " new"
    special = {"load": 25 if now == 50 else 50, "sensor": 61, "pid_table": 5, "max_power": 90.0}
    return {"line_frequency": 50, **special}.get(name, special.get(name.rpartition("_")[0], now + 1))


@pytest.mark.parametrize("model", list(MODELS))
def test_every_writable_attribute_is_put_and_read_back(model: str) -> None:
    async def main() -> None:
        async with bench(model) as (simulator, device):
            hooked = [name for name, live in device.attributes.items() if live.spec.writable]
            assert len(hooked) > 60
            for name in hooked:
                if value(device, name) is None or name.startswith("units"):
                    continue  # not applicable to this sensor; units are looked at elsewhere
                wanted = other(device, name)
                await device.put(name, wanted)
                live = device.attributes[name]
                assert live.setpoint is not None
                assert live.reading.value == live.setpoint.value == pytest.approx(wanted), name
                assert live.reading.value == (await _asked(device, name)), name
            settings = simulator.instrument.settings
            assert settings.inputs["B"].name == "Channel B new"
            assert settings.system.lockout is True
            assert settings.relays[2].highest == 351.0
            if model != "18i":
                assert settings.loops[2].setpoint == 81.0
                assert settings.loops[2].p_gain == 6.0

    asyncio.run(main())


async def _asked(device: Any, name: str) -> Any:
    """What the instrument says now, asked past the device's readings."""
    for component in device.components:
        for key, live in component.live.items():
            if live.name == name:
                item = getattr(type(component), key)
                query = item.query(component) if hasattr(item, "item") else component.subsystem.setpoint
                assert isinstance(query, Setting)
                return await query.read()
    raise AssertionError(name)


def test_a_setpoint_reaches_the_instrument_and_is_read_back() -> None:
    async def main() -> None:
        async with bench(speed=200.0) as (simulator, device):
            await device.put("setpoint_1", 77.5)
            assert simulator.instrument.settings.loops[1].setpoint == 77.5
            assert value(device, "setpoint_1") == 77.5
            await device.run("control_on")
            assert device.state is DeviceState.ON
            # The stage is at 80 K with a sink of 20 K through 50 mW/K: 2.875 W of the 5 W of range MID hold 77.5 K.
            await until(lambda: abs(value(device, "temperature_a") - 77.5) < 0.05, "it regulates", 10.0)
            await until(lambda: value(device, "output_power_1") == pytest.approx(57.5, abs=3.0), "the power", 10.0)

    asyncio.run(main())


def test_a_change_at_the_front_panel_moves_setpoint_and_readback() -> None:
    async def main() -> None:
        async with bench() as (simulator, device):
            await device.put("setpoint_2", 99.0)
            simulator.instrument.settings.loops[2].setpoint = 120.0
            simulator.instrument.settings.loops[2].p_gain = 7.5
            for name, turned in (("setpoint_2", 120.0), ("p_gain_2", 7.5)):
                await becomes(device, name, turned)
                live = device.attributes[name]
                assert live.setpoint is not None
                assert live.setpoint.value == turned

    asyncio.run(main())


def test_a_setpoint_above_the_highest_is_refused_and_nothing_is_sent() -> None:
    async def main() -> None:
        async with bench() as (simulator, device):
            await device.put("max_setpoint_1", 300.0)
            with pytest.raises(RangeError, match=r"setpoint_1 = 300.5 K is above max_setpoint_1 = 300.0 K"):
                await device.put("setpoint_1", 300.5)
            for wrong in (math.nan, math.inf, -math.inf):
                with pytest.raises(RangeError, match=r"nan|inf"):
                    await device.put("setpoint_1", wrong)
            with pytest.raises(RangeError, match=r"max_power_1 = 100.5 % is outside \[0.0, 100.0\] %"):
                await device.put("max_power_1", 100.5)
            with pytest.raises(RangeError, match=r"LOAD = 30 is outside 25, 50"):
                await device.put("load_1", 30)
            with pytest.raises(BadValueError, match="semicolons"):
                await device.put("input_name_a", 'a";STOP')
            with pytest.raises(RangeError, match="16 characters, more than 15"):
                await device.put("input_name_a", "0123456789abcdef")
            assert not sent(simulator, "SETP 3") + sent(simulator, "MAXP 1") + sent(simulator, "STOP")
            await device.put("setpoint_1", 300.0)

    asyncio.run(main())


def test_what_the_instrument_refuses_is_refused_to_who_asked_and_named() -> None:
    async def main() -> None:
        async with bench() as (simulator, device):
            # Somebody lowered the limit at the front panel, and no poll has seen it yet.
            simulator.instrument.settings.loops[1].max_setpoint = 100.0
            with pytest.raises(RefusedError, match=r"LOOP 1:SETPt 150 was refused \(NACK\)"):
                await device.put("setpoint_1", 150.0)
            assert value(device, "setpoint_1") == 80.0
            setpoint = device.attributes["setpoint_1"].setpoint
            assert setpoint is not None
            assert setpoint.value == 80.0
            with pytest.raises(RefusedError, match="input Z:units K was refused"):
                await device.run("send", {"text": "input Z:units K"})
            with pytest.raises(RefusedError, match="FUTURE"):
                await device.run("query", {"text": "FUTURE?"})
            assert await device.run("query", {"text": "LOOP 1:MAXS?"}) == "100.000000K"

    asyncio.run(main())


def test_the_power_limit_holds() -> None:
    async def main() -> None:
        async with bench(speed=50.0) as (simulator, device):
            await device.put("max_power_1", 12.5)
            await device.put("setpoint_1", 300.0)
            await device.run("control_on")
            await until(lambda: value(device, "output_power_1") == 12.5, "the output is bounded")
            await until(lambda: value(device, "heater_current_1") > 0.0, "the heater's own readings")
            # 12.5 % of 5 W into 50 ohm: 0.625 W.
            await until(
                lambda: math.isclose(value(device, "heater_voltage_1") ** 2 / 50.0, 0.625, rel_tol=1e-3), "the voltage"
            )
            assert value(device, "heater_current_1") == pytest.approx(math.sqrt(0.625 / 50.0), rel=1e-3)
            assert value(device, "heater_resistance_1") == 50.0
            assert value(device, "heater_readback_1") == pytest.approx(12.5, abs=0.5)
            await device.run("control_off")
            assert device.state is DeviceState.STANDBY
            assert simulator.instrument.settings.control is False
            await becomes(device, "output_power_1", 0.0)

    asyncio.run(main())


def test_a_ramp_shows_that_it_is_one() -> None:
    async def main() -> None:
        async with bench(speed=20.0) as (_, device):
            await device.put("rate_1", 60.0)
            await device.put("type_1", "RAMPP")
            await device.run("control_on")
            await device.put("setpoint_1", 90.0)
            await becomes(device, "ramping_1", True)
            await becomes(device, "ramping_1", False)

    asyncio.run(main())


def test_the_interlock_ends_control_and_says_so_to_who_wants_it_back() -> None:
    async def main() -> None:
        async with bench(speed=5.0) as (simulator, device):
            await device.run("control_on")
            await device.put("overtemperature_source", "D")
            await device.put("overtemperature_limit", 310.0)
            await device.put("overtemperature_enabled", True)
            assert device.state is DeviceState.ON
            simulator.set_temperature("D", 320.0)
            await until(lambda: device.state is DeviceState.STANDBY, "control ends")
            assert value(device, "control") is False
            assert "not in control" in device.status

    asyncio.run(main())


def test_relays_follow_their_source_or_a_hand() -> None:
    async def main() -> None:
        async with bench(speed=5.0) as (simulator, device):
            await device.put("relay_mode_2", "ON")
            await becomes(device, "relay_state_2", "ON")
            await device.put("relay_source_2", "D")
            await device.put("relay_high_2", 285.0)
            await device.put("relay_mode_2", "AUTO")
            await becomes(device, "relay_state_2", "HI")
            assert value(device, "relay_state_1") == "OFF"
            simulator.set_temperature("D", 280.0)
            await becomes(device, "relay_state_2", "--")

    asyncio.run(main())


def test_a_put_goes_ahead_of_everything_that_is_polled() -> None:
    async def main() -> None:
        async with bench(period=0.05, settings_period=0.5, spacing=0.005) as (simulator, device):
            simulator.delay(0.02)
            polled = len(sent(simulator, "CONT?"))
            for n in range(20):
                before = len(simulator.messages)
                began = time.monotonic()
                await device.put("setpoint_1", 70.0 + n)
                after = lines(simulator)[before:]
                position = next(i for i, line in enumerate(after) if line.startswith(f"LOOP 1:SETP {70 + n}"))
                # One message may be on the line already; none that waits goes before.
                assert position <= 1, after
                assert time.monotonic() - began < 1.0
            assert len(sent(simulator, "CONT?")) > polled, "the polls go on meanwhile"

    asyncio.run(main())


def test_an_older_answer_never_undoes_a_put() -> None:
    async def main() -> None:
        # A poll of a 24C takes two lines; the set points of loops 1 and 2 are in the first.
        async with bench(period=0.05, spacing=0.005) as (simulator, device):
            simulator.delay(0.02)
            seen: list[Any] = []
            for name in ("setpoint_1", "control"):
                device.attributes[name].subscribe(lambda live, reading, event: seen.append(reading.value))

            def polls() -> int:
                return len(sent(simulator, "CONT?;:INP"))

            for n in range(8):
                before = polls()
                await until(lambda: polls() > before, "a poll begins")  # noqa: B023
                seen.clear()
                await device.put("setpoint_1", 60.0 + n)
                assert "CONT?;:INP" in lines(simulator)[-2], "the put came between the two lines of a poll"
                await device.run("control_on" if n % 2 else "control_off")
                before = polls()
                await until(lambda: polls() >= before + 2, "two polls later")  # noqa: B023
                assert [v for v in seen if not isinstance(v, bool)] == [60.0 + n]
                assert [v for v in seen if isinstance(v, bool)] in ([], [bool(n % 2)])

    asyncio.run(main())


def test_other_things_an_operator_does() -> None:
    def differ(instrument: CryoConInstrument) -> None:
        set_apart(instrument)
        instrument.settings.control = False

    async def main() -> None:
        async with bench(prepare=differ, speed=1.0) as (simulator, device):
            instrument = simulator.instrument

            def spread() -> float:
                return float(value(device, "maximum_b") or 999.0) - float(value(device, "minimum_b") or 0.0)

            # Input B was on its way from 60 K to its stage at 54 K.
            assert 2.0 < spread() < 900.0
            assert value(device, "statistics_minutes") > 0.049
            await device.run("reset_statistics")
            await until(lambda: value(device, "statistics_minutes") < 0.049, "statistics begin anew")
            await until(lambda: spread() < 2.0, "of the inputs, too")
            await device.run("beep", {"seconds": 2})
            assert sent(simulator, "SYST:BEEP 2")
            await device.put("setpoint_1", 50.0)
            await device.run("save_settings")
            await device.put("setpoint_1", 51.0)
            await device.run("reset")
            await becomes(device, "setpoint_1", 50.0)
            await becomes(device, "instrument_name", "Dewar 7")
            instrument.inputs["A"].displayed = 10.0
            await device.run("reseed")
            assert instrument.inputs["A"].displayed is not None
            assert instrument.inputs["A"].displayed > 11.0

    asyncio.run(main())


def test_without_a_link_a_put_says_so() -> None:
    async def main() -> None:
        async with bench() as (simulator, device):
            await simulator.stop()
            await until(lambda: device.state is DeviceState.FAULT, "the link is lost")
            with pytest.raises(NotConnectedError):
                await device.put("setpoint_1", 70.0)
            with pytest.raises(NotConnectedError):
                await device.put("p_gain_1", 2.0)
            with pytest.raises(NotConnectedError):
                await device.run("control_on")

    asyncio.run(main())
