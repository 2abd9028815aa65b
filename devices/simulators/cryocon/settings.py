"""What a Cryo-con simulator stores: every setting of inputs, loops, relays, system, network and mail.

Temperatures are kept in K, whatever unit an input displays. The whole tree is plain data, so that a configuration is
saved and restored by copying it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from devices.drivers.cryocon_models import LoopKind, Model
from devices.simulators.cryocon.physics import Gains


@dataclass
class InputSettings:
    name: str
    units: str = "K"
    sensor: int = 20
    bias_voltage: str = "10MV"
    bridge_range: str = "AUTO"
    ac_excitation: bool = True
    polarity: str = "NEGATIVE"
    alarm_highest: float = 325.0
    alarm_lowest: float = 1.0
    alarm_deadband: float = 0.25
    alarm_high_enabled: bool = False
    alarm_low_enabled: bool = False
    alarm_fault_enabled: bool = False
    alarm_latched: bool = False
    alarm_audible: bool = False


@dataclass
class LoopSettings:
    source: str
    range: str
    setpoint: float = 80.0
    type: str = "PID"
    rate: float = 10.0
    p_gain: float = 5.0
    i_gain: float = 60.0
    d_gain: float = 0.0
    manual_power: float = 5.0
    load: int = 50
    max_power: float = 100.0
    max_setpoint: float = 400.0
    pid_table: int = 1


@dataclass
class RelaySettings:
    source: str = "A"
    highest: float = 350.0
    lowest: float = 2.0
    deadband: float = 0.25
    mode: str = "OFF"


@dataclass
class OvertemperatureSettings:
    enabled: bool = False
    source: str = "A"
    temperature: float = 400.0


@dataclass
class SystemSettings:
    name: str
    lockout: bool = False
    remote_led: bool = False
    display_filter: float = 0.5
    display_resolution: str = "FULL"
    line_frequency: int = 60
    address: int = 12
    log_enabled: bool = False
    log_interval: float = 10.0


@dataclass
class NetworkSettings:
    address: str = "192.168.1.5"
    port: int = 5000
    name: str = "Cryocon"
    dhcp: bool = False


@dataclass
class MailSettings:
    server: str = "192.168.0.1"
    sender: str = "cryocon@localhost"
    recipient: str = "operator@localhost"
    port: int = 25
    enabled: bool = False


@dataclass
class PidTableEntry:
    setpoint: float
    gains: Gains
    range: str
    source: str | None


@dataclass
class StoredPidTable:
    name: str
    entries: list[PidTableEntry] = field(default_factory=list)


@dataclass
class Settings:
    """Everything that NVSave and CONFig keep."""

    inputs: dict[str, InputSettings]
    loops: dict[int, LoopSettings]
    relays: dict[int, RelaySettings]
    mail: dict[str, MailSettings]
    system: SystemSettings
    overtemperature: OvertemperatureSettings = field(default_factory=OvertemperatureSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    control: bool = False


@dataclass
class StoredConfiguration:
    name: str
    settings: Settings


def factory_settings(model: Model) -> Settings:
    """How a new instrument is set."""
    loops = {
        number: LoopSettings(
            source=model.inputs[(number - 1) % len(model.inputs)],
            range="MID" if loop.kind is LoopKind.HEATER else "10V",
            type="PID" if number == 1 else "OFF",
        )
        for number, loop in model.loops.items()
    }
    return Settings(
        inputs={letter: InputSettings(f"Channel {letter}") for letter in model.inputs},
        loops=loops,
        relays={number: RelaySettings() for number in model.relays},
        mail={letter: MailSettings() for letter in model.inputs},
        system=SystemSettings(f"Model {model.name}"),
    )
