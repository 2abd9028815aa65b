"""The LOOP subsystem of the simulated Cryo-con."""

from __future__ import annotations

import math
from collections.abc import Callable

from devices.drivers.cryocon_models import LoopKind
from devices.simulators.cryocon.channels import ControlLoop
from devices.simulators.cryocon.instrument import CryoConInstrument
from devices.simulators.cryocon.kinds import (
    DIFFERENCE,
    PERCENT,
    SETPOINT,
    Kind,
    between,
    done,
    member,
    number_of,
    one_of,
    setting,
    shown,
    source,
    units,
    whole,
)
from devices.simulators.cryocon.physics import TuningStatus
from devices.simulators.cryocon.syntax import Entry, Nack

Instrument = CryoConInstrument

_find = member("loops")


def _loop(instrument: Instrument, index: str) -> ControlLoop:
    loop = _find(instrument, index)
    assert isinstance(loop, ControlLoop)
    return loop


def _loop_setting(path: str, kind: Kind, heater_only: bool = False) -> Entry[Instrument]:
    entry = setting(_loop, path, kind)
    assert entry.get is not None and entry.put is not None
    get, put = entry.get, entry.put

    def guarded_get(instrument: Instrument, index: str) -> str:
        return "N/A" if heater_only and _is_analog(_loop(instrument, index)) else get(instrument, index)

    def guarded_put(instrument: Instrument, index: str, parameter: str) -> None:
        if heater_only and _is_analog(_loop(instrument, index)):
            raise Nack
        put(instrument, index, parameter)

    return Entry(guarded_get, guarded_put)


def _is_analog(loop: ControlLoop) -> bool:
    return loop.model.kind is LoopKind.ANALOG


def _set_setpoint(instrument: Instrument, index: str, parameter: str) -> None:
    loop = _loop(instrument, index)
    asked = SETPOINT.take(parameter, units(instrument, loop))
    if not 0.0 <= asked <= loop.settings.max_setpoint:
        raise Nack
    loop.settings.setpoint = asked


def _set_max_setpoint(instrument: Instrument, index: str, parameter: str) -> None:
    loop = _loop(instrument, index)
    asked = SETPOINT.take(parameter, units(instrument, loop))
    if not 1.0 <= asked <= 1505.0:
        raise Nack
    loop.settings.max_setpoint = asked


def _set_range(instrument: Instrument, index: str, parameter: str) -> None:
    loop = _loop(instrument, index)
    loop.settings.range = one_of(*loop.model.ranges).take(parameter, "")


def _heater(show: Callable[[ControlLoop], str]) -> Entry[Instrument]:
    return Entry(
        lambda instrument, index: "N/A" if _is_analog(_loop(instrument, index)) else show(_loop(instrument, index))
    )


def _ohms(loop: ControlLoop) -> float:
    return float(loop.settings.load)


def _volts(loop: ControlLoop) -> str:
    if _is_analog(loop):
        return f"{loop.output / 100.0 * loop.volts_full_scale:.4f}V"
    return f"{math.sqrt(loop.supplied_watts * _ohms(loop)):.4f}V"


def _error(instrument: Instrument, index: str) -> str:
    loop = _loop(instrument, index)
    measured = instrument.inputs[loop.settings.source].measured
    if measured is None:
        return "-------"
    return DIFFERENCE.show(loop.settings.setpoint - measured, units(instrument, loop))


def _start_tuning(instrument: Instrument, index: str) -> bool:
    loop = _loop(instrument, index)
    if not instrument.settings.control or instrument.inputs[loop.settings.source].measured is None:
        return False
    loop.tuning.start(loop.output, loop.settings.max_power)
    return True


LOOPS: dict[str, Entry[Instrument]] = {
    "LOOP:SOURce": source(_loop),
    "LOOP:SETPt": Entry(setting(_loop, "settings.setpoint", SETPOINT).get, _set_setpoint),
    "LOOP:TYPe": _loop_setting("settings.type", one_of("OFF", "MAN", "PID", "TABLE", "RAMPP", "RAMPT", "SCALE")),
    "LOOP:RANGe": Entry(lambda i, index: str(_loop(i, index).settings.range), _set_range),
    "LOOP:RATe": _loop_setting("settings.rate", between(0.0, 1000.0)),
    "LOOP:RAMP": shown(_loop, lambda loop: "ON" if loop.ramping else "OFF"),
    "LOOP:PGAin": _loop_setting("settings.p_gain", between(0.0, 1000.0)),
    "LOOP:IGAin": _loop_setting("settings.i_gain", between(0.0, 10000.0)),
    "LOOP:DGAin": _loop_setting("settings.d_gain", between(0.0, 10000.0)),
    "LOOP:PMANual": _loop_setting("settings.manual_power", PERCENT),
    "LOOP:OUTPwr": shown(_loop, lambda loop: f"{loop.output:.4f}"),
    "LOOP:HTRRead": _heater(lambda loop: f"{0.0 if loop.heater_open else loop.output:.0f}%"),
    "LOOP:HTRHst": _heater(lambda loop: f"{loop.heat_sink - 273.15:.2f}C"),
    "LOOP:LOAD": _loop_setting("settings.load", number_of(25, 50), heater_only=True),
    "LOOP:MAXPwr": _loop_setting("settings.max_power", PERCENT),
    "LOOP:MAXSet": Entry(setting(_loop, "settings.max_setpoint", SETPOINT).get, _set_max_setpoint),
    "LOOP:ERRor": Entry(_error),
    "LOOP:VSENse": shown(_loop, _volts),
    "LOOP:ISENse": _heater(lambda loop: f"{math.sqrt(loop.supplied_watts / _ohms(loop)):.4f}A"),
    "LOOP:LSENse": _heater(lambda loop: "-------" if loop.heater_open else f"{_ohms(loop):.2f}"),
    "LOOP:TABLEix": _loop_setting("settings.pid_table", whole(1, 6)),
    "LOOP:AUTotune:MODe": _loop_setting("tuning.mode", one_of("P", "PI", "PID")),
    "LOOP:AUTotune:DELTap": _loop_setting("tuning.delta_power", PERCENT),
    "LOOP:AUTotune:TIMeout": _loop_setting("tuning.timeout", between(0.0, 86400.0)),
    "LOOP:AUTotune:STARt": done(_start_tuning),
    "LOOP:AUTotune:STATus": shown(_loop, lambda loop: loop.tuning.status.value),
    "LOOP:AUTotune:PGAin": shown(_loop, lambda loop: f"{loop.tuning.gains.p:.6f}"),
    "LOOP:AUTotune:IGAin": shown(_loop, lambda loop: f"{loop.tuning.gains.i:.6f}"),
    "LOOP:AUTotune:DGAin": shown(_loop, lambda loop: f"{loop.tuning.gains.d:.6f}"),
    "LOOP:AUTotune:SAVE": done(lambda i, index: i.save_tuning(_loop(i, index))),
    "LOOP:AUTotune:EXIT": done(lambda i, index: _loop(i, index).tuning.end(TuningStatus.ABORT)),
}
