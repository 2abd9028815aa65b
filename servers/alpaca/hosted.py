"""The Alpaca server that a facility asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from devices.ccd.exposure import CcdExposure
from devices.core import Device
from devices.core.errors import ConfigurationError
from servers.alpaca.service import AlpacaService
from servers.alpaca.settings import AlpacaSettings, Sensor
from servers.token_file import read_token

ATTRIBUTES: Final = ("gain", "offset", "readout_mode")
OPTIONS: Final = (
    *("listen", "discovery", "location", "token_file", "connections", "names"),
    *("sensor", "pixel_um", "full_well_e", "gain_e_adu", *ATTRIBUTES),
)
MOST_CONNECTIONS: Final = 4096


def alpaca(device: Device, options: Mapping[str, str]) -> AlpacaService:
    """Alpaca server of a camera.

    Args:
        options: ``listen``: HOST:PORT [127.0.0.1:11112]; ``discovery``: UDP port, or HOST:PORT of which the port counts
            [none]; ``location``: where it stands; ``token_file``: its first line is what clients say;
            ``connections`` [64]; ``names``: of this host, for clients; ``sensor``: name; ``pixel_um``: one number, or
            width and height; ``full_well_e``; ``gain_e_adu``; ``gain``, ``offset``, ``readout_mode``: attributes of the
            controller.
    Raises:
        ConfigurationError: wrong options, or a device of another kind.
    """
    if not isinstance(device, CcdExposure):
        raise ConfigurationError(f"alpaca of {device.name}", [f"{device.name} is no exposure of a camera"])
    problems = [f"unknown option {name}" for name in options if name not in OPTIONS]
    host, _, port = options.get("listen", "127.0.0.1:11112").rpartition(":")
    if not (host and _is_port(port)):
        problems.append(f"listen = {options['listen']} is not HOST:PORT")
    discovery = options.get("discovery", "").rpartition(":")[2]
    if discovery and not _is_port(discovery):
        problems.append(f"discovery = {options['discovery']} is no UDP port")
    connections = options.get("connections", "64")
    if not (connections.isdecimal() and 1 <= int(connections) <= MOST_CONNECTIONS):
        problems.append(f"connections = {connections} is outside [1, {MOST_CONNECTIONS}]")
    pixel = [_positive("pixel_um", word, problems) for word in options.get("pixel_um", "").split()]
    if len(pixel) > 2:
        problems.append(f"pixel_um = {options['pixel_um']} has more than 2 numbers")
    facts = {
        name: _positive(name, options[name], problems) if options.get(name) else None
        for name in ("full_well_e", "gain_e_adu")
    }
    token = read_token(options.get("token_file", ""), problems)
    if problems:
        raise ConfigurationError(f"alpaca of {device.name}", problems)
    settings = AlpacaSettings(
        host=host.strip("[]"),
        port=int(port),
        discovery=int(discovery) if discovery else None,
        location=options.get("location", ""),
        token=token,
        connections=int(connections),
        names=tuple(options.get("names", "").split()),
        sensor=Sensor(
            options.get("sensor", ""),
            (pixel[0], pixel[-1]) if pixel else None,
            facts["full_well_e"],
            facts["gain_e_adu"],
        ),
        **{name: options.get(name, "") for name in ATTRIBUTES},
    )
    return AlpacaService(device, settings)


def _is_port(text: str) -> bool:
    return text.isdecimal() and int(text) <= 65535


def _positive(name: str, text: str, problems: list[str]) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 < value < math.inf:
        problems.append(f"{name} = {text} is no number above 0")
    return value
