"""What a mirror is told: the devices, the addresses, the rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from devices.core.errors import ConfigurationError
from servers.epics.access import DEFAULT_RULES, Rule

NO_DATABASE = "#dbase=no"


def matches(name: str, pattern: str) -> bool:
    """Whether a Tango name matches a pattern with ``*`` and ``?``, in upper or lower case."""
    return fnmatchcase(name.lower(), pattern.lower())


def name_and_prefix(line: str) -> tuple[str, str]:
    """A line of the property ``devices``, ``DEVICE`` or ``DEVICE=PREFIX``; "" is no prefix."""
    name, has_none, prefix = line.partition(NO_DATABASE)
    if not has_none:
        name, _, prefix = line.partition("=")
    return f"{name.strip()}{has_none}", prefix.strip().removeprefix("=").strip()


@dataclass(frozen=True)
class MirroredDevice:
    """One device to mirror.

    Attributes:
        name: ``a/b/c`` or ``tango://HOST:PORT/a/b/c``, with ``#dbase=no`` where there is no database.
        prefix: of its PVs; None takes the device's own (its description, or its property ``pv_prefix``).
        pv_names: PV segments that replace the rule, by attribute or command name.
        mirror_commands: commands of a device that does not describe itself.
        leave_out: attributes that are not mirrored; patterns with ``*`` and ``?``.
        period: s between two reads of what has no events.
        periods: pattern of attributes -> s, the first one that matches: without events they are read so often, with
            events they are not shown more often.
        text_limit: characters of a text, where the device does not say.

    Tango's names are caseless, so these are too.
    """

    name: str
    prefix: str | None = None
    pv_names: Mapping[str, str] = field(default_factory=dict, hash=False)
    mirror_commands: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    period: float = 1.0
    periods: Mapping[str, float] = field(default_factory=dict, hash=False)
    text_limit: int = 4096

    def leaves_out(self, attribute: str) -> bool:
        return any(matches(attribute, pattern) for pattern in self.leave_out)

    def period_of(self, attribute: str) -> float | None:
        """The period that was chosen for this attribute, s; None where none was."""
        return next((period for pattern, period in self.periods.items() if matches(attribute, pattern)), None)


@dataclass(frozen=True)
class MirrorConfig:
    """What to mirror and where to serve it.

    Attributes:
        tango_host: ``HOST:PORT`` of the database for names without one; "" leaves it to TANGO_HOST.
        bind: the address that both servers listen on.
        ca_port, ca_repeater_port, pva_port, pva_broadcast_port: 0 takes a free one.
        audit_path: the file of the audit; None keeps none.
        image_limit: bytes of an image that Channel Access still serves as a waveform.
        image_process: attributes that may have more than 256 kB are served by a process of their own.
        ca_images_port, pva_images_port: of that process; 0 takes a free one.
        withheld: PV names that are not served, since another process has them.
        beacons: addresses beside this host where clients hear at once that the mirror serves: of hosts or of a network.
        lease: of mirrors of one lease only one serves; "" serves always.
        lease_holder: who asks for it, as others see it.
        lease_voters: the devices that vote who has it.
        lease_seconds: for how long they vote.
    """

    devices: tuple[MirroredDevice, ...] = ()
    tango_host: str = ""
    bind: str = "127.0.0.1"
    ca_port: int = 5064
    ca_repeater_port: int = 5065
    pva_port: int = 5075
    pva_broadcast_port: int = 5076
    audit_path: Path | None = None
    audit_bytes: int = 10_000_000
    access: tuple[Rule, ...] = DEFAULT_RULES
    image_limit: int = 4 << 20
    image_process: bool = True
    ca_images_port: int = 0
    pva_images_port: int = 0
    withheld: frozenset[str] = frozenset()
    beacons: tuple[str, ...] = ()
    lease: str = ""
    lease_holder: str = ""
    lease_voters: tuple[str, ...] = ()
    lease_seconds: float = 3.0

    def __post_init__(self) -> None:
        names = [device.name.lower() for device in self.devices]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigurationError("mirror", [f"device {name} is there twice" for name in twice])
