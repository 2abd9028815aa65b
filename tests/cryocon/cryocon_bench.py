"""A CryoCon device on a simulated instrument, and what each attribute must hold by the instrument's own state."""

from __future__ import annotations

import asyncio
import itertools
import math
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from devices.core import DeviceState, Quality
from devices.cryocon import CryoCon
from devices.drivers.cryocon_models import LoopKind
from devices.simulators.cryocon import CryoConSimulator
from devices.simulators.cryocon.instrument import CryoConInstrument, displayed
from tests.support.running import running, until

#: A name of its own for every device: the process remembers which have had their init commands.
NUMBERS = itertools.count(1)
#: So slow that nothing moves while a test looks.
FROZEN = 1e-6
QUICK = {"period": 0.05, "settings_period": 0.6, "spacing": 0.0}


def device_on(simulator: CryoConSimulator, **properties: Any) -> CryoCon:
    given = {"link": simulator.url, "model": simulator.instrument.model.name, **QUICK, **properties}
    return CryoCon(f"test/cryocon/{next(NUMBERS)}", given)


@asynccontextmanager
async def bench(
    model: str = "24C",
    *,
    speed: float = FROZEN,
    prepare: Callable[[CryoConInstrument], None] | None = None,
    **properties: Any,
) -> AsyncIterator[tuple[CryoConSimulator, CryoCon]]:
    """A simulator, and a device that has read everything there is."""
    async with CryoConSimulator(model, seed=7, speed=speed) as simulator:
        if prepare is not None:
            prepare(simulator.instrument)
        async with running(device_on(simulator, **properties)) as device:
            await read_through(device)
            yield simulator, device


async def read_through(device: CryoCon) -> None:
    """Wait until every register has been read."""
    await until(lambda: device.connected and not device.unread, "the settings are read", 15.0)
    await until(
        lambda: all(live.reading.reason != "no value yet" for live in device.attributes.values()), "all is read"
    )
    await until(lambda: device.state is not DeviceState.INIT, "the first contact")


def value(device: CryoCon, name: str) -> Any:
    """The present value; None when INVALID."""
    return device.attributes[name].reading.value


async def becomes(device: CryoCon, name: str, wanted: Any, seconds: float = 5.0) -> None:
    await until(lambda: value(device, name) == wanted, f"{name} = {wanted}", seconds)


def lines(simulator: CryoConSimulator) -> list[str]:
    return [text for _, text in simulator.messages]


def sent(simulator: CryoConSimulator, part: str) -> list[str]:
    """The messages that hold ``part``."""
    return [line for line in lines(simulator) if part in line]


def set_apart(instrument: CryoConInstrument) -> None:
    """Give every input, loop and relay values of its own, and let the instrument work with them for 3 s."""
    settings = instrument.settings
    for n, each in enumerate(settings.inputs.values(), start=1):
        each.name, each.sensor = f"Stage {n}", (20, 1, 34)[n % 3]
        each.alarm_highest, each.alarm_lowest, each.alarm_deadband = 300.0 + n, 1.0 + n / 8, n / 16
        each.alarm_high_enabled, each.alarm_latched, each.alarm_audible = n % 2 == 0, n % 3 == 0, n == 1
        each.alarm_low_enabled, each.alarm_fault_enabled = n == 2, n == 3
        each.bias_voltage, each.bridge_range = ("1.0MV", "300UV")[n % 2], ("10UA", "100UA")[n % 2]
        each.polarity, each.ac_excitation = ("NEGATIVE", "POSITIVE")[n % 2], n % 2 == 0
        # Within the curve of any of the three sensors, and no two alike.
        instrument.inputs["ABCDEFGH"[n - 1]].stage.temperature = 40.0 + 7.0 * n
    for n, loop in settings.loops.items():
        loop.source = instrument.model.inputs[-n % len(settings.inputs)]
        loop.setpoint, loop.max_setpoint = 60.0 + n, 310.0 + n
        loop.type = ("RAMPP", "MAN", "PID", "OFF")[n - 1]
        loop.rate, loop.manual_power, loop.max_power = 3.0 * n, 10.0 * n, 90.0 - n
        loop.p_gain, loop.i_gain, loop.d_gain = 1.5 * n, 20.0 + n, 0.25 * n
        loop.load, loop.pid_table = (25, 50)[n % 2], n
        loop.range = ("HI", "LOW", "5V", "10V")[n - 1]
    for n, relay in settings.relays.items():
        relay.source = instrument.model.inputs[n % len(settings.inputs)]
        relay.highest, relay.lowest, relay.deadband, relay.mode = 40.0 + n, 3.0 + n, n / 4, ("AUTO", "CONTROL")[n - 1]
    interlock, system = settings.overtemperature, settings.system
    interlock.enabled, interlock.source, interlock.temperature = True, "B", 333.0
    system.name, system.lockout, system.remote_led = "Dewar 7", True, True
    system.display_filter, system.display_resolution, system.line_frequency = 2.0, "2", 50
    system.address, system.log_enabled, system.log_interval = 17, True, 0.5
    settings.control = instrument.model.controls
    instrument.advance(3.0)


