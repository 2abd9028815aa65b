"""The leash of a device that a facility serves: its entry of the network file is made when it is missing."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from devices.core import Device
from devices.core.errors import BadValueError, ConfigurationError
from devices.saxs import SaxsDetector
from servers.leash.curve_keys import read_server_keys
from servers.leash.endpoint import Endpoint
from servers.leash.network_file import NetworkEntry, read_network, write_network
from servers.leash.network_setup import FEEDER_PORT, SECRET_BYTES, SERVER_PORT
from servers.leash.service import LOOPBACK, LeashService, LeashSettings

OPTIONS: Final = ("network", "keys", "name", "server", "feeder", "bind")


def leash(device: Device, options: Mapping[str, str]) -> LeashService:
    """The leash of a SAXS detector.

    Args:
        options: ``network``: the network file, in which clients find address and secret; ``server``, ``feeder``:
            HOST:PORT, as clients see them; ``keys``: the network file beside which the keys of an
            encrypted leash lie [the same]; ``name`` of the queue [that of the device]; ``bind`` [127.0.0.1].
    Raises:
        ConfigurationError: wrong options, or a device of another kind.
    """
    problems = [f"unknown option {name}" for name in options if name not in OPTIONS]
    if "network" not in options:
        problems.append("network is missing: the file in which clients find address and secret")
    if not isinstance(device, SaxsDetector):
        problems.append(f"{device.name} is no SAXS detector")
    ends = {}
    for name, port in (("server", SERVER_PORT), ("feeder", FEEDER_PORT)):
        try:
            ends[name] = Endpoint.parse(f"tcp://{options.get(name, f'{LOOPBACK}:{port}')}")
        except BadValueError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise ConfigurationError(f"leash of {device.name}", problems)
    assert isinstance(device, SaxsDetector)
    network = Path(options["network"])
    keys = Path(options.get("keys", network))
    entry = _entry(network, options.get("name", device.name), ends["server"], ends["feeder"])
    settings = LeashSettings(
        entry,
        bind=options.get("bind", LOOPBACK),
        curve=read_server_keys(entry.name, keys),
        demand=device.reservation.demand,
    )
    return LeashService(device.control, settings)


def _entry(path: Path, name: str, server: Endpoint, feeder: Endpoint) -> NetworkEntry:
    """The entry of a name, with these addresses; its secret stays as long as the file does."""
    entries = list(read_network(path)) if path.exists() else []
    place = next((place for place, each in enumerate(entries) if each.name == name), None)
    if place is None:
        entries.append(NetworkEntry(server, feeder, secrets.token_hex(SECRET_BYTES), name))
        place = len(entries) - 1
    elif (entries[place].server, entries[place].feeder) == (server, feeder):
        return entries[place]
    else:
        entries[place] = replace(entries[place], server=server, feeder=feeder)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_network(path, entries)
    return entries[place]
