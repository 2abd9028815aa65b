"""The services for clients of azcam that a facility asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from devices.ccd.exposure import CcdExposure
from devices.core import Device
from devices.core.errors import ConfigurationError
from servers.azcam.service import AzcamService
from servers.azcam.settings import Address, AzcamSettings
from servers.token_file import read_token

OPTIONS: Final = (
    "listen", "web", "system", "welcome", "token_file", "exit", "connections", "parameters", "site", "names",
)  # fmt: skip
FLAGS: Final = {"true": True, "false": False}
MOST_CONNECTIONS: Final = 4096


def azcam(device: Device, options: Mapping[str, str]) -> AzcamService:
    """Command server and web API of a camera.

    Args:
        options: ``listen``: HOST:PORT [127.0.0.1:2402]; ``web``: the same of the web API [none]; ``system``: its name
            [the device's]; ``welcome``: a line for each client [none]; ``token_file``: its first line is what clients
            say; ``exit``: true when clients may end the server [false]; ``connections`` [256]; ``parameters``: the file
            of save_pars; ``site``: import paths of tools, MODULE:CLASS, blanks between them; ``names``: of this host,
            for browsers.
    Raises:
        ConfigurationError: wrong options, or a device of another kind.
    """
    if not isinstance(device, CcdExposure):
        raise ConfigurationError(f"azcam of {device.name}", [f"{device.name} is no exposure of a camera"])
    problems = [f"unknown option {name}" for name in options if name not in OPTIONS]
    listen = _address("listen", options.get("listen", "127.0.0.1:2402"), problems)
    web = _address("web", options["web"], problems) if options.get("web") else None
    connections = options.get("connections", "256")
    if not (connections.isdecimal() and 1 <= int(connections) <= MOST_CONNECTIONS):
        problems.append(f"connections = {connections} is outside [1, {MOST_CONNECTIONS}]")
        connections = "1"
    if options.get("exit", "false") not in FLAGS:
        problems.append(f"exit = {options['exit']} is neither true nor false")
    settings = AzcamSettings(
        listen=listen,
        web=web,
        system=options.get("system", ""),
        welcome=options.get("welcome", ""),
        token=read_token(options.get("token_file", ""), problems),
        exit=FLAGS.get(options.get("exit", "false"), False),
        connections=int(connections),
        parameters=Path(options["parameters"]) if options.get("parameters") else None,
        site=tuple(options.get("site", "").split()),
        names=tuple(options.get("names", "").split()),
    )
    if problems:
        raise ConfigurationError(f"azcam of {device.name}", problems)
    return AzcamService(device, settings)


def _address(name: str, text: str, problems: list[str]) -> Address:
    host, _, port = text.rpartition(":")
    if not (host and port.isdecimal() and int(port) <= 65535):
        problems.append(f"{name} = {text} is not HOST:PORT")
        return Address()
    return Address(host.strip("[]"), int(port))
