"""Whether several mirrors share the devices well: each device served by one of them, or by all that stand in for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import tango

from devices.core.errors import ConfigurationError
from servers.epics.configuration import name_and_prefix
from servers.epics.portion import Portion
from servers.facility.epics_servers import MIRROR_CLASS
from servers.facility.facility_file import Facility, lines_of
from servers.facility.mirrored import devices_of_mirrors
from servers.facility.tango_database import devices_of


@dataclass(frozen=True)
class MirrorShare:
    """One mirror.

    Attributes:
        name: its Tango name.
        devices: what it serves, in lower case.
        lease: mirrors of one lease stand in for each other; "" none.
        portion: ``2/3``, or ``1/1``.
    """

    name: str
    devices: frozenset[str]
    lease: str = ""
    portion: str = "1/1"


def of_facility(facility: Facility) -> list[MirrorShare]:
    """The mirrors of a facility file, and what they serve as far as it tells.

    Raises:
        ConfigurationError: a devices file or a share is wrong.
    """
    properties = {
        name: each
        for mirror in facility.mirrors
        for name, each in facility.server(mirror).get(MIRROR_CLASS, {}).items()
    }
    return [
        MirrorShare(
            name,
            frozenset(device.name.casefold() for device in devices),
            next(iter(lines_of(properties[name], "lease")), ""),
            next(iter(lines_of(properties[name], "share")), "1/1"),
        )
        for name, devices in devices_of_mirrors(facility).items()
    ]


def of_database(database: tango.Database) -> list[MirrorShare]:
    """All mirrors that a Tango database knows, whatever facility they are of; devices files are read where they lie.

    Raises:
        tango.DevFailed: the database does not answer.
        ConfigurationError: the share of one is wrong.
    """
    defined = [each for server in database.get_server_list("*") for each in devices_of(database, server)]
    mirrors = [name for name, kind in defined if kind == MIRROR_CLASS]
    prefixed: frozenset[str] | None = None
    found = []
    for name in mirrors:
        wanted = database.get_device_property(name, ["devices", "devices_file", "share", "lease"])
        devices = {name_and_prefix(line)[0].casefold() for line in wanted["devices"]}
        if not devices:
            prefixed = _prefixed(database, (name for name, _ in defined)) if prefixed is None else prefixed
            devices = set(prefixed)
        for path in wanted["devices_file"]:
            devices |= _in_file(Path(path))
        portion = Portion.parse(next(iter(wanted["share"]), ""))
        served = frozenset(device for device in devices if portion.has(device))
        found.append(MirrorShare(name, served, next(iter(wanted["lease"]), ""), str(portion)))
    return found


def problems(mirrors: Iterable[MirrorShare]) -> Iterator[str]:
    """One line for devices that several mirrors serve, and for each lease whose mirrors differ."""
    served: dict[str, list[MirrorShare]] = defaultdict(list)
    leases: dict[str, list[MirrorShare]] = defaultdict(list)
    for mirror in mirrors:
        for device in mirror.devices:
            served[device].append(mirror)
        if mirror.lease:
            leases[mirror.lease].append(mirror)
    shared: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for device, its in served.items():
        if len({mirror.lease or mirror.name for mirror in its}) > 1:
            shared[tuple(sorted(mirror.name for mirror in its))].append(device)
    for names, devices in sorted(shared.items()):
        yield (
            f"{' and '.join(names)} serve the same devices ({_some(devices)}): give them a share each (1/2 and 2/2) or "
            f"devices, or one lease"
        )
    for lease, its in sorted(leases.items()):
        if len({mirror.devices for mirror in its}) > 1:
            yield f"lease {lease}: {' and '.join(mirror.name for mirror in its)} serve different devices"


def missing(mirrors: Iterable[MirrorShare]) -> Iterator[str]:
    """One line for each portion of the devices that no mirror has."""
    portions: dict[int, set[int]] = defaultdict(set)
    for mirror in mirrors:
        portion = Portion.parse(mirror.portion)
        portions[portion.of].add(portion.number)
    for of, numbers in sorted(portions.items()):
        for number in sorted(set(range(1, of + 1)) - numbers):
            remedy = f"add one, or share by {len(numbers)}"
            yield f"no mirror has the share {number}/{of}, so its devices have no PVs: {remedy}"


def _some(devices: Iterable[str]) -> str:
    names = sorted(devices)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _prefixed(database: tango.Database, names: Iterable[str]) -> frozenset[str]:
    """Every device with a prefix, as a mirror without a list of devices finds them."""
    return frozenset(
        name.casefold() for name in names if any(database.get_device_property(name, "pv_prefix")["pv_prefix"])
    )


def _in_file(path: Path) -> set[str]:
    from servers.epics.devices_file import read_devices

    try:
        return {device.name.casefold() for device in read_devices(path)}
    except (ConfigurationError, OSError):
        return set()  # it lies on the mirror's host, which says what is wrong with it
