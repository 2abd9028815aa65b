"""The command tree of the simulated Cryo-con."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import datetime
from typing import Any

from devices.simulators.cryocon.blocks import curve_block, log_block, pid_table_block, take_curve, take_pid_table
from devices.simulators.cryocon.channels import AMBIENT
from devices.simulators.cryocon.commands_input import INPUTS
from devices.simulators.cryocon.commands_loop import LOOPS
from devices.simulators.cryocon.instrument import FIRMWARE, HARDWARE, CryoConInstrument
from devices.simulators.cryocon.kinds import (
    ADDRESS,
    DIFFERENCE,
    NAME,
    ON_OFF,
    TEMPERATURE,
    Kind,
    between,
    done,
    fixed,
    letter,
    member,
    number_of,
    one_of,
    setting,
    shown,
    source,
    whole,
)
from devices.simulators.cryocon.physics import SensorCurve
from devices.simulators.cryocon.syntax import Entry, Nack, tree_of

Instrument = CryoConInstrument

_relay, _configuration, _pid_table = member("relays"), member("configurations"), member("pid_tables")


def _stored(path: str) -> Callable[[Instrument, str], Any]:
    """The part of the settings of that name."""
    return lambda instrument, index: getattr(instrument.settings, path)


_system, _interlock, _network = _stored("system"), _stored("overtemperature"), _stored("network")


def _mail(instrument: Instrument, index: str) -> Any:
    return instrument.settings.mail[letter(instrument, index)]


def _switch_control(instrument: Instrument, on: bool) -> None:
    if not instrument.model.controls:
        raise Nack
    instrument.settings.control = on


def _control(instrument: Instrument, index: str) -> str:
    if not instrument.model.controls:
        raise Nack
    return "ON" if instrument.settings.control else "OFF"


def _set_clock(instrument: Instrument, parameter: str, pattern: str, parts: tuple[str, ...]) -> None:
    try:
        asked = datetime.strptime(parameter.strip('"'), pattern)
        if "year" in parts and not 2000 <= asked.year <= 2099:
            raise Nack
        wanted = instrument.now.replace(**{part: getattr(asked, part) for part in parts})
        instrument.clock_start += wanted - instrument.now
    except (ValueError, OverflowError):
        raise Nack from None


def _sensor(instrument: Instrument, index: str) -> SensorCurve:
    if index == "0":
        return SensorCurve("None", "NONE", "Ohms", 1.0, ())
    if not index.isdecimal() or int(index) not in instrument.sensors:
        raise Nack
    return instrument.sensors[int(index)]


def _edit_sensor(name: str, kind: Kind) -> Entry[Instrument]:
    def put(instrument: Instrument, index: str, parameter: str) -> None:
        curve = _sensor(instrument, index)
        if int(index) not in instrument.model.user_sensors:
            raise Nack
        changed = {**vars(curve), name: kind.take(parameter, "")}
        instrument.sensors[int(index)] = SensorCurve(*(changed[f] for f in SensorCurve.__dataclass_fields__))

    return Entry(lambda instrument, index: kind.show(getattr(_sensor(instrument, index), name), ""), put)


def _user_curve(instrument: Instrument, index: str) -> SensorCurve:
    if not index.isdecimal() or int(index) not in instrument.model.user_curves:
        raise Nack
    return instrument.sensors[instrument.model.user_sensors[int(index) - 1]]


def _save_configuration(instrument: Instrument, index: str) -> None:
    _configuration(instrument, index).settings = copy.deepcopy(instrument.settings)


def _event_status(instrument: Instrument, index: str) -> str:
    seen, instrument.error_seen = instrument.error_seen, False
    return "32" if seen else "0"


def _clear_status(instrument: Instrument, index: str) -> None:
    instrument.error_seen = False


def _clear_log(instrument: Instrument, index: str) -> None:
    instrument.log.clear()


def _reset_log(instrument: Instrument, index: str) -> None:
    instrument.log_number = 0


def _nothing(instrument: Instrument, index: str) -> None:
    """A command whose effect is not to be seen from outside."""


def _heat_sink(instrument: Instrument, index: str) -> str:
    hottest = max((loop.heat_sink for loop in instrument.loops.values()), default=AMBIENT)
    return f"{hottest - 273.15:.2f}C"


def _beep(instrument: Instrument, index: str, parameter: str) -> None:
    whole(0, 600).take(parameter, "")


_SENSOR_TYPE = one_of("DIODE", "ACR", "PTC100", "PTC1K", "NTC10UA", "TC70", "NONE")
_DATE, _TIME = ("year", "month", "day"), ("hour", "minute", "second")

_COMMON: dict[str, Entry[Instrument]] = {
    "*IDN": Entry(lambda instrument, index: instrument.identity),
    "*OPC": Entry(lambda instrument, index: "1", lambda instrument, index, parameter: None),
    "*CLS": done(_clear_status),
    "*RST": done(lambda instrument, index: instrument.restart()),
    "*ESR": Entry(_event_status),
    "*ESE": Entry(lambda instrument, index: "0", lambda instrument, index, parameter: None),
    "*SRE": Entry(lambda instrument, index: "0", lambda instrument, index, parameter: None),
    "*STB": Entry(lambda instrument, index: "32" if instrument.error_seen else "0"),
    "CONTrol": Entry(_control, lambda instrument, index, parameter: _switch_control(instrument, True)),
    "STOP": Entry(put=lambda instrument, index, parameter: _switch_control(instrument, False)),
}

_SYSTEM: dict[str, Entry[Instrument]] = {
    "SYSTem:LOCKout": setting(_system, "lockout", ON_OFF),
    "SYSTem:NVSave": done(lambda instrument, index: instrument.save()),
    "SYSTem:REMLed": setting(_system, "remote_led", ON_OFF),
    "SYSTem:BEEP": Entry(put=_beep),
    "SYSTem:NAMe": setting(_system, "name", NAME),
    "SYSTem:HWRev": fixed(HARDWARE),
    "SYSTem:FWRev": fixed(FIRMWARE),
    "SYSTem:AMBient": fixed(f"{AMBIENT - 273.15:.2f}C"),
    "SYSTem:HTRHst": Entry(_heat_sink),
    "SYSTem:CJTemp": fixed("N/A"),
    "SYSTem:DISTc": setting(_system, "display_filter", between(0.5, 64.0)),
    "SYSTem:DRES": setting(_system, "display_resolution", one_of("FULL", "1", "2", "3")),
    "SYSTem:LINefreq": setting(_system, "line_frequency", number_of(50, 60)),
    "SYSTem:ADRS": setting(_system, "address", whole(1, 31)),
    "SYSTem:DATe": Entry(
        lambda instrument, index: f'"{instrument.now:%m/%d/%Y}"',
        lambda instrument, index, parameter: _set_clock(instrument, parameter, "%m/%d/%Y", _DATE),
    ),
    "SYSTem:TIMe": Entry(
        lambda instrument, index: f'"{instrument.now:%H:%M:%S}"',
        lambda instrument, index, parameter: _set_clock(instrument, parameter, "%H:%M:%S", _TIME),
    ),
    "SYSTem:RESeed": done(lambda instrument, index: instrument.reseed()),
    "OVERtemp:ENABle": setting(_interlock, "enabled", ON_OFF),
    "OVERtemp:SOURce": source(_interlock),
    "OVERtemp:TEMPerature": setting(_interlock, "temperature", TEMPERATURE),
    "RELays": shown(_relay, lambda relay: relay.state),
    "RELays:SOURce": source(_relay),
    "RELays:HIGHest": setting(_relay, "settings.highest", TEMPERATURE),
    "RELays:LOWEst": setting(_relay, "settings.lowest", TEMPERATURE),
    "RELays:DEAdband": setting(_relay, "settings.deadband", DIFFERENCE),
    "RELays:MODe": setting(_relay, "settings.mode", one_of("AUTO", "ON", "OFF", "CONTROL")),
}

_STORAGE: dict[str, Entry[Instrument]] = {
    "CONFig:NAMe": setting(_configuration, "name", NAME),
    "CONFig:SAVE": done(_save_configuration),
    "CONFig:RESTore": done(lambda instrument, index: instrument.adopt(_configuration(instrument, index).settings)),
    "SENSorix:NAMe": _edit_sensor("name", NAME),
    "SENSorix:NENTry": shown(_sensor, lambda curve: str(len(curve.points))),
    "SENSorix:UNITs": _edit_sensor("units", one_of("Volts", "Ohms", "Logohm")),
    "SENSorix:TYPe": _edit_sensor("sensor_type", _SENSOR_TYPE),
    "SENSorix:MULTiply": _edit_sensor("multiplier", between(-1e6, 1e6)),
    "CALCUR": Entry(lambda instrument, index: curve_block(_user_curve(instrument, index)), block=take_curve),
    "PIDTable": shown(_pid_table, lambda table: f'"{table.name}"'),
    "PIDTable:NAMe": setting(_pid_table, "name", NAME),
    "PIDTable:NENTry": shown(_pid_table, lambda table: str(len(table.entries))),
    "PIDTable:TABLe": Entry(
        lambda instrument, index: pid_table_block(_pid_table(instrument, index)), block=take_pid_table
    ),
    "DLOG": Entry(lambda instrument, index: log_block(instrument)),
    "DLOG:STATe": setting(_system, "log_enabled", ON_OFF),
    "DLOG:INTerval": setting(_system, "log_interval", between(0.1, 86400.0)),
    "DLOG:COUNt": Entry(lambda instrument, index: str(len(instrument.log))),
    "DLOG:READ": Entry(lambda instrument, index: log_block(instrument)),
    "DLOG:RESEt": done(_reset_log),
    "DLOG:CLEAr": done(_clear_log),
    "NETWork:IPADdress": setting(_network, "address", NAME),
    "NETWork:PORT": setting(_network, "port", whole(1, 65535)),
    "NETWork:NAMe": setting(_network, "name", NAME),
    "NETWork:DHCP": setting(_network, "dhcp", ON_OFF),
    "NETWork:MACADdress": fixed('"00:50:C2:6F:40:3C"'),
    "MAIL:ADDR": setting(_mail, "server", NAME),
    "MAIL:FROM": setting(_mail, "sender", ADDRESS),
    "MAIL:DEST": setting(_mail, "recipient", ADDRESS),
    "MAIL:PORT": setting(_mail, "port", whole(1, 65535)),
    "MAIL:STATE": setting(_mail, "enabled", ON_OFF),
}

TREE = tree_of({**_COMMON, **INPUTS, **LOOPS, **_SYSTEM, **_STORAGE})
