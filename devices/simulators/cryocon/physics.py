"""The physics behind the Cryo-con simulator: thermal stages, sensors, the control law and the tuning test.

Temperatures in K, times in s, powers in W; outputs of a loop in % of its full scale.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple


@dataclass
class Stage:
    """A block of metal, linked to a cold head, with a sensor that follows it with a lag.

    ``heat_capacity`` dT/dt = power - ``conductance`` (T - ``sink``), so it settles at T = sink + power / conductance.
    """

    heat_capacity: float
    conductance: float
    sink: float
    temperature: float
    sensor_lag: float = 2.0
    sensed: float = field(init=False)

    def __post_init__(self) -> None:
        self.sensed = self.temperature

    def advance(self, seconds: float, watts: float) -> None:
        """Let time pass under constant power; exact for any length of time."""
        settled = self.sink + watts / self.conductance
        decay = math.exp(-seconds * self.conductance / self.heat_capacity)
        self.temperature = settled + (self.temperature - settled) * decay
        self.sensed += (self.temperature - self.sensed) * -math.expm1(-seconds / self.sensor_lag)


@dataclass(frozen=True)
class SensorCurve:
    """How the reading of a sensor depends on its temperature; ``points`` are (reading, kelvin), two or more."""

    name: str
    sensor_type: str
    units: str
    multiplier: float
    points: tuple[tuple[float, float], ...]

    @cached_property
    def _by_kelvin(self) -> list[tuple[float, float]]:
        return sorted((kelvin, reading) for reading, kelvin in self.points)

    def covers(self, kelvin: float) -> bool:
        """Whether the curve has this temperature; without it there is a reading, and no temperature."""
        return self._by_kelvin[0][0] <= kelvin <= self._by_kelvin[-1][0]

    def reading(self, kelvin: float) -> float:
        """The reading in V or ohm; beyond the curve it goes on along the last chord."""
        points = self._by_kelvin
        right = min(max(bisect.bisect_left(points, (kelvin, -math.inf)), 1), len(points) - 1)
        (t0, y0), (t1, y1) = points[right - 1], points[right]
        value = y0 if t1 == t0 else y0 + (y1 - y0) * (kelvin - t0) / (t1 - t0)
        return float(10.0 ** min(value, 30.0)) if self.units == "Logohm" else value


# Shapes of their kind of sensor, not any maker's table.
DIODE = SensorCurve(
    "S900 Diode",
    "DIODE",
    "Volts",
    -1.0,
    ((0.09, 500.0), (0.52, 300.0), (0.76, 200.0), (1.0, 90.0), (1.07, 30.0), (1.2, 20.0), (1.63, 4.0), (1.7, 1.5)),
)
PLATINUM = SensorCurve(
    "Pt100 385",
    "PTC100",
    "Ohms",
    1.0,
    ((1.2, 14.0), (2.2, 20.0), (18.5, 70.0), (60.0, 173.0), (100.0, 273.15), (313.7, 873.0)),
)
RUTHENIUM = SensorCurve(
    "R400", "ACR", "Logohm", -1.0, ((3.0, 300.0), (3.05, 40.0), (3.2, 10.0), (3.6, 1.0), (4.2, 0.1))
)
FACTORY_SENSORS = {1: DIODE, 20: PLATINUM, 34: RUTHENIUM}


class Gains(NamedTuple):
    """P in % per K, I and D in s; I = 0 means no integral part."""

    p: float
    i: float
    d: float


UNKNOWN = Gains(-1.0, -1.0, -1.0)


class Pid:
    """output = P (error + 1/I integral(error) - D dT/dt), bounded; the integral waits while the output is bounded."""

    DERIVATIVE_FILTER = 1.0

    def __init__(self) -> None:
        self.integral = 0.0
        self._last: float | None = None
        self._slope = 0.0

    def restart(self, output: float) -> None:
        """Begin at the output that there is, without a bump."""
        self.integral = output
        self._last = None
        self._slope = 0.0

    def output(self, gains: Gains, setpoint: float, measured: float, seconds: float, highest: float) -> float:
        """The next output, 0 to ``highest`` %."""
        error = setpoint - measured
        if self._last is not None:
            slope = (measured - self._last) / seconds
            self._slope += (slope - self._slope) * -math.expm1(-seconds / self.DERIVATIVE_FILTER)
        self._last = measured
        direct = gains.p * (error - gains.d * self._slope)
        if gains.i > 0.0:
            step = gains.p * error * seconds / gains.i
            wanted = direct + self.integral
            if not (wanted > highest and step > 0.0) and not (wanted < 0.0 and step < 0.0):
                self.integral += step
        else:
            self.integral = 0.0
        return min(max(direct + self.integral, 0.0), highest)


class TuningStatus(StrEnum):
    IDLE = "IDLE"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    FAILED = "FAILED"
    ABORT = "ABORT"


@dataclass
class StepTest:
    """Auto-tuning: step the output, watch the temperature settle, fit gain, lag and dead time, compute the gains.

    The process is taken as K exp(-L s) / (1 + tau s): tau = 1.5 (t63 - t28), L = t63 - tau. The gains follow the
    SIMC rule with a closed-loop time of at least a tenth of tau.

    Source:
        S. Skogestad, "Simple analytic rules for model reduction and PID controller tuning", J. Process Control 13
        (2003).
    """

    mode: str = "PID"
    delta_power: float = 5.0
    timeout: float = 900.0
    status: TuningStatus = TuningStatus.IDLE
    gains: Gains = UNKNOWN
    output: float = 0.0
    _start: float = 0.0
    _step: float = 0.0
    _trace: list[float] = field(default_factory=list)

    BASELINE = 5.0
    SMALLEST = 0.02
    """The least change of temperature to be told from noise, in K."""

    def start(self, output: float, highest: float) -> None:
        self._start = output
        self._step = self.delta_power if output + self.delta_power <= highest else -self.delta_power
        self._trace = []
        self.gains = UNKNOWN
        self.output = output
        self.status = TuningStatus.RUNNING

    def end(self, status: TuningStatus) -> None:
        if self.status is TuningStatus.RUNNING:
            self.output = self._start
        self.status = status

    def advance(self, seconds: float, measured: float | None) -> None:
        """Take one temperature into the trace and judge it; ``output`` is what to put out until the next one."""
        if measured is None or len(self._trace) * seconds > self.timeout:
            self.end(TuningStatus.FAILED)
            return
        self._trace.append(measured)
        elapsed = len(self._trace) * seconds - self.BASELINE
        if elapsed < 0.0:
            return
        self.output = self._start + self._step
        if elapsed > 20.0 and len(self._trace) % 10 == 0:
            self._judge(seconds)

    def _judge(self, seconds: float) -> None:
        first = round(self.BASELINE / seconds)
        base = sum(self._trace[:first]) / first
        response = [value - base for value in self._trace[first:]]
        window = max(len(response) // 5, 1)
        recent = sum(response[-10:]) / 10
        earlier = sum(response[-window - 10 : -window]) / 10
        if abs(recent) < self.SMALLEST or abs(recent - earlier) > 0.02 * abs(recent):
            return
        t28, t63 = (next(k for k, y in enumerate(response) if y / recent >= part) for part in (0.283, 0.632))
        lag = max(1.5 * (t63 - t28) * seconds, seconds)
        dead = max(t63 * seconds - lag, seconds)
        self._finish(abs(recent / self._step), lag, dead)

    def _finish(self, gain: float, lag: float, dead: float) -> None:
        closed = max(dead, 0.1 * lag)
        p = lag / (gain * (closed + dead))
        i = min(lag, 4.0 * (closed + dead)) if "I" in self.mode else 0.0
        self.gains = Gains(p, i, dead / 2.0 if "D" in self.mode else 0.0)
        self.end(TuningStatus.COMPLETE)
