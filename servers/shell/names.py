"""What the shell knows at its start: tools of the camera, all devices, and a few functions."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final

import numpy as np

from devices.core.errors import DiptychError
from servers.azcam.api_methods import API
from servers.azcam.camera import TOOLS, Camera
from servers.azcam.display_methods import DISPLAY
from servers.azcam.exposure_methods import EXPOSURE, FOCUS
from servers.azcam.method import Table
from servers.azcam.parameters import Parameters
from servers.azcam.tool_methods import CONTROLLER, INSTRUMENT, TELESCOPE, TEMPCON
from servers.facility.tango_database import open_database
from servers.shell.objects import DeviceObject, TangoTool, ToolObject, bound, finished
from servers.shell.plot import plot
from servers.shell.remote_device import RemoteDevice

TABLES: Final[Mapping[str, Table]] = {
    "exposure": EXPOSURE,
    "controller": CONTROLLER,
    "instrument": INSTRUMENT,
    "telescope": TELESCOPE,
    "tempcon": TEMPCON,
    "display": DISPLAY,
}
#: How a camera's exposure is told from other devices.
IS_EXPOSURE: Final = {"exposure_state", "focal_plane"}


@dataclass
class Database:
    """``db``: what the shell has found.

    Attributes:
        tools: of the camera, by azcam's names; of a second camera as ``exposure2`` and so on.
        devices: all devices by their Tango names.
        parameters: ``get_par``, ``set_par``.
        missing: devices that do not answer, or are none of this project, and why.
    """

    tools: dict[str, Any] = field(default_factory=dict)
    devices: dict[str, DeviceObject] = field(default_factory=dict)
    parameters: Any = None
    missing: dict[str, str] = field(default_factory=dict)


def names_of(host: str) -> dict[str, Any]:
    """The names of a shell for the devices of a Tango database.

    Args:
        host: HOST:PORT.
    """
    db = Database()
    found = _devices(host, db.missing)
    names: dict[str, Any] = {"db": db, "np": np, "plot": plot}
    exposures = [device for device in found.values() if device.attributes.keys() >= IS_EXPOSURE]
    for number, exposure in enumerate(sorted(exposures, key=lambda each: each.name), 1):
        _camera(db, names, found, exposure, "" if number == 1 else str(number))
    for name, device in found.items():
        db.devices.setdefault(name, DeviceObject(device))
        _, family, member = name.split("/")
        names.setdefault(f"{family}{member}" if f"{family}{member}".isidentifier() else name, db.devices[name])
    names |= db.tools
    return names


def _camera(
    db: Database, names: dict[str, Any], found: Mapping[str, RemoteDevice], exposure: RemoteDevice, suffix: str
) -> None:
    devices = {"exposure": exposure}
    for tool, name in exposure.client.properties(TOOLS).items():
        device = next((each for each in found.values() if each.name.casefold() == name.casefold()), None)
        if device is not None:
            devices[tool] = device
    tools = {tool: TangoTool(device) for tool, device in devices.items()}
    camera = Camera(tools, exposure.name)
    for tool, device in devices.items():
        made = ToolObject(device, camera, tools[tool], TABLES[tool])
        db.tools[f"{tool}{suffix}"] = db.devices[device.name] = made
    db.tools[f"focus{suffix}"] = SimpleNamespace(
        **{name: bound(camera, tools["exposure"], name, method) for name, method in FOCUS.items()}
    )
    if suffix:
        return
    parameters = Parameters(camera)
    db.parameters = SimpleNamespace(
        get_par=parameters.get, set_par=lambda name, value: finished(parameters.set(name, value))
    )
    names |= {"get_par": db.parameters.get_par, "set_par": db.parameters.set_par}
    names["api"] = SimpleNamespace(
        **{name: bound(camera, camera.tool(tool), name, method) for name, (tool, method) in API.items()},
        **vars(db.parameters),
    )


def _devices(host: str, missing: dict[str, str]) -> dict[str, RemoteDevice]:
    exported = open_database(host).get_device_exported("*")
    wanted = [name for name in exported if not name.startswith(("dserver/", "sys/"))]

    def connect(name: str) -> RemoteDevice | None:
        try:
            return RemoteDevice(name, f"tango://{host}/{name}")
        except DiptychError as error:
            missing[name] = str(error)
            return None

    with ThreadPoolExecutor(8) as pool:
        return {device.name: device for device in pool.map(connect, wanted) if device is not None}
