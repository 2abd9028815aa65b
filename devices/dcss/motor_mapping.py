"""What stands behind a motor of DCSS: addresses of neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from devices.core.errors import BadValueError

#: What an EPICS motor record has for us, by its documentation.
RECORD_FIELDS: Mapping[str, str] = {
    "position": "RBV",
    "setpoint": "VAL",
    "done": "DMOV",
    "stop": "STOP",
    "lower": "LLM",
    "upper": "HLM",
    "lower_switch": "LLS",
    "upper_switch": "HLS",
    "speed": "VELO",
    "define": "SET",
}


@dataclass(frozen=True)
class MotorMapping:
    """Addresses and numbers of a motor.

    Attributes:
        is_real: a real motor of DCSS; otherwise a pseudo motor.
        setpoint: takes the target. position: where it is; the same as the setpoint where there is no read-back.
        moving, done: tell that it moves, or that it does not; a Tango state moves in MOVING and RUNNING. At most one.
        stop: a command, or a PV that takes 1.
        lower, upper: addresses of its limits. limits: or numbers, lower and upper, in units of DCSS.
        lower_switch, upper_switch: limit switches.
        speed: takes units per second, for oscillations.
        define: the SET field of a motor record: at 1, the setpoint redefines the position.
        factor, offset: value of the device = position of DCSS * factor + offset.
        tolerance: it has arrived when so near, in units of DCSS. None: when it stands still.
        steady: and when it has been so near for so long, s.
        hold: a stop puts the position of that moment as the target; for what has no ``stop``.
        seconds: the longest a move may take, s.
        settle: it has this time to begin to move, s.
    """

    name: str
    is_real: bool
    setpoint: str
    position: str
    moving: str | None = None
    done: str | None = None
    stop: str | None = None
    lower: str | None = None
    upper: str | None = None
    limits: tuple[float | None, float | None] = (None, None)
    lower_switch: str | None = None
    upper_switch: str | None = None
    speed: str | None = None
    define: str | None = None
    factor: float = 1.0
    offset: float = 0.0
    tolerance: float | None = None
    steady: float = 0.0
    hold: bool = False
    seconds: float = 600.0
    settle: float = 0.5

    @classmethod
    def of(cls, name: str, is_real: bool, entry: Mapping[str, Any]) -> MotorMapping:
        """From an entry of the mapping file, checked against its schema.

        Raises:
            BadValueError: neither a record nor a setpoint, both ``moving`` and ``done``, both ``stop`` and ``hold``, or
                ``steady`` without a tolerance.
        """
        given = dict(entry)
        record = given.pop("record", None)
        if record is not None:
            address = record if ":" in record.split(".")[0] and record.startswith(("ca:", "pva:")) else f"ca:{record}"
            given = {**{role: f"{address}.{field}" for role, field in RECORD_FIELDS.items()}, **given}
        if "setpoint" not in given:
            raise BadValueError(f"motor {name}: record or setpoint is missing")
        if "moving" in given and "done" in given:
            raise BadValueError(f"motor {name}: moving and done exclude each other")
        if "stop" in given and given.get("hold"):
            raise BadValueError(f"motor {name}: stop and hold exclude each other")
        if "steady" in given and "tolerance" not in given:
            raise BadValueError(f"motor {name}: steady needs a tolerance")
        given.setdefault("position", given["setpoint"])
        if "limits" in given:
            given["limits"] = tuple(given["limits"])
        return replace(cls(name, is_real, given["setpoint"], given["position"]), **given)

    def watched(self) -> dict[str, str]:
        """Role -> address, of what is watched all the time."""
        roles = ("position", "moving", "done", "lower", "upper", "lower_switch", "upper_switch")
        found = {field.name: getattr(self, field.name) for field in fields(self) if field.name in roles}
        return {role: address for role, address in found.items() if address is not None}
