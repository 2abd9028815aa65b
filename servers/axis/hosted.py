"""The receiver of a device that takes pictures, in a facility."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Final

from devices.core import Device
from devices.core.errors import ConfigurationError
from devices.dcss.loop_frames import TakesFrames
from servers.axis.receiver import AxisReceiver, AxisSettings

#: Option -> its setting and the bounds of its value.
NUMBERS: Final = {
    "body_bytes": ("body_bytes", 1024, 1 << 30),
    "request": ("request_s", 0.1, 600.0),
    "idle": ("idle_s", 0.1, 3600.0),
    "connections": ("connections", 1, 4096),
}
OPTIONS: Final = ("listen", "path", "cameras", *NUMBERS)


def axis(device: Device, options: Mapping[str, str]) -> AxisReceiver:
    """The receiver of a device.

    Args:
        options: ``listen``: HOST:PORT [127.0.0.1:9000]; ``path`` that is posted to [any]; ``cameras``: addresses or
            networks that may post, with blanks between [all]; ``body_bytes`` of a request [16777216]; ``request``,
            ``idle``: limits of requests and of idle connections, s [5, 10]; ``connections`` at the same time [32].
    Raises:
        ConfigurationError: wrong options, or a device that takes no pictures.
    """
    if not isinstance(device, TakesFrames):
        raise ConfigurationError(f"axis of {device.name}", [f"{device.name} takes no pictures of a camera"])
    problems = [f"unknown option {name}" for name in options if name not in OPTIONS]
    host, _, port = options.get("listen", "127.0.0.1:9000").rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        problems.append(f"listen = {options['listen']} is not HOST:PORT")
    networks: list[Any] = []
    for word in options.get("cameras", "").split():
        try:
            networks.append(ipaddress.ip_network(word, strict=False))
        except ValueError:
            problems.append(f"cameras: {word} is neither an address nor a network")
    numbers = _numbers(options, problems)
    if problems:
        raise ConfigurationError(f"axis of {device.name}", problems)
    settings = AxisSettings(host.strip("[]"), int(port), options.get("path", ""), cameras=tuple(networks), **numbers)
    return AxisReceiver(device.frames, settings)


def _numbers(options: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, (setting, least, most) in NUMBERS.items():
        if name not in options:
            continue
        try:
            value = type(least)(options[name])
        except ValueError:
            problems.append(f"{name} = {options[name]} is no number")
            continue
        if not least <= value <= most:
            problems.append(f"{name} = {value:g} is outside [{least:g}, {most:g}]")
        found[setting] = value
    return found
