"""The INPut subsystem of the simulated Cryo-con."""

from __future__ import annotations

from devices.simulators.cryocon.channels import SensorInput
from devices.simulators.cryocon.instrument import CryoConInstrument, displayed
from devices.simulators.cryocon.kinds import (
    DIFFERENCE,
    NAME,
    ON_OFF,
    TEMPERATURE,
    YES_NO,
    done,
    fixed,
    letter,
    one_of,
    setting,
    shown,
    whole,
)
from devices.simulators.cryocon.physics import SensorCurve
from devices.simulators.cryocon.syntax import Entry, Nack

Instrument = CryoConInstrument


def _input(instrument: Instrument, index: str) -> SensorInput:
    return instrument.inputs[letter(instrument, index)]


def _temperatures(instrument: Instrument, index: str) -> str:
    return ";".join(instrument.temperature_text(letter(instrument, part)) for part in index.split(","))


def _curve_of(instrument: Instrument, channel: SensorInput) -> SensorCurve | None:
    return instrument.sensors.get(channel.settings.sensor)


def _for_sensor(types: tuple[str, ...], entry: Entry[Instrument]) -> Entry[Instrument]:
    """An entry that applies to sensors of some types only."""
    assert entry.get is not None and entry.put is not None
    get, put = entry.get, entry.put

    def applies(instrument: Instrument, index: str) -> bool:
        curve = _curve_of(instrument, _input(instrument, index))
        return curve is not None and curve.sensor_type.startswith(types)

    def guarded_get(instrument: Instrument, index: str) -> str:
        return get(instrument, index) if applies(instrument, index) else "N/A"

    return Entry(guarded_get, put)


def _set_sensor(instrument: Instrument, index: str, parameter: str) -> None:
    sensor = whole(0, 68).take(parameter, "K")
    if sensor and sensor not in instrument.sensors:
        raise Nack
    _input(instrument, index).settings.sensor = sensor


def _statistic(name: str, power: int, absolute: bool = False) -> Entry[Instrument]:
    def get(instrument: Instrument, index: str) -> str:
        channel = _input(instrument, index)
        value = getattr(channel.statistics, name)
        if not channel.statistics.count:
            return "N/A"
        if absolute:
            return f"{displayed(value, channel.settings.units):.6f}"
        return f"{value * (1.8 if channel.settings.units == 'F' else 1.0) ** power:.9f}"

    return Entry(get)


def _sensor_power(instrument: Instrument, index: str) -> str:
    channel = _input(instrument, index)
    curve = _curve_of(instrument, channel)
    if curve is None or channel.open:
        return "N/A"
    reading = curve.reading(channel.stage.sensed)
    volts = {"10MV": 1e-2, "3.0MV": 3e-3, "1.0MV": 1e-3, "300UV": 3e-4}[channel.settings.bias_voltage]
    watts = {"DIODE": 1e-5 * reading, "ACR": volts**2 / max(reading, 1e-3)}.get(curve.sensor_type, 1e-6 * reading)
    return f"{watts:.4e}"


def _clear_alarm(instrument: Instrument, index: str) -> None:
    _input(instrument, index).alarm = "--"


INPUTS: dict[str, Entry[Instrument]] = {
    "INPut": Entry(_temperatures),
    "INPut:TEMPerature": Entry(_temperatures),
    "INPut:UNITs": setting(_input, "settings.units", one_of("K", "C", "F", "S")),
    "INPut:NAMe": setting(_input, "settings.name", NAME),
    "INPut:SENSor": Entry(lambda i, index: str(_input(i, index).settings.sensor), _set_sensor),
    "INPut:SENPr": Entry(lambda i, index: i.sensor_text(letter(i, index))),
    "INPut:VBIas": _for_sensor(
        ("ACR",), setting(_input, "settings.bias_voltage", one_of("10MV", "3.0MV", "1.0MV", "300UV"))
    ),
    "INPut:BRANge": _for_sensor(
        ("ACR", "PTC", "NTC"),
        setting(_input, "settings.bridge_range", one_of("AUTO", "1.0MA", "100UA", "10UA")),
    ),
    "INPut:ACEXcite": _for_sensor(("PTC",), setting(_input, "settings.ac_excitation", ON_OFF)),
    "INPut:SENSPwr": Entry(_sensor_power),
    "INPut:BRUNlock": fixed(" "),
    "INPut:POLarity": setting(_input, "settings.polarity", one_of("NEGATIVE", "POSITIVE"), put=False),
    "INPut:MINimum": _statistic("minimum", 1, absolute=True),
    "INPut:MAXimum": _statistic("maximum", 1, absolute=True),
    "INPut:VARiance": _statistic("variance", 2),
    "INPut:SLOpe": _statistic("slope", 1),
    "INPut:OFFSet": _statistic("offset", 1, absolute=True),
    "INPut:ALARm": shown(_input, lambda channel: channel.alarm),
    "INPut:ALARm:HIGHest": setting(_input, "settings.alarm_highest", TEMPERATURE),
    "INPut:ALARm:LOWEst": setting(_input, "settings.alarm_lowest", TEMPERATURE),
    "INPut:ALARm:DEAdband": setting(_input, "settings.alarm_deadband", DIFFERENCE),
    "INPut:ALARm:HIENa": setting(_input, "settings.alarm_high_enabled", YES_NO),
    "INPut:ALARm:LOENa": setting(_input, "settings.alarm_low_enabled", YES_NO),
    "INPut:ALARm:FAUlt": setting(_input, "settings.alarm_fault_enabled", YES_NO),
    "INPut:ALARm:LTEna": setting(_input, "settings.alarm_latched", YES_NO),
    "INPut:ALARm:AUDio": setting(_input, "settings.alarm_audible", YES_NO),
    "INPut:ALARm:CLEar": done(_clear_alarm),
    "STATS:TIMe": Entry(lambda i, index: f"{next(iter(i.inputs.values())).statistics.seconds / 60.0:.6f}"),
    "STATS:RESet": done(lambda i, index: i.reset_statistics()),
}
