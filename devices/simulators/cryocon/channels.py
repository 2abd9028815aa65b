"""The working parts of a simulated Cryo-con: a sensor input, a control loop, a relay."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from devices.drivers.cryocon_models import LoopKind, LoopModel
from devices.simulators.cryocon.physics import Gains, Pid, SensorCurve, Stage, StepTest, TuningStatus
from devices.simulators.cryocon.settings import (
    InputSettings,
    LoopSettings,
    PidTableEntry,
    RelaySettings,
    StoredPidTable,
)

NOISE = 0.002
"""The noise of one temperature reading, in K rms."""

HEATER_WATTS = {1: {"HI": 50.0, "MID": 5.0, "LOW": 0.5}, 2: {"HI": 10.0, "MID": 1.0, "LOW": 0.1}}
"""Full scale of each heater into 50 ohm, in W; in proportion less into 25 ohm, for the current is the same."""

BOOSTER_WATTS_PER_VOLT = 1.0
"""The external supply that an analog output drives."""

AMBIENT = 297.0
"""The air around the instrument, in K."""


@dataclass
class SensorInput:
    """One input: what it measures, displays, judges and counts. Faults are put in from outside."""

    settings: InputSettings
    stage: Stage
    open: bool = False
    beyond_curve: bool = False
    measured: float | None = None
    displayed: float | None = None
    alarm: str = "--"
    statistics: Statistics = field(default_factory=lambda: Statistics())

    def advance(self, seconds: float, curve: SensorCurve | None, filter_seconds: float, noise: random.Random) -> None:
        kelvin = self.stage.sensed + noise.gauss(0.0, NOISE)
        whole = curve is not None and not self.open
        self.measured = (
            kelvin if whole and curve is not None and curve.covers(kelvin) and not self.beyond_curve else None
        )
        if self.measured is None:
            self.displayed = None
        elif self.displayed is None:
            self.displayed = self.measured
        else:
            self.displayed += (self.measured - self.displayed) * -math.expm1(-seconds / filter_seconds)
        if self.displayed is not None:
            self.statistics.take(seconds, self.displayed)
        self._judge(fault=not whole)

    def _judge(self, fault: bool) -> None:
        s = self.settings
        if s.alarm_latched and self.alarm != "--":
            return
        if fault or self.displayed is None:
            self.alarm = "SF" if fault and s.alarm_fault_enabled else "--"
            return
        high = s.alarm_highest - (s.alarm_deadband if self.alarm == "HI" else 0.0)
        low = s.alarm_lowest + (s.alarm_deadband if self.alarm == "LO" else 0.0)
        if s.alarm_high_enabled and self.displayed > high:
            self.alarm = "HI"
        elif s.alarm_low_enabled and self.displayed < low:
            self.alarm = "LO"
        else:
            self.alarm = "--"


@dataclass
class Statistics:
    """Extremes, variance and the straight line of all temperatures since the last reset, in K, and K per minute."""

    count: int = 0
    seconds: float = 0.0
    minimum: float = math.inf
    maximum: float = -math.inf
    _mean: float = 0.0
    _mean_time: float = 0.0
    _spread: float = 0.0
    _spread_time: float = 0.0
    _together: float = 0.0

    def take(self, seconds: float, kelvin: float) -> None:
        # Welford's sums: a variance of 1e-6 at 300 K would drown in plain sums of squares.
        self.count += 1
        self.seconds += seconds
        self.minimum, self.maximum = min(self.minimum, kelvin), max(self.maximum, kelvin)
        off, off_time = kelvin - self._mean, self.seconds - self._mean_time
        self._mean += off / self.count
        self._mean_time += off_time / self.count
        self._spread += off * (kelvin - self._mean)
        self._spread_time += off_time * (self.seconds - self._mean_time)
        self._together += off * (self.seconds - self._mean_time)

    @property
    def variance(self) -> float:
        return self._spread / self.count if self.count else 0.0

    @property
    def slope(self) -> float:
        return 60.0 * self._together / self._spread_time if self._spread_time else 0.0

    @property
    def offset(self) -> float:
        return self._mean - self.slope / 60.0 * self._mean_time


@dataclass
class ControlLoop:
    """One loop: from the temperature of its source to the power of its output."""

    number: int
    model: LoopModel
    settings: LoopSettings
    heater_open: bool = False
    output: float = 0.0
    ramping: bool = False
    heat_sink: float = AMBIENT
    tuning: StepTest = field(default_factory=StepTest)
    pid: Pid = field(default_factory=Pid)
    _target: float | None = None
    _active: bool = False

    def advance(self, seconds: float, control: bool, measured: float | None, entry: PidTableEntry | None) -> None:
        s = self.settings
        if self.tuning.status is TuningStatus.RUNNING:
            if control:
                self.tuning.advance(seconds, measured)
            else:
                self.tuning.end(TuningStatus.ABORT)
        held = control and self.tuning.status in (TuningStatus.RUNNING, TuningStatus.COMPLETE)
        if held:
            self._active = self.ramping = False
        wanted = self.tuning.output if held else self._controlled(seconds, control, measured, entry)
        self.output = min(max(wanted, 0.0), s.max_power)
        warm = AMBIENT + 0.4 * self.supplied_watts
        self.heat_sink += (warm - self.heat_sink) * -math.expm1(-seconds / 60.0)

    def _controlled(self, seconds: float, control: bool, measured: float | None, entry: PidTableEntry | None) -> float:
        s = self.settings
        if not control or measured is None or s.type in ("OFF", "MAN", "SCALE"):
            self._active = self.ramping = False
            if control and s.type == "MAN":
                return s.manual_power
            # The analog outputs can show a temperature: the whole range of the set point is the whole range of volts.
            return 100.0 * measured / s.max_setpoint if control and measured and s.type == "SCALE" else 0.0
        if not self._active:
            self.pid.restart(self.output)
            self._target = measured
            self._active = True
        return self.pid.output(self._gains(entry), self._ramped(seconds), measured, seconds, s.max_power)

    def _ramped(self, seconds: float) -> float:
        s = self.settings
        if s.type not in ("RAMPP", "RAMPT") or self._target is None:
            self._target = s.setpoint
        step = s.rate / 60.0 * seconds
        distance = s.setpoint - self._target
        self.ramping = abs(distance) > step
        self._target = self._target + math.copysign(step, distance) if self.ramping else s.setpoint
        return self._target

    def table_entry(self, tables: Mapping[int, StoredPidTable]) -> PidTableEntry | None:
        """The entry of its PID table that is nearest to the set point, None when no table is in use."""
        table = tables.get(self.settings.pid_table)
        if self.settings.type not in ("TABLE", "RAMPT") or table is None or not table.entries:
            return None
        return min(table.entries, key=lambda entry: abs(entry.setpoint - self.settings.setpoint))

    def _gains(self, entry: PidTableEntry | None) -> Gains:
        s = self.settings
        if entry is None:
            return Gains(s.p_gain, s.i_gain, s.d_gain)
        if entry.range in self.model.ranges:
            s.range = entry.range
        return entry.gains

    @property
    def volts_full_scale(self) -> float:
        """The full scale of an analog output."""
        return 5.0 if self.settings.range == "5V" else 10.0

    @property
    def supplied_watts(self) -> float:
        """What the instrument itself gives to a heater."""
        if self.model.kind is LoopKind.ANALOG or self.heater_open:
            return 0.0
        return self.output / 100.0 * HEATER_WATTS[self.number][self.settings.range] * self.settings.load / 50.0

    @property
    def heating_watts(self) -> float:
        """What arrives at the stage."""
        if self.model.kind is LoopKind.ANALOG:
            return self.output / 100.0 * self.volts_full_scale * BOOSTER_WATTS_PER_VOLT
        return self.supplied_watts


@dataclass
class Relay:
    """One relay."""

    settings: RelaySettings
    state: str = "OFF"

    def advance(self, kelvin: float | None, control: bool) -> None:
        s = self.settings
        if s.mode != "AUTO":
            self.state = ("ON" if control else "OFF") if s.mode == "CONTROL" else s.mode
            return
        high = s.highest - (s.deadband if self.state == "HI" else 0.0)
        low = s.lowest + (s.deadband if self.state == "LO" else 0.0)
        if kelvin is not None and kelvin > high:
            self.state = "HI"
        elif kelvin is not None and kelvin < low:
            self.state = "LO"
        else:
            self.state = "--"
