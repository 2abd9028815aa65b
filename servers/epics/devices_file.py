"""The file that says how devices are mirrored: prefix, PV names, commands, periods, by device name.

.. code-block:: yaml

    sys/tg_test/1:
      prefix: "TEST1:"
      mirror_commands: [DevDouble]
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from devices.core.errors import ConfigurationError, DiptychError
from servers.epics import names
from servers.epics.configuration import MirroredDevice
from servers.facility.document import key_path, read_yaml, schema_problems

DEVICE_NAME = re.compile(r"(tango://[^/\s:]+:\d+/)?[^/\s#=]+/[^/\s#=]+/[^/\s#=]+(#dbase=no)?")


def read_devices(path: Path) -> tuple[MirroredDevice, ...]:
    """The devices of a file.

    Raises:
        ConfigurationError: with every problem: key, device and what is wrong.
    """
    document = read_yaml(path) or {}
    problems = schema_problems(document, _schema())
    if not problems:
        devices = tuple(_device(str(name), settings or {}) for name, settings in document.items())
        problems = [*_problems(devices)]
    if problems:
        raise ConfigurationError(str(path), problems)
    return devices


def known_pvs(device: MirroredDevice, prefix: str) -> dict[str, str]:
    """The full PV names that are known before the device is asked, and what of it has each.

    Raises:
        DiptychError: one of them is none that a client can ask for.
    """
    return {names.full(prefix, segment): part for part, segment in _segments(device).items()}


def _device(name: str, settings: Mapping[str, Any]) -> MirroredDevice:
    return MirroredDevice(
        name=name,
        prefix=settings.get("prefix"),
        pv_names={str(part): segment for part, segment in settings.get("pv_names", {}).items()},
        mirror_commands=tuple(settings.get("mirror_commands", ())),
        leave_out=tuple(settings.get("leave_out", ())),
        period=settings.get("period", MirroredDevice.period),
        periods={str(pattern): period for pattern, period in settings.get("periods", {}).items()},
        text_limit=settings.get("text_limit", MirroredDevice.text_limit),
    )


def _problems(devices: tuple[MirroredDevice, ...]) -> Iterator[str]:
    """What a schema cannot say."""
    seen: dict[str, str] = {}
    holders: dict[str, str] = {}
    for device in devices:
        where = device.name
        if not DEVICE_NAME.fullmatch(where):
            forms = "a/b/c or tango://HOST:PORT/a/b/c, with #dbase=no where there is no database"
            yield f"{where}: is not the name of a device: {forms}"
        if seen.setdefault(where.lower(), where) != where:
            yield f"{where}: stands there twice, as {seen[where.lower()]} too"
        for name, period in (("period", device.period), *device.periods.items()):
            if math.isnan(period):
                yield f"{key_path((where, name))}: is not a number of seconds"
        parts: dict[str, str] = {}
        for part, segment in _segments(device).items():
            if parts.setdefault(segment, part) != part:
                yield f"{key_path((where, 'pv_names'))}: {parts[segment]} and {part} would both be {segment}"
        try:
            pvs = known_pvs(device, device.prefix or "")
        except DiptychError as error:
            yield f"{where}: {error}"
            continue
        for pv, part in pvs.items() if device.prefix else ():
            holder = holders.setdefault(pv, f"{where}/{part}")
            if holder != f"{where}/{part}":
                yield f"{where}: PV {pv} of {part} is that of {holder} too"


def _segments(device: MirroredDevice) -> dict[str, str]:
    """Attribute or command -> PV segment, as far as it is known without the device."""
    chosen = {part.lower() for part in device.pv_names}
    always = {part: part for part in ("State", "Status") if part.lower() not in chosen and not device.leaves_out(part)}
    return {**device.pv_names, **always}


def _schema() -> Mapping[str, Any]:
    text = resources.files("servers.epics").joinpath("devices.schema.json").read_text()
    schema: dict[str, Any] = json.loads(text)
    return schema
