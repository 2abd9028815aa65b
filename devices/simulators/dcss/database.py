"""The devices that a simulated DCSS knows, and how it announces each."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Final

import yaml

from devices.core.errors import ConfigurationError
from devices.drivers.limited_file import read_limited

MAX_FILE_BYTES: Final = 4 << 20
#: Circle mode -> the lowest position it has, degree; the last two are for clients only: no correction is sent.
CIRCLES: Final[Mapping[int, float]] = {0: 0.0, 1: 0.0, 2: -180.0, 3: 0.0, 4: -180.0}
CORRECTED_CIRCLES: Final = (1, 2)


@dataclass(frozen=True)
class Host:
    """A hardware server: its computer, the protocol it speaks (1 or 2), or whether DCSS plays it itself.

    One that DCSS plays may have ``scripts``: Tcl whose procedures ``NAME_start`` are its operations NAME; in a
    document, the name of the file.
    """

    name: str
    computer: str = "localhost"
    protocol: int = 2
    simulated: bool = False
    scripts: str = ""


@dataclass
class DcssDevice:
    """What all devices have: a name for clients, the server that has it, the name there."""

    kind: ClassVar[str] = ""
    name: str
    host: str
    hardware_name: str = ""

    def __post_init__(self) -> None:
        self.hardware_name = self.hardware_name or self.name

    @property
    def registration(self) -> str:
        """As its server hears of it."""
        return f"register_{self.kind} {self.name} {self.hardware_name}\n"

    @property
    def configuration(self) -> str:
        """As clients hear of it; or "" (they do not)."""
        return f"configure_{self.kind} {self.name} {self.host} {self.hardware_name}"


@dataclass
class Operation(DcssDevice):
    kind = "operation"


@dataclass
class HardwareObject(DcssDevice):
    kind = "object"

    @property
    def configuration(self) -> str:
        return ""


@dataclass
class Motor(DcssDevice, ABC):
    """What real and pseudo motors have; flags are 0 or 1."""

    position: float = 0.0
    upper: float = 1000.0
    lower: float = -1000.0
    lower_on: int = 0
    upper_on: int = 0
    lock_on: int = 0
    circle: int = 0
    units: str = "mm"
    dependencies: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    moving: bool = False

    @property
    def registration(self) -> str:
        return f"register_{self.kind} {self.name} {self.hardware_name}"

    @property
    @abstractmethod
    def values(self) -> str:
        """Position, limits and so on, without the status."""

    @property
    def configuration(self) -> str:
        return f"configure_{self.kind} {self.name} {self.host} {self.hardware_name} {self.values} {int(self.moving)}"

    @abstractmethod
    def adopt(self, numbers: list[float]) -> bool:
        """Take what its server says it is; False: the wrong number of values."""

    def correction(self) -> int:
        """What brings a circle back into its range, degree: a whole number of turns."""
        if self.circle not in CORRECTED_CIRCLES:
            return 0
        return -360 * int((self.position - CIRCLES[self.circle]) // 360.0)


@dataclass
class RealMotor(Motor):
    """``scale`` steps per unit, ``speed`` steps/s, ``acceleration`` ms, ``backlash`` steps."""

    kind = "real_motor"
    scale: float = 1000.0
    speed: int = 1000
    acceleration: int = 100
    backlash: int = 0
    backlash_on: int = 0
    reverse_on: int = 0

    @property
    def values(self) -> str:
        return (
            f"{self.position:f} {self.upper:f} {self.lower:f} {self.scale:f} {self.speed} {self.acceleration} "
            f"{self.backlash} {self.lower_on} {self.upper_on} {self.lock_on} {self.backlash_on} {self.reverse_on}"
        )

    def adopt(self, numbers: list[float]) -> bool:
        if len(numbers) != 12:
            return False
        self.position, self.upper, self.lower, self.scale = numbers[:4]
        whole = [int(each) for each in numbers[4:]]
        self.speed, self.acceleration, self.backlash, self.lower_on, self.upper_on = whole[:5]
        self.lock_on, self.backlash_on, self.reverse_on = whole[5:]
        return True


@dataclass
class PseudoMotor(Motor):
    kind = "pseudo_motor"

    @property
    def values(self) -> str:
        return f"{self.position:f} {self.upper:f} {self.lower:f} {self.lower_on} {self.upper_on} {self.lock_on}"

    def adopt(self, numbers: list[float]) -> bool:
        if len(numbers) != 6:
            return False
        self.position, self.upper, self.lower = numbers[:3]
        self.lower_on, self.upper_on, self.lock_on = (int(each) for each in numbers[3:])
        return True


@dataclass
class Shutter(DcssDevice):
    kind = "shutter"
    state: str = "closed"

    @property
    def registration(self) -> str:
        return f"register_shutter {self.name} {self.state} {self.hardware_name}\n"

    @property
    def configuration(self) -> str:
        return f"configure_shutter {self.name} {self.host} {self.state}"


@dataclass
class IonChamber(DcssDevice):
    kind = "ion_chamber"
    counter: str = "counter"
    channel: int = 0
    timer: str = "timer"
    timer_type: str = "standard"
    counts: float = 0.0

    @property
    def registration(self) -> str:
        return f"register_ion_chamber {self.name} {self._wiring}\n"

    @property
    def configuration(self) -> str:
        return f"configure_ion_chamber {self.name} {self.host} {self._wiring}"

    @property
    def _wiring(self) -> str:
        return f"{self.counter} {self.channel} {self.timer} {self.timer_type}"


@dataclass
class Encoder(DcssDevice):
    kind = "encoder"
    position: float = 0.0

    @property
    def configuration(self) -> str:
        return f"configure_encoder {self.name} {self.host} {self.position:f} {self.position:f}"


@dataclass
class DcssString(DcssDevice):
    kind = "string"
    hardware_name: str = "standardString"
    contents: str = ""

    @property
    def configuration(self) -> str:
        return f"configure_string {self.name} {self.host} {self.contents}"


KINDS: Final[Mapping[str, type[DcssDevice]]] = {
    each.kind: each
    for each in (Operation, HardwareObject, RealMotor, PseudoMotor, Shutter, IonChamber, Encoder, DcssString)
}

#: As a test of hardware servers has it: one of every kind, all of the server ``loop``.
EXAMPLE: Final[Mapping[str, Any]] = {
    "hosts": {"loop": {}, "self": {"simulated": True}},
    "devices": [
        {"kind": "operation", "names": ["helloWorld", "longReply", "slowOp"], "host": "loop"},
        {"kind": "real_motor", "name": "gonio_phi", "host": "loop", "circle": 1, "units": "deg", "speed": 60000},
        {
            "kind": "real_motor",
            "name": "table_vert",
            "host": "loop",
            "upper": 25.0,
            "lower": -10.0,
            "upper_on": 1,
            "lower_on": 1,
        },
        {"kind": "pseudo_motor", "name": "energy", "host": "loop", "position": 12658.0, "upper": 1.6e4, "lower": 6e3},
        {"kind": "shutter", "names": ["shutter", "video_trigger"], "host": "loop"},
        {"kind": "ion_chamber", "name": "i0", "host": "loop", "channel": 0},
        {"kind": "ion_chamber", "name": "i1", "host": "loop", "channel": 1},
        {"kind": "string", "name": "detectorStatus", "host": "loop"},
        {"kind": "encoder", "name": "detector_z_encoder", "host": "loop"},
        {"kind": "object", "name": "sample_camera", "host": "loop"},
    ],
}


@dataclass
class Database:
    """Hosts and devices, in the order of the file: that is the order of registration."""

    hosts: dict[str, Host] = field(default_factory=dict)
    devices: dict[str, DcssDevice] = field(default_factory=dict)

    def of_host(self, name: str) -> list[DcssDevice]:
        """The devices of one hardware server."""
        return [each for each in self.devices.values() if each.host == name]

    @classmethod
    def of(cls, document: Mapping[str, Any], folder: Path = Path(".")) -> Database:
        """From ``{"hosts": {name: {...}}, "devices": [{"kind":, "name": or "names":, "host":, ...}]}``.

        Args:
            folder: where files of scripts lie.
        Raises:
            ConfigurationError: what is wrong with it, all of it.
        """
        found, problems = cls(), []
        for name, values in (document.get("hosts") or {}).items():
            try:
                host = Host(name, **(values or {}))
                text = read_limited(folder / host.scripts, MAX_FILE_BYTES).decode() if host.scripts else ""
                found.hosts[name] = replace(host, scripts=text)
            except (TypeError, ValueError) as error:
                problems.append(f"host {name}: {error}")
        for values in document.get("devices") or []:
            given = dict(values)
            names = given.pop("names", None) or [given.get("name", "")]
            kind = KINDS.get(str(given.pop("kind", "")))
            if kind is None:
                problems.append(f"device {names[0]}: kind is none of {', '.join(KINDS)}")
                continue
            if unknown := given.keys() - {each.name for each in fields(kind)}:
                problems.append(f"device {names[0]}: unknown {', '.join(sorted(unknown))}")
                continue
            for name in names:
                try:
                    device = kind(**{**given, "name": name})
                except TypeError as error:
                    problems.append(f"device {name}: {error}")
                    continue
                if device.host not in found.hosts:
                    problems.append(f"device {name}: there is no host {device.host}")
                if name in found.devices:
                    problems.append(f"device {name} is there twice")
                found.devices[name] = device
        if problems:
            raise ConfigurationError("database of the simulated DCSS", problems)
        return found

    @classmethod
    def read(cls, path: Path | None) -> Database:
        """From a YAML or JSON file; None: `EXAMPLE`.

        Raises:
            ConfigurationError: as `of`, or the file cannot be read.
        """
        if path is None:
            return cls.of(EXAMPLE)
        try:
            data = read_limited(path, MAX_FILE_BYTES)
            document = json.loads(data) if path.suffix == ".json" else yaml.safe_load(data)
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise ConfigurationError(str(path), [str(error)]) from None
        if not isinstance(document, Mapping):
            raise ConfigurationError(str(path), ["is not an object with hosts and devices"])
        return cls.of(document, path.parent)
