"""Build every device of a facility without touching hardware, and compare their PV names, before anything starts.

Importing instruments takes seconds and may fail in many ways, so it happens in a process of its own:
``python -m servers.facility.rehearsal FACILITY --state-dir D --port-offset N`` prints a JSON list of problems.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from devices.core.errors import ConfigurationError, DiptychError
from servers.facility.facility_file import Facility, Properties, read_facility
from servers.facility.mirrored import mirrored_devices
from servers.facility.process import PYTHON

TIMEOUT_SECONDS: Final = 60.0


def rehearse(facility: Facility) -> None:
    """Find what would keep the devices of a facility from starting.

    Raises:
        ConfigurationError: with every wrong property and import path, and every PV name that two devices have.
    """
    command = [
        *PYTHON,
        "servers.facility.rehearsal",
        str(facility.path),
        *("--state-dir", str(facility.state_dir)),
        *("--port-offset", str(facility.ports.offset)),
    ]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise ConfigurationError(
            facility.path.name, [f"its device classes could not be imported within {TIMEOUT_SECONDS:g} s"]
        ) from None
    try:
        problems = json.loads(answer.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        lines = answer.stderr.strip().splitlines() or ["no reason given"]
        problems = [f"its device classes could not be imported: {lines[-1]}"]
    if problems:
        raise ConfigurationError(facility.path.name, problems)


def problems_of(facility: Facility) -> Iterator[str]:
    """One line for each wrong property, import path, doubled PV name and fault of the logins."""
    from servers.epics.devices_file import known_pvs
    from servers.epics.names import device_pvs
    from servers.facility import mirror_shares
    from servers.web.login.credentials import faults

    if facility.panels is not None:
        yield from faults(facility.web)
    owners: dict[str, str] = {}
    for server in facility.start_order:
        for class_name, devices in facility.server(server).items():
            import_path = facility.classes.get(class_name)
            if server in facility.programs or import_path is None:
                continue
            for device, properties in devices.items():
                try:
                    description = description_of(import_path, device, properties)
                    pvs = device_pvs(description) if description["pv_prefix"] else []
                except ConfigurationError as error:
                    yield from (f"{error.subject}: {problem}" for problem in error.problems)
                    continue
                except DiptychError as error:
                    yield f"{device}: {error}"
                    continue
                yield from _clashes(device, pvs, owners)
    try:
        for mirrored in mirrored_devices(facility):
            if mirrored.prefix:
                yield from _clashes(mirrored.name, known_pvs(mirrored, mirrored.prefix), owners)
        yield from mirror_shares.problems(mirror_shares.of_facility(facility))
    except ConfigurationError as error:
        yield from (f"{error.subject}: {problem}" for problem in error.problems)
    except DiptychError as error:
        yield str(error)


def _clashes(device: str, pvs: Iterable[str], owners: dict[str, str]) -> list[str]:
    clashes = [pv for pv in pvs if owners.setdefault(pv, device).casefold() != device.casefold()]
    return [f"{device}: its PV {pv} is that of {owners[pv]} too" for pv in clashes]


def description_of(import_path: str, device: str, properties: Properties) -> dict[str, Any]:
    """What a device of this class and these properties has, without touching hardware.

    Raises:
        ConfigurationError: the class cannot be imported, or a property is wrong.
    """
    from devices.core import Device

    module_name, _, class_name = import_path.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except Exception as error:  # a module at import can raise anything
        raise ConfigurationError(device, [f"{import_path} cannot be imported: {error}"]) from error
    if not (isinstance(found, type) and issubclass(found, Device)):
        raise ConfigurationError(device, [f"{import_path} is not a subclass of devices.core.Device"])
    description: dict[str, Any] = json.loads(found(device, properties).interface.to_json())
    return description


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the devices of a facility without touching hardware")
    parser.add_argument("facility", type=Path)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--port-offset", type=int, default=0)
    options = parser.parse_args()
    facility = read_facility(options.facility, state_dir=options.state_dir, offset=options.port_offset, to_run=False)
    print(json.dumps(list(problems_of(facility))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
