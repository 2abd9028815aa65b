"""What each Cryo-con model has: the capability table, chosen by the answer to ``*IDN?``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from devices.core.errors import ProtocolError


class LoopKind(StrEnum):
    """What a control loop drives."""

    HEATER = "heater"
    ANALOG = "analog"


@dataclass(frozen=True, slots=True)
class LoopModel:
    """The output of one control loop.

    Attributes:
        ranges: the labels that ``LOOP n:RANGe`` takes, the largest first.
        loads: the load resistances that ``LOOP n:LOAD`` takes, in ohm; empty for an analog output.
    """

    kind: LoopKind
    ranges: tuple[str, ...]
    loads: tuple[int, ...] = ()


_HEATER = LoopModel(LoopKind.HEATER, ("HI", "MID", "LOW"), (50, 25))
_ANALOG = LoopModel(LoopKind.ANALOG, ("10V", "5V"))


@dataclass(frozen=True, slots=True)
class Model:
    """The capabilities of one model.

    Attributes:
        inputs: the letters of the sensor inputs.
        loops: the control loops by number; empty for a monitor.
        sensors: the sensor indices; 0 is "none", ``user_sensors`` the last of them hold the user's curves.
        user_curves: the indices that ``CALCUR`` takes; curve 1 is the first user sensor.
    """

    name: str
    inputs: tuple[str, ...]
    loops: Mapping[int, LoopModel] = field(default_factory=dict)
    relays: range = range(1, 3)
    sensors: range = range(69)
    user_sensors: range = range(61, 69)
    user_curves: range = range(1, 9)
    pid_tables: range = range(1, 7)
    configurations: range = range(1, 7)

    @property
    def controls(self) -> bool:
        """Whether it is a controller, with CONTrol, STOP and the over-temperature interlock, or a mere monitor."""
        return bool(self.loops)


MODELS: Mapping[str, Model] = {
    model.name: model
    for model in (
        Model("18i", tuple("ABCDEFGH"), pid_tables=range(0)),
        Model("22C", tuple("AB"), {1: _HEATER, 2: _HEATER, 3: _ANALOG, 4: _ANALOG}),
        Model("24C", tuple("ABCD"), {1: _HEATER, 2: _HEATER, 3: _ANALOG, 4: _ANALOG}),
        Model("24", tuple("ABCD"), {1: _HEATER, 2: _HEATER}),
    )
}
"""The models by name. Inputs, loops and relays after the manuals; where a firmware knows less, it answers NACK."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The four fields of ``*IDN?``."""

    maker: str
    model: str
    serial: str
    firmware: str


def parse_identity(text: str) -> Identity:
    """Read ``Cryo-con,24C,204683,1.01A`` (also with ``Model`` before the number).

    Raises:
        ProtocolError: it is not the answer of a Cryo-con.
    """
    fields = [part.strip() for part in text.split(",")]
    if len(fields) != 4 or fields[0].lower().replace("-", "") != "cryocon":
        raise ProtocolError(f"*IDN? = {text[:80]!r} is not Cryo-con,MODEL,SERIAL,FIRMWARE")
    maker, model, serial, firmware = fields
    return Identity(maker, model.removeprefix("Model").strip(), serial, firmware)


def model_named(name: str) -> Model:
    """The capabilities of a model, whatever the case of its name.

    Raises:
        ProtocolError: no such model is known here.
    """
    for model in MODELS.values():
        if model.name.lower() == name.lower():
            return model
    raise ProtocolError(f"model = {name!r} is none of {', '.join(MODELS)}")
