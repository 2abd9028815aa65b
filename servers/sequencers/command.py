"""``diptych describe --ophyd-async`` and its sisters: from running devices, or from a facility file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal, cast

import tango

from devices.core.errors import BadValueError, ConfigurationError, NotAllowedError, UnknownNameError
from devices.core.interface import Interface
from servers.facility.facility_file import read_facility
from servers.facility.place import database_of
from servers.facility.rehearsal import description_of
from servers.facility.spelling import did_you_mean
from servers.facility.tango_database import open_database
from servers.sequencers import happi_items, ophyd_async_file, ophyd_file, sardana_file
from servers.sequencers.subject import Subject, Wanted, check

Form = Literal["ophyd_async", "ophyd", "happi", "sardana"]
#: A description is 100 kB and more; a busy computer takes its time for it.
DESCRIBE_MILLISECONDS: Final = 30_000


def generate(
    devices: Sequence[str],
    form: Form,
    via: str | None,
    wanted: Wanted,
    module: str,
    facility_path: Path | None,
    *,
    state_dir: Path,
    tango_host: str | None,
    command: str,
) -> str:
    """The text of a file for a sequencer.

    Args:
        facility_path: a facility's JSON file, which need not run; None: devices that run.
        module: where a happi client finds the classes.

    Raises:
        NotAllowedError: the device has no PVs, or the form has no such protocol.
    """
    if facility_path:
        subjects = _of_file(devices, facility_path, state_dir, tango_host)
    else:
        host = database_of(state_dir, tango_host)
        subjects = [_running(device, host) for device in devices]
    check(subjects, wanted)
    if form == "sardana":
        return sardana_file.generate(subjects, wanted, command)
    used = via or ("pva" if form == "ophyd_async" else "ca")
    for subject in subjects:
        if used != "tango" and not subject.interface.pv_prefix:
            raise NotAllowedError(f"{subject.device} has no PVs (property pv_prefix); use --via tango")
    if form == "happi":
        return happi_items.generate(subjects, module, used)
    if form == "ophyd":
        if used != "ca":
            raise NotAllowedError(f"ophyd speaks Channel Access, not {used}; --ophyd-async has all three")
        if wanted.together:
            raise NotAllowedError("triggers of several readings are those of --ophyd-async")
        return ophyd_file.generate(subjects, wanted, command)
    return ophyd_async_file.generate(subjects, wanted, cast(ophyd_async_file.Via, used), command)


def _running(device: str, host: str) -> Subject:
    if device.count("/") != 2:
        raise BadValueError(f"{device} is not of the form domain/family/member, as in cryo/cryocon/1")
    trl = f"tango://{host}/{device}"
    try:
        proxy = tango.DeviceProxy(trl)
    except tango.DevFailed as error:
        if error.args[0].reason != "DB_DeviceNotDefined":
            raise
        known = open_database(host).get_device_exported("*")
        raise UnknownNameError(f"there is no device {device} at {host}{did_you_mean(device, known)}") from None
    proxy.set_timeout_millis(DESCRIBE_MILLISECONDS)
    try:
        text = proxy.command_inout("describe")
    except tango.DevFailed as error:
        if error.args[0].reason != "API_CommandNotFound":
            raise
        raise NotAllowedError(f"{device} has no description of its own; it is not of this project") from None
    return Subject(device, trl, Interface.from_json(text))


def _of_file(devices: Sequence[str], path: Path, state_dir: Path, tango_host: str | None) -> list[Subject]:
    facility = read_facility(path, state_dir=state_dir, to_run=False)
    host = tango_host or facility.tango_host or facility.ports.endpoint("tango")
    found: dict[str, tuple[str, Any]] = {
        device: (class_name, properties)
        for classes in facility.devices.values()
        for class_name, members in classes.items()
        for device, properties in members.items()
    }
    subjects = []
    for device in devices:
        if device not in found:
            raise UnknownNameError(f"{path.name} has no device {device}{did_you_mean(device, found)}")
        class_name, properties = found[device]
        if class_name not in facility.classes:
            raise ConfigurationError(device, [f"{path.name} does not say where its class {class_name} is"])
        description = description_of(facility.classes[class_name], device, properties)
        subjects.append(Subject(device, f"tango://{host}/{device}", Interface.from_json(json.dumps(description))))
    return subjects
