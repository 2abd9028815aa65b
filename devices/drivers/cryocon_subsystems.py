"""The command tree of a Cryo-con: inputs, loops and the rest, each with its questions, settings and actions.

Temperatures are in the display unit of the input they belong to (``Input.units``): K, degC, degF or sensor units.

Source:
    Cryogenic Control Systems, *Model 24C User's Manual*, Remote Programming Guide.
"""

from __future__ import annotations

from devices.drivers.cryocon_items import Query, Speaker, Subsystem, action, query, reading, setting
from devices.drivers.cryocon_labels import (
    AlarmState,
    AutotuneMode,
    AutotuneStatus,
    BiasVoltage,
    BridgeRange,
    DisplayResolution,
    LoopType,
    OutputRange,
    RelayMode,
    RelayState,
    Source,
    Units,
)
from devices.drivers.cryocon_protocol import (
    Codec,
    calendar_date,
    choice,
    integer,
    number,
    parse_number,
    plain_text,
    string,
    switch,
    time_of_day,
    word,
)

__all__ = [
    "AlarmState",
    "Autotune",
    "AutotuneMode",
    "AutotuneStatus",
    "BiasVoltage",
    "BridgeRange",
    "Configuration",
    "DataLog",
    "DisplayResolution",
    "Input",
    "Loop",
    "LoopType",
    "Mail",
    "Network",
    "OutputRange",
    "Overtemperature",
    "PidTableHeader",
    "Relay",
    "RelayMode",
    "RelayState",
    "Sensor",
    "Source",
    "Statistics",
    "System",
    "Units",
]

_ON_OFF = switch()
_YES_NO = switch("YES", "NO")
_LETTER = choice(Source)
# Some firmware answers CHA where others answer A.
_SOURCE: Codec[Source] = Codec(lambda text: _LETTER.parse(text.upper().removeprefix("CH")), _LETTER.format)
_TEMPERATURE = number(-460.0, 100_000.0)
_PID_TABLE = integer(range(7))


class Input(Subsystem):
    """One sensor input."""

    temperature = reading("TEMPerature")
    units = setting("UNITs", choice(Units))
    name = setting("NAMe", string())
    sensor = setting("SENSor", integer(range(69)))
    sensor_reading = reading("SENPr")
    bias_voltage = setting("VBIas", choice(BiasVoltage))
    bridge_range = setting("BRANge", choice(BridgeRange))
    ac_excitation = setting("ACEXcite", _ON_OFF)
    sensor_power = reading("SENSPwr")
    bridge_unlocked = query("BRUNlock", lambda text: text == "*")
    polarity = query("POLarity", plain_text)

    minimum = reading("MINimum")
    maximum = reading("MAXimum")
    variance = reading("VARiance")
    slope = reading("SLOpe")
    offset = reading("OFFSet")

    alarm = query("ALARm", choice(AlarmState).parse)
    alarm_highest = setting("ALARm:HIGHest", _TEMPERATURE)
    alarm_lowest = setting("ALARm:LOWEst", _TEMPERATURE)
    alarm_deadband = setting("ALARm:DEAdband", number(0.0, 1000.0))
    alarm_high_enabled = setting("ALARm:HIENa", _YES_NO)
    alarm_low_enabled = setting("ALARm:LOENa", _YES_NO)
    alarm_fault_enabled = setting("ALARm:FAUlt", _YES_NO)
    alarm_latched = setting("ALARm:LTEna", _YES_NO)
    alarm_audible = setting("ALARm:AUDio", _YES_NO)
    clear_alarm = action("ALARm:CLEar")


class Autotune(Subsystem):
    """The auto-tuning of one loop; the gains it finds are -1 until it is COMPLETE."""

    mode = setting("MODe", choice(AutotuneMode))
    delta_power = setting("DELTap", number(0.0, 100.0, "%"))
    timeout = setting("TIMeout", number(0.0, 86400.0, "s"))
    status = query("STATus", choice(AutotuneStatus).parse)
    p_gain = reading("PGAin")
    i_gain = reading("IGAin")
    d_gain = reading("DGAin")
    start = action("STARt")
    save = action("SAVE")
    exit = action("EXIT")


