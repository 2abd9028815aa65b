"""Which devices the mirrors of a facility serve, and under which prefix, as far as its files tell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from servers.facility.facility_file import Facility, lines_of

if TYPE_CHECKING:
    from servers.epics.configuration import MirroredDevice


def mirrored_devices(facility: Facility) -> list[MirroredDevice]:
    """The devices of the facility's mirrors: those with a prefix, or those in their property ``devices``; and those in
    their ``devices_file``. The prefix is None where only a running device or the database knows it.

    Raises:
        ConfigurationError: a devices file is wrong.
    """
    from servers.epics.configuration import MirroredDevice
    from servers.epics.devices_file import read_devices

    own = {
        device.casefold(): prefix
        for server in (facility.start_order if facility.mirrors else ())
        if server not in facility.mirrors
        for devices in facility.server(server).values()
        for device, properties in devices.items()
        for prefix in lines_of(properties, "pv_prefix")
    }
    chosen = [line.partition("=") for line in _lines(facility, "devices")]
    found = {name.strip().casefold(): prefix.strip() for name, _, prefix in chosen} or own
    devices = {name: MirroredDevice(name, prefix or own.get(name)) for name, prefix in found.items()}
    for path in _lines(facility, "devices_file"):
        for device in read_devices(Path(path)):
            name = device.name.casefold()
            devices[name] = replace(device, prefix=device.prefix or found.get(name) or own.get(name))
    return list(devices.values())


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


def _lines(facility: Facility, name: str) -> list[str]:
    """The lines of a property of all mirrors."""
    return [
        line
        for mirror in facility.mirrors
        for devices in facility.server(mirror).values()
        for properties in devices.values()
        for line in lines_of(properties, name)
    ]