def expected(instrument: CryoConInstrument) -> dict[str, Any]:
    """What every attribute must hold; a number within 1e-3 of its size, None where the quality must be INVALID."""
    values: dict[str, Any] = {}
    for letter in instrument.inputs:
        values |= {f"{name}_{letter.lower()}": item for name, item in _of_input(instrument, letter).items()}
    for number in instrument.loops:
        values |= {f"{name}_{number}": item for name, item in _of_loop(instrument, number).items()}
    for number, relay in instrument.relays.items():
        settings = relay.settings
        values |= {
            f"relay_state_{number}": relay.state, f"relay_mode_{number}": settings.mode,
            f"relay_source_{number}": settings.source, f"relay_high_{number}": settings.highest,
            f"relay_low_{number}": settings.lowest, f"relay_deadband_{number}": settings.deadband,
        }  # fmt: skip
    system, interlock = instrument.settings.system, instrument.settings.overtemperature
    values |= {
        "identity": f"Cryo-con {instrument.model.name}, serial 204683, firmware 3.30A",
        "firmware": "3.30A", "hardware": "12A4", "instrument_name": system.name,
        "front_panel_locked": system.lockout, "remote_led": system.remote_led,
        "display_filter": system.display_filter, "display_resolution": system.display_resolution,
        "line_frequency": system.line_frequency, "gpib_address": system.address,
        "ambient_temperature": 297.0 - 273.15, "cold_junction": None,
        "statistics_minutes": instrument.inputs["A"].statistics.seconds / 60.0,
        "log_enabled": system.log_enabled, "log_interval": system.log_interval, "log_count": len(instrument.log),
    }  # fmt: skip
    if instrument.model.controls:
        hottest = max(loop.heat_sink for loop in instrument.loops.values())
        values |= {
            "control": instrument.settings.control, "heat_sink": hottest - 273.15,
            "overtemperature_enabled": interlock.enabled, "overtemperature_source": interlock.source,
            "overtemperature_limit": interlock.temperature,
        }  # fmt: skip
    return values


def _of_input(instrument: CryoConInstrument, letter: str) -> dict[str, Any]:
    channel = instrument.inputs[letter]
    settings, statistics = channel.settings, channel.statistics
    curve = instrument.sensors[settings.sensor]
    units = settings.units
    assert channel.displayed is not None
    return {
        "temperature": displayed(channel.displayed, units), "units": units,
        "sensor_reading": abs(curve.multiplier) * curve.reading(channel.stage.sensed), "alarm_state": channel.alarm,
        "input_name": settings.name, "sensor": settings.sensor, "sensor_name": curve.name,
        "bias_voltage": settings.bias_voltage if curve.sensor_type == "ACR" else None,
        "bridge_range": settings.bridge_range if curve.sensor_type != "DIODE" else None,
        "ac_excitation": settings.ac_excitation if curve.sensor_type == "PTC100" else None,
        "bridge_unlocked": False, "polarity": settings.polarity,
        "minimum": displayed(statistics.minimum, units), "maximum": displayed(statistics.maximum, units),
        "variance": statistics.variance, "slope": statistics.slope, "offset": displayed(statistics.offset, units),
        "alarm_high": displayed(settings.alarm_highest, units), "alarm_low": displayed(settings.alarm_lowest, units),
        "alarm_deadband": settings.alarm_deadband, "alarm_high_enabled": settings.alarm_high_enabled,
        "alarm_low_enabled": settings.alarm_low_enabled, "alarm_fault_enabled": settings.alarm_fault_enabled,
        "alarm_latched": settings.alarm_latched, "alarm_audible": settings.alarm_audible,
    }  # fmt: skip


def _of_loop(instrument: CryoConInstrument, number: int) -> dict[str, Any]:
    loop = instrument.loops[number]
    settings = loop.settings
    measured = instrument.inputs[settings.source].measured
    assert measured is not None
    values: dict[str, Any] = {
        "setpoint": settings.setpoint, "type": settings.type, "range": settings.range, "source": settings.source,
        "rate": settings.rate, "p_gain": settings.p_gain, "i_gain": settings.i_gain, "d_gain": settings.d_gain,
        "manual_power": settings.manual_power, "max_power": settings.max_power, "max_setpoint": settings.max_setpoint,
        "pid_table": settings.pid_table, "output_power": loop.output, "ramping": loop.ramping,
        "control_error": settings.setpoint - measured,
    }  # fmt: skip
    if loop.model.kind is LoopKind.ANALOG:
        return values | {"output_voltage": loop.output / 100.0 * loop.volts_full_scale}
    ohm = float(settings.load)
    return values | {
        "heater_readback": round(loop.output), "load": settings.load, "heat_sink": loop.heat_sink - 273.15,
        "heater_voltage": math.sqrt(loop.supplied_watts * ohm), "heater_resistance": ohm,
        "heater_current": math.sqrt(loop.supplied_watts / ohm),
    }  # fmt: skip


def disagreements(device: CryoCon, wanted: dict[str, Any]) -> list[str]:
    """The attributes that do not hold what they must."""
    found = []
    for name, item in wanted.items():
        reading = device.attributes[name].reading
        good = reading.value == item
        if item is None:
            good = reading.quality is Quality.INVALID
        elif isinstance(item, float) and isinstance(reading.value, float):
            good = math.isclose(reading.value, item, rel_tol=1e-3, abs_tol=1e-3)
        if not good:
            found.append(f"{name}: {reading}, not {item!r}")
    return found


class InAThread:
    """A simulator in a thread of its own, for tests that block; ``do`` changes it in its own loop."""

    def __init__(self, model: str = "24C", speed: float = FROZEN, port: int = 0) -> None:
        self.simulator = CryoConSimulator(model, seed=7, speed=speed)
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._up = threading.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._main()))

    async def _main(self) -> None:
        await self.simulator.start(port=self._port)
        self._up.set()
        await self._end.wait()
        await self.simulator.stop()

    def do(self, function: Callable[..., Any], *args: Any) -> Any:
        async def call() -> Any:
            return function(*args)

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(5.0)

    def __enter__(self) -> InAThread:
        self._thread.start()
        assert self._up.wait(5.0)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(5.0)
        self._loop.close()