class Loop(Subsystem):
    """One control loop. P is in % per unit of temperature, I and D are times in s, powers are in % of full scale."""

    source = setting("SOURce", _SOURCE)
    setpoint = setting("SETPt", _TEMPERATURE)
    type = setting("TYPe", choice(LoopType))
    range = setting("RANGe", choice(OutputRange))
    rate = setting("RATe", number(0.0, 1000.0, "1/min"))
    ramping = query("RAMP", _ON_OFF.parse)
    p_gain = setting("PGAin", number(0.0, 1000.0))
    i_gain = setting("IGAin", number(0.0, 10_000.0, "s"))
    d_gain = setting("DGAin", number(0.0, 10_000.0, "s"))
    manual_power = setting("PMANual", number(0.0, 100.0, "%"))
    output_power = reading("OUTPwr")
    heater_readback = reading("HTRRead")
    heat_sink = reading("HTRHst")
    load = setting("LOAD", integer((25, 50)))
    max_power = setting("MAXPwr", number(0.0, 100.0, "%"))
    max_setpoint = setting("MAXSet", _TEMPERATURE)
    error = reading("ERRor")
    voltage = reading("VSENse")
    current = reading("ISENse")
    load_resistance = reading("LSENse")
    pid_table = setting("TABLEix", _PID_TABLE)

    def __init__(self, speaker: Speaker, path: str, drives_heater: bool = True) -> None:
        super().__init__(speaker, path)
        self.drives_heater = drives_heater
        self.autotune = Autotune(speaker, f"{path}:AUTotune")


class Overtemperature(Subsystem):
    """The interlock that ends control when one input is too hot."""

    enabled = setting("ENABle", _ON_OFF)
    source = setting("SOURce", _SOURCE)
    temperature = setting("TEMPerature", _TEMPERATURE)


class Relay(Subsystem):
    """One relay."""

    source = setting("SOURce", _SOURCE)
    highest = setting("HIGHest", _TEMPERATURE)
    lowest = setting("LOWEst", _TEMPERATURE)
    deadband = setting("DEAdband", number(0.0, 1000.0))
    mode = setting("MODe", choice(RelayMode))

    def __init__(self, speaker: Speaker, relay: int) -> None:
        super().__init__(speaker, f"RELays {relay}")
        self.state = Query(speaker, f"RELays? {relay}", "", choice(RelayState).parse, f"REL? {relay}")


class System(Subsystem):
    """The instrument as a whole."""

    lockout = setting("LOCKout", _ON_OFF)
    remote_led = setting("REMLed", _ON_OFF)
    name = setting("NAMe", string())
    hardware_revision = query("HWRev", plain_text)
    firmware_revision = query("FWRev", plain_text)
    ambient = reading("AMBient")
    heat_sink = reading("HTRHst")
    cold_junction = reading("CJTemp")
    display_filter = setting("DISTc", number(0.5, 64.0, "s"))
    display_resolution = setting("DRES", choice(DisplayResolution))
    line_frequency = setting("LINefreq", integer((50, 60)))
    address = setting("ADRS", integer(range(1, 32)))
    date = setting("DATe", calendar_date)
    time = setting("TIMe", time_of_day)
    save = action("NVSave")
    reseed = action("RESeed")

    async def beep(self, seconds: int) -> None:
        """Sound the beeper; ends no earlier than the instrument has taken the command."""
        await self.speaker.put(f"SYST:BEEP {seconds:d}", "*OPC?", f"SYSTem:BEEP {seconds:d}")


class Statistics(Subsystem):
    """The time over which the statistics of all inputs are taken."""

    minutes = reading("TIMe")
    reset = action("RESet")


class Configuration(Subsystem):
    """One stored configuration of the whole instrument."""

    name = setting("NAMe", string())
    save = action("SAVE")
    restore = action("RESTore")


class Sensor(Subsystem):
    """One entry of the sensor table; only those of the user can be changed."""

    name = setting("NAMe", string())
    points = query("NENTry", integer(range(201)).parse)
    units = setting("UNITs", word)
    type = setting("TYPe", word)
    multiplier = setting("MULTiply", number())


class PidTableHeader(Subsystem):
    """The name and length of one PID table."""

    name = setting("NAMe", string(16))
    entries = query("NENTry", integer(range(17)).parse)


class DataLog(Subsystem):
    """The data log within the instrument."""

    enabled = setting("STATe", _ON_OFF)
    interval = setting("INTerval", number(0.0, 86400.0, "s"))
    count = query("COUNt", parse_number)
    reset = action("RESEt")
    clear = action("CLEAr")


class Network(Subsystem):
    """The Ethernet interface."""

    address = setting("IPADdress", string())
    port = setting("PORT", integer(range(1, 65536)))
    name = setting("NAMe", string())
    dhcp = setting("DHCP", _ON_OFF)
    mac_address = query("MACADdress", lambda text: text.strip('"'))


class Mail(Subsystem):
    """The mail that an alarm of one input sends."""

    server = setting("ADDR", string())
    sender = setting("FROM", string(40))
    recipient = setting("DEST", string(40))
    port = setting("PORT", integer(range(1, 65536)))
    enabled = setting("STATE", _ON_OFF)
