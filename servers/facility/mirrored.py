"""Which devices the mirrors of a facility serve, and under which prefix, as far as its files tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from servers.facility.epics_servers import MIRROR_CLASS
from servers.facility.facility_file import Facility, Properties, lines_of

if TYPE_CHECKING:
    from servers.epics.configuration import MirroredDevice


def mirrored_devices(facility: Facility) -> list[MirroredDevice]:
    """The devices of the facility's mirrors: those with a prefix, or those in their property ``devices``; and those in
    their ``devices_file``. The prefix is None where only a running device or the database knows it.

    Raises:
        ConfigurationError: a devices file or a share is wrong.
    """
    found = {device.name.casefold(): device for devices in devices_of_mirrors(facility).values() for device in devices}
    return list(found.values())


def devices_of_mirrors(facility: Facility) -> dict[str, list[MirroredDevice]]:
    """Mirror -> the devices that it serves, as ``mirrored_devices``.

    Raises:
        ConfigurationError: a devices file or a share is wrong.
    """
    own = {
        device.casefold(): prefix
        for server in (facility.start_order if facility.mirrors else ())
        if server not in facility.mirrors
        for devices in facility.server(server).values()
        for device, properties in devices.items()
        for prefix in lines_of(properties, "pv_prefix")
    }
    return {
        name: _devices_of(properties, own)
        for mirror in facility.mirrors
        for name, properties in facility.server(mirror).get(MIRROR_CLASS, {}).items()
    }


def _devices_of(properties: Properties, own: Mapping[str, str]) -> list[MirroredDevice]:
    from servers.epics.configuration import MirroredDevice, name_and_prefix
    from servers.epics.devices_file import read_devices
    from servers.epics.portion import Portion

    portion = Portion.parse(next(iter(lines_of(properties, "share")), ""))
    chosen = map(name_and_prefix, lines_of(properties, "devices"))
    found = {name.casefold(): prefix for name, prefix in chosen} or own
    devices = {name: MirroredDevice(name, prefix or own.get(name)) for name, prefix in found.items()}
    for path in lines_of(properties, "devices_file"):
        for device in read_devices(Path(path)):
            name = device.name.casefold()
            devices[name] = replace(device, prefix=device.prefix or found.get(name) or own.get(name))
    return [device for name, device in devices.items() if portion.has(name)]


def state_pvs(facility: Facility) -> list[str]:
    """The State PVs of the devices that run here and are mirrored here.

    Raises:
        ConfigurationError: a devices file is wrong.
    """
    from servers.epics.devices_file import known_pvs

    here = {device.casefold() for server in facility.start_order for device in facility.device_names(server)}
    return [
        pv
        for device in mirrored_devices(facility)
        if device.prefix and device.name.casefold() in here
        for pv, part in known_pvs(device, device.prefix).items()
        if part.casefold() == "state"
    ]
