"""The DaqData service of a node that a facility serves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from devices.core import Device
from devices.core.errors import BadValueError, ConfigurationError
from devices.daq.device import DaqNode
from devices.drivers.limited_file import read_limited
from servers.daqdata.service import DaqDataService, ServiceSettings

OPTIONS: Final = ("listen", "unix", "certificate", "key", "client_authority", "token_file")
DEFAULT_ADDRESS: Final = "127.0.0.1:50051"
MAX_FILE_BYTES: Final = 1 << 20


def daqdata(device: Device, options: Mapping[str, str]) -> DaqDataService:
    """The DaqData service of a DAQ node.

    Args:
        options: ``listen``: HOST:PORT, several with blanks between them [127.0.0.1:50051]; ``unix``: the path of a unix
            socket; ``certificate``, ``key``, ``client_authority``: PEM files; ``token_file``: its first line is what
            clients say.
    Raises:
        ConfigurationError: wrong options, or a device of another kind.
    """
    problems = [f"unknown option {name}" for name in options if name not in OPTIONS]
    if ("certificate" in options) != ("key" in options):
        problems.append("certificate and key belong together")
    if "client_authority" in options and "certificate" not in options:
        problems.append("client_authority needs a certificate and a key")
    content = {}
    for name in ("certificate", "key", "client_authority", "token_file"):
        if name in options:
            try:
                content[name] = read_limited(options[name], MAX_FILE_BYTES)
            except BadValueError as error:
                problems.append(f"{name}: {error}")
    if not isinstance(device, DaqNode):
        problems.append(f"{device.name} is no DAQ node")
    if problems:
        raise ConfigurationError(f"daqdata of {device.name}", problems)
    assert isinstance(device, DaqNode)
    listen = tuple(options.get("listen", DEFAULT_ADDRESS).split())
    if path := options.get("unix"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        listen += (f"unix://{Path(path).absolute()}",)
    token = content.get("token_file", b"").decode(errors="replace").split("\n")[0].strip()
    return DaqDataService(
        device.node,
        ServiceSettings(
            listen,
            name=device.name,
            certificate=content.get("certificate", b""),
            key=content.get("key", b""),
            client_authority=content.get("client_authority", b""),
            token=token,
            demand=device.reservation.demand,
        ),
    )
