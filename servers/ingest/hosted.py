"""The image ingest of a correlator image server that a facility serves."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Final

from devices.core import Device
from devices.core.errors import ConfigurationError
from devices.correlator import CorrelatorServer
from servers.ingest.service import IngestService
from servers.ingest.settings import SOURCES, IngestSettings, Listening
from servers.token_file import read_token

OPTIONS: Final = ("listen", "order", "addresses", "token_file", "request", "idle", "connections", "bodies")
#: Option -> its setting and the bounds of its value.
NUMBERS: Final = {
    "request": ("request_s", 0.1, 3600.0),
    "idle": ("idle_s", 0.1, 86400.0),
    "connections": ("connections", 1, 4096),
    "bodies": ("bodies", 1, 256),
}


def ingest(device: Device, options: Mapping[str, str]) -> IngestService:
    """The image ingest of a correlator image server.

    Args:
        options: ``listen``: HOST:PORT, several with blanks between them [127.0.0.1 and the port of the device];
            ``order``: what tells the sub-band, of name, address and port [name address]; the ports of ``listen`` are
            those of sub-bands 0, 1, ...; ``addresses``: IP=SUBBAND, several with blanks between them; ``token_file``:
            its first line is what clients say; ``request``, ``idle``: limits of requests and of idle
            connections, s [30, 60]; ``connections``, ``bodies``: as `IngestSettings` has them [64, 20].
    Raises:
        ConfigurationError: wrong options, or a device of another kind.
    """
    if not isinstance(device, CorrelatorServer):
        raise ConfigurationError(f"ingest of {device.name}", [f"{device.name} is no correlator image server"])
    given = device.properties
    problems = [f"unknown option {name}" for name in options if name not in OPTIONS]
    order = _order(options.get("order", "name address"), problems)
    settings = IngestSettings(
        name=f"ingest of {device.name}",
        listen=_listen(options.get("listen", f"127.0.0.1:{given.port}"), problems),
        order=order,
        addresses=_addresses(options.get("addresses", ""), given.nchans, problems),
        one_client=given.testh23,
        datasize=given.datasize,
        header_bytes=given.headersize,
        token=read_token(options.get("token_file", ""), problems),
        silence_s=given.timeout,
        backlog=given.maxconnect,
        **_numbers(options, problems),
    )
    if problems:
        raise ConfigurationError(f"ingest of {device.name}", problems)
    return IngestService(device, settings)


def _listen(text: str, problems: list[str]) -> tuple[Listening, ...]:
    found = []
    for sub_band, word in enumerate(text.split()):
        host, _, port = word.rpartition(":")
        if host and port.isdigit() and int(port) <= 65535:
            found.append(Listening(host.strip("[]"), int(port), sub_band))
        else:
            problems.append(f"listen = {word} is not HOST:PORT")
    if not found:
        problems.append("listen: at least one HOST:PORT")
    return tuple(found)


def _order(text: str, problems: list[str]) -> tuple[str, ...]:
    words = tuple(text.split())
    if not words or len(set(words)) < len(words) or not set(words) <= set(SOURCES):
        problems.append(f"order = {text} is not made of {', '.join(SOURCES)}, each once")
    return words


def _addresses(text: str, sub_bands: int, problems: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for word in text.split():
        address, _, number = word.partition("=")
        try:
            spelled = str(ipaddress.ip_address(address))
        except ValueError:
            problems.append(f"addresses: {word} is not IP=SUBBAND")
            continue
        if not number.isdigit() or int(number) >= sub_bands or spelled in found or int(number) in found.values():
            problems.append(f"addresses: {word}: each address and each sub-band, 0 to {sub_bands - 1}, once")
        else:
            found[spelled] = int(number)
    return found


def _numbers(options: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, (setting, least, most) in NUMBERS.items():
        if name not in options:
            continue
        kind = type(least)
        try:
            value = kind(options[name])
        except ValueError:
            problems.append(f"{name} = {options[name]} is no number")
            continue
        if not least <= value <= most:
            problems.append(f"{name} = {value:g} is outside [{least:g}, {most:g}]")
        found[setting] = value
    return found
