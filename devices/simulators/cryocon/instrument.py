"""A Cryo-con without its sockets: stages, inputs, loops, relays, clock and data log, advanced in simulated time."""

from __future__ import annotations

import copy
import random
from collections import deque
from datetime import datetime, timedelta

from devices.drivers.cryocon_models import MODELS
from devices.simulators.cryocon.channels import ControlLoop, Relay, SensorInput, Statistics
from devices.simulators.cryocon.physics import FACTORY_SENSORS, Gains, SensorCurve, Stage, TuningStatus
from devices.simulators.cryocon.settings import (
    PidTableEntry,
    Settings,
    StoredConfiguration,
    StoredPidTable,
    factory_settings,
)

STEP = 0.1
"""The instrument samples and controls ten times in a second of its own time."""

LOG_CAPACITY = 1000
STORE_SECONDS = 5.0
"""How long a curve that was sent takes to become the curve that is used."""

SERIAL = "204683"
FIRMWARE = "3.30A"
HARDWARE = "12A4"


def _stages(count: int) -> list[Stage]:
    """A cryostat: cold finger, radiation shield, cold plate, and room-temperature plumbing."""
    kinds = (
        (5.0, 0.05, 20.0, 80.0),
        (12.0, 0.08, 35.0, 60.0),
        (3.0, 0.10, 22.0, 25.0),
        (400.0, 2.0, 290.0, 290.0),
    )
    return [Stage(*kinds[number % 4]) for number in range(count)]


