"""What the simulated Cryo-con sends and takes in several lines: curves, PID tables, the data log."""

from __future__ import annotations

import math

from devices.simulators.cryocon.instrument import CryoConInstrument
from devices.simulators.cryocon.physics import Gains, SensorCurve
from devices.simulators.cryocon.settings import PidTableEntry, StoredPidTable
from devices.simulators.cryocon.syntax import Nack

END = "\r\n"


def curve_block(curve: SensorCurve) -> str:
    """A calibration curve as ``CALCUR?`` answers it."""
    header = (curve.name, curve.sensor_type, f"{curve.multiplier:.6f}", curve.units)
    return END.join([*header, *(f"{reading:.6f} {kelvin:.6f}" for reading, kelvin in curve.points), ";"])


def take_curve(instrument: CryoConInstrument, index: str, lines: list[str]) -> None:
    """Store the curve of ``CALCUR``; an entry that is no pair of numbers is left out."""
    if not index.isdecimal() or int(index) not in instrument.model.user_curves or len(lines) < 4:
        raise Nack
    units = {"VOLTS": "Volts", "OHMS": "Ohms", "LOGOHM": "Logohm"}.get(lines[3].strip().upper())
    multiplier = _numbers(lines[2])
    points = [point for point in map(_numbers, lines[4:]) if len(point) == 2]
    if units is None or len(multiplier) != 1 or not 2 <= len(points) <= 200:
        raise Nack
    curve = SensorCurve(
        lines[0].strip('"')[:15],
        lines[1].strip().upper(),
        units,
        multiplier[0],
        tuple(sorted((x, t) for x, t in points)),
    )
    instrument.store_curve(int(index), curve)


def pid_table_block(table: StoredPidTable) -> str:
    """A PID table as ``PIDTable n:TABLe?`` answers it."""
    lines = [
        f"{e.setpoint:.2f} {e.gains.p:.2f} {e.gains.i:.2f} {e.gains.d:.2f} {e.range} "
        + ("Default" if e.source is None else f"Ch{e.source}")
        for e in table.entries
    ]
    return END.join([table.name, *lines, ";"])


def take_pid_table(instrument: CryoConInstrument, index: str, lines: list[str]) -> None:
    """Store the table of ``PIDTable n:TABLe``; an entry that cannot be read is left out."""
    if not index.isdecimal() or int(index) not in instrument.pid_tables or not lines:
        raise Nack
    entries = []
    for line in lines[1:17]:
        words = line.split()
        numbers = _numbers(" ".join(words[:4]))
        if len(numbers) == 4 and len(words) in (5, 6):
            source = words[5].upper().removeprefix("CH") if len(words) == 6 else "DEFAULT"
            entries.append(
                PidTableEntry(
                    numbers[0], Gains(*numbers[1:]), words[4].upper(), source if source in instrument.inputs else None
                )
            )
    instrument.pid_tables[int(index)] = StoredPidTable(lines[0].strip('"')[:16], entries)


def log_block(instrument: CryoConInstrument) -> str:
    """The data log as ``DLOG:READ?`` answers it."""
    lines = [
        f"{number}, {time:%m/%d/%Y}, {time:%H,%M,%S}, " + ", ".join(temperatures)
        for number, time, temperatures in instrument.log
    ]
    return END.join([*lines, ";"])


def _numbers(line: str) -> list[float]:
    try:
        numbers = [float(word) for word in line.split()]
    except ValueError:
        return []
    return numbers if all(map(math.isfinite, numbers)) else []
