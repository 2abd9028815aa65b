"""The labels of a Cryo-con's enumerations; each value is what goes over the wire."""

from __future__ import annotations

from enum import StrEnum


class Units(StrEnum):
    """The display unit of an input; S is the sensor's own, V or ohm."""

    K = "K"
    C = "C"
    F = "F"
    S = "S"


class AlarmState(StrEnum):
    NONE = "--"
    SENSOR_FAULT = "SF"
    HIGH = "HI"
    LOW = "LO"


class BiasVoltage(StrEnum):
    """The excitation of a constant-voltage (ACR) sensor."""

    MV_10 = "10MV"
    MV_3 = "3.0MV"
    MV_1 = "1.0MV"
    UV_300 = "300UV"


class BridgeRange(StrEnum):
    """The excitation of a constant-current resistance sensor."""

    AUTO = "AUTO"
    MA_1 = "1.0MA"
    UA_100 = "100UA"
    UA_10 = "10UA"


class LoopType(StrEnum):
    OFF = "OFF"
    MAN = "MAN"
    PID = "PID"
    TABLE = "TABLE"
    RAMPP = "RAMPP"
    RAMPT = "RAMPT"
    SCALE = "SCALE"


class OutputRange(StrEnum):
    """The full scale of an output: three of a heater, two of an analog output."""

    HI = "HI"
    MID = "MID"
    LOW = "LOW"
    V_10 = "10V"
    V_5 = "5V"


class AutotuneMode(StrEnum):
    P = "P"
    PI = "PI"
    PID = "PID"


class AutotuneStatus(StrEnum):
    IDLE = "IDLE"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    FAILED = "FAILED"
    ABORT = "ABORT"


class RelayMode(StrEnum):
    AUTO = "AUTO"
    ON = "ON"
    OFF = "OFF"
    CONTROL = "CONTROL"


class RelayState(StrEnum):
    """CLEAR, HIGH and LOW in the automatic mode, ON and OFF by hand."""

    CLEAR = "--"
    HIGH = "HI"
    LOW = "LO"
    ON = "ON"
    OFF = "OFF"


class DisplayResolution(StrEnum):
    """The decimals of a displayed temperature; FULL shows seven digits."""

    FULL = "FULL"
    ONE = "1"
    TWO = "2"
    THREE = "3"


class Source(StrEnum):
    """The input that a loop, a relay or the interlock listens to."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    E = "E"
    F = "F"
    G = "G"
    H = "H"