class CryoConInstrument:
    """The state of one simulated instrument.

    Args:
        model: one of ``MODELS``.
        seed: of all noise.
        start: the date and time its clock shows at the beginning.
    """

    def __init__(self, model: str, seed: int, start: datetime) -> None:
        self.model = MODELS[model]
        self.identity = f"Cryo-con,{model},{SERIAL},{FIRMWARE}"
        self.elapsed = 0.0
        self.clock_start = start
        self.stages = _stages(max(len(self.model.inputs), len(self.model.loops)))
        self.inputs: dict[str, SensorInput] = {}
        self.loops: dict[int, ControlLoop] = {}
        self.relays: dict[int, Relay] = {}
        self.log: deque[tuple[int, datetime, list[str]]] = deque(maxlen=LOG_CAPACITY)
        self.log_number = 0
        self.error_seen = False
        self.sensors = dict(FACTORY_SENSORS)
        self.pid_tables = {index: _default_table(index) for index in self.model.pid_tables}
        self.configurations = {
            index: StoredConfiguration(f"Config {index}", factory_settings(self.model))
            for index in self.model.configurations
        }
        self._noise = random.Random(seed)  # noqa: S311
        self._debt = 0.0
        self._next_record = 0.0
        self._curves_in_work: dict[int, tuple[float, SensorCurve]] = {}
        self._saved = factory_settings(self.model)
        for user, sensor in enumerate(self.model.user_sensors, start=1):
            curve = FACTORY_SENSORS[20]
            self.sensors[sensor] = SensorCurve(f"User Sensor {user}", curve.sensor_type, curve.units, 1.0, curve.points)
        self.settings = self._saved
        self.restart()
        self.advance(STEP)

    @property
    def now(self) -> datetime:
        """What the clock of the instrument shows."""
        return self.clock_start + timedelta(seconds=self.elapsed)

    def restart(self) -> None:
        """Begin with the settings that NVSave has kept, as after power on."""
        self.adopt(self._saved)

    def save(self) -> None:
        """Keep the present settings over the next restart."""
        self._saved = copy.deepcopy(self.settings)

    def adopt(self, settings: Settings) -> None:
        """Work with a copy of other settings; what is measured goes on."""
        self.settings = copy.deepcopy(settings)
        for position, (letter, input_settings) in enumerate(self.settings.inputs.items()):
            if letter in self.inputs:
                self.inputs[letter].settings = input_settings
            else:
                self.inputs[letter] = SensorInput(input_settings, self.stages[position])
        self.loops = {
            number: ControlLoop(number, self.model.loops[number], loop_settings)
            for number, loop_settings in self.settings.loops.items()
        }
        self.relays = {number: Relay(relay_settings) for number, relay_settings in self.settings.relays.items()}

    def advance(self, seconds: float) -> None:
        """Let simulated time pass, in steps of ``STEP``; what is left over counts next time."""
        self._debt += seconds
        while self._debt >= STEP - 1e-9:
            self._debt -= STEP
            self._step()

    def _step(self) -> None:
        self.elapsed += STEP
        for position, stage in enumerate(self.stages, start=1):
            heater = self.loops.get(position)
            stage.advance(STEP, heater.heating_watts if heater else 0.0)
        system = self.settings.system
        for channel in self.inputs.values():
            channel.advance(STEP, self.sensors.get(channel.settings.sensor), system.display_filter, self._noise)
        interlock = self.settings.overtemperature
        hottest = self.inputs[interlock.source].measured
        if interlock.enabled and hottest is not None and hottest > interlock.temperature:
            self.settings.control = False
        for loop in self.loops.values():
            entry = loop.table_entry(self.pid_tables)
            source = entry.source if entry and entry.source in self.inputs else loop.settings.source
            loop.advance(STEP, self.settings.control, self.inputs[source].measured, entry)
        for relay in self.relays.values():
            relay.advance(self.inputs[relay.settings.source].displayed, self.settings.control)
        self._store_curves()
        self._record()

    def store_curve(self, index: int, curve: SensorCurve) -> None:
        """Take a curve for user sensor ``index``; it is used when it has been worked through."""
        self._curves_in_work[index] = (self.elapsed + STORE_SECONDS, curve)

    def _store_curves(self) -> None:
        for index, (ready, curve) in list(self._curves_in_work.items()):
            if self.elapsed >= ready:
                self.sensors[self.model.user_sensors[index - 1]] = curve
                del self._curves_in_work[index]

    def _record(self) -> None:
        system = self.settings.system
        if not system.log_enabled:
            self._next_record = self.elapsed
        elif self.elapsed >= self._next_record:
            self._next_record += max(system.log_interval, STEP)
            self.log_number += 1
            self.log.append((self.log_number, self.now, [self.temperature_text(letter) for letter in self.inputs]))

    def temperature_text(self, letter: str) -> str:
        """What the display shows of an input."""
        channel = self.inputs[letter]
        if channel.settings.sensor == 0:
            return "N/A"
        if channel.open or channel.settings.sensor not in self.sensors:
            return "-------"
        if channel.displayed is None:
            return "......."
        if channel.settings.units == "S":
            return self.sensor_text(letter)
        return f"{displayed(channel.displayed, channel.settings.units):.6f}"

    def sensor_text(self, letter: str) -> str:
        """The reading of the sensor itself, in V or ohm."""
        channel = self.inputs[letter]
        if channel.settings.sensor == 0:
            return "N/A"
        curve = self.sensors.get(channel.settings.sensor)
        if channel.open or curve is None:
            return "-------"
        return f"{abs(curve.multiplier) * curve.reading(channel.stage.sensed):.6f}"

    def reset_statistics(self) -> None:
        for channel in self.inputs.values():
            channel.statistics = Statistics()

    def reseed(self) -> None:
        """Let the display filters begin at what is measured now."""
        for channel in self.inputs.values():
            channel.displayed = channel.measured

    def save_tuning(self, loop: ControlLoop) -> bool:
        """Take the gains over that a tuning has found and go on in PID; False when there are none."""
        if loop.tuning.status is not TuningStatus.COMPLETE:
            return False
        loop.settings.p_gain, loop.settings.i_gain, loop.settings.d_gain = loop.tuning.gains
        loop.settings.type = "PID"
        loop.tuning.end(TuningStatus.IDLE)
        return True


def displayed(kelvin: float, units: str) -> float:
    """A temperature in K in a display unit."""
    return {"C": kelvin - 273.15, "F": kelvin * 1.8 - 459.67}.get(units, kelvin)


def kelvin(value: float, units: str) -> float:
    """A temperature in a display unit in K."""
    return {"C": value + 273.15, "F": (value + 459.67) / 1.8}.get(units, value)


def _default_table(index: int) -> StoredPidTable:
    entries = [
        PidTableEntry(300.0, Gains(1.6, 160.0, 0.0), "HI", None),
        PidTableEntry(80.0, Gains(5.0, 60.0, 0.0), "MID", None),
    ]
    return StoredPidTable(f"PID Table {index}", entries)
