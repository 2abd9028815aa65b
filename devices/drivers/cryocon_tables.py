"""What a Cryo-con sends and takes in several lines: calibration curves, PID tables, the data log.

Source:
    Cryogenic Control Systems, *Model 24C User's Manual*, sections "PIDTABLE commands" and "Data Logging Commands",
    Appendix A "User Calibration Curve File Format".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from devices.core.errors import BadValueError, ProtocolError
from devices.drivers.cryocon_protocol import NAME_LIMIT, Answer, answer, parse_number

CURVE_UNITS = ("Volts", "Ohms", "Logohm")
"""What the sensor readings of a curve are: V, ohm, log10(ohm)."""


def _checked_name(name: str, limit: int) -> str:
    if not (name.isascii() and name.isprintable()) or len(name) > limit or set(name) & set('";') or not name.strip():
        raise BadValueError(
            f"name = {name!r} is not 1 to {limit} printable ASCII characters without quotes, semicolons"
        )
    return name


@dataclass(frozen=True)
class CalibrationCurve:
    """How the reading of a user's sensor becomes a temperature.

    Attributes:
        sensor_type: the input configuration, e.g. ``Diode``, ``ACR``, ``PTC100``.
        multiplier: negative for a sensor whose reading falls with temperature; its size scales the readings.
        units: one of ``CURVE_UNITS``.
        points: (sensor reading, temperature in K), 2 to 200 of them, in the order of the readings.
    Raises:
        BadValueError: any of these is otherwise.
    """

    name: str
    sensor_type: str
    multiplier: float
    units: str
    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        _checked_name(self.name, NAME_LIMIT)
        _checked_name(self.sensor_type, NAME_LIMIT)
        if self.units not in CURVE_UNITS:
            raise BadValueError(f"units = {self.units!r} is none of {', '.join(CURVE_UNITS)}")
        if not 2 <= len(self.points) <= 200:
            raise BadValueError(f"{self.name!r} has {len(self.points)} points, outside [2, 200]")
        if not math.isfinite(self.multiplier) or self.multiplier == 0.0:
            raise BadValueError(f"multiplier = {self.multiplier} is not a number other than 0")
        if not all(math.isfinite(value) for point in self.points for value in point):
            raise BadValueError(f"{self.name!r} has a point that is not finite")
        if any(kelvin < 0.0 for _, kelvin in self.points):
            raise BadValueError(f"{self.name!r} has a temperature below 0 K")
        object.__setattr__(self, "points", tuple(sorted((float(x), float(kelvin)) for x, kelvin in self.points)))

    def lines(self) -> list[str]:
        """The curve as the instrument takes it; seven digits, for it computes in 32 bits."""
        header = [self.name, self.sensor_type, f"{self.multiplier:.7g}", self.units]
        return header + [f"{x:.7g} {kelvin:.7g}" for x, kelvin in self.points]

    @classmethod
    def parse(cls, lines: Sequence[str]) -> Self:
        """Read what the instrument sends.

        Raises:
            ProtocolError: it is no curve.
        """
        try:
            name, sensor_type, multiplier, units = (line.strip().strip('"') for line in lines[:4])
            spelled = {known.upper(): known for known in CURVE_UNITS}[units.upper()]
            points = tuple((float(x), float(kelvin)) for x, kelvin in (line.split() for line in lines[4:]))
            return cls(name, sensor_type, float(multiplier), spelled, points)
        except (ValueError, KeyError) as error:
            raise ProtocolError(f"no calibration curve in {list(lines[:5])!r}...: {error}") from None

    def agrees_with(self, other: CalibrationCurve) -> bool:
        """Whether both are one curve but for the rounding to 32 bits and the spelling of the type."""
        return (
            self.name.strip() == other.name.strip()
            and self.sensor_type.upper() == other.sensor_type.upper()
            and self.units == other.units
            and math.isclose(self.multiplier, other.multiplier, rel_tol=1e-5)
            and len(self.points) == len(other.points)
            and all(
                math.isclose(mine, theirs, rel_tol=1e-5, abs_tol=1e-6)
                for mine_point, their_point in zip(self.points, other.points, strict=True)
                for mine, theirs in zip(mine_point, their_point, strict=True)
            )
        )


@dataclass(frozen=True, slots=True)
class PidEntry:
    """The gains to use near one set point.

    Attributes:
        setpoint: in the display unit of the source.
        range: ``HI``, ``MID`` or ``LOW``; ``10V`` or ``5V``.
        source: the letter of an input, or None for the loop's own source.
    """

    setpoint: float
    p_gain: float
    i_gain: float
    d_gain: float
    range: str
    source: str | None = None

    def line(self) -> str:
        numbers = " ".join(f"{value:.7g}" for value in (self.setpoint, self.p_gain, self.i_gain, self.d_gain))
        return f"{numbers} {self.range} {'Default' if self.source is None else 'Ch' + self.source}"

    @classmethod
    def parse(cls, line: str) -> PidEntry:
        setpoint, p_gain, i_gain, d_gain, output_range, *source = line.split()
        channel = source[0].upper().removeprefix("CH") if source else "DEFAULT"
        return cls(
            float(setpoint),
            float(p_gain),
            float(i_gain),
            float(d_gain),
            output_range.upper(),
            None if channel == "DEFAULT" else channel,
        )


@dataclass(frozen=True)
class PidTable:
    """Up to 16 sets of gains, each for one set point."""

    name: str
    entries: tuple[PidEntry, ...]

    def __post_init__(self) -> None:
        _checked_name(self.name, 16)
        if not 0 <= len(self.entries) <= 16:
            raise BadValueError(f"{self.name!r} has {len(self.entries)} entries, more than 16")

    def lines(self) -> list[str]:
        """The table as the instrument takes it."""
        return [self.name, *(entry.line() for entry in self.entries)]

    @classmethod
    def parse(cls, lines: Sequence[str]) -> Self:
        """Read what the instrument sends.

        Raises:
            ProtocolError: it is no PID table.
        """
        try:
            return cls(lines[0].strip().strip('"'), tuple(PidEntry.parse(line) for line in lines[1:] if line))
        except (ValueError, IndexError) as error:
            raise ProtocolError(f"no PID table in {list(lines[:3])!r}...: {error}") from None


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record of the data log.

    Attributes:
        time: by the instrument's own clock, which knows no time zone.
        temperatures: one answer per input, in its display unit.
    """

    number: int
    time: datetime
    temperatures: tuple[Answer[float], ...]


def parse_log(lines: Iterable[str]) -> list[LogRecord]:
    """Read ``number, MM/DD/YYYY, HH,MN,SC, temperature...`` lines.

    Raises:
        ProtocolError: a line is not of this form.
    """
    records = []
    for line in lines:
        fields = [part.strip() for part in line.split(",")]
        try:
            time = datetime.strptime(" ".join(fields[1:5]), "%m/%d/%Y %H %M %S")
            number = int(fields[0])
        except (ValueError, IndexError):
            raise ProtocolError(f"no log record in {line[:80]!r}") from None
        temperatures = tuple(answer(f"DLOG {number}", text, parse_number) for text in fields[5:] if text)
        records.append(LogRecord(number, time, temperatures))
    return records
