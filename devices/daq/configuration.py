"""The files that describe a PANOSETI observatory and what its DAQ nodes do: daq, network and hp_io configuration.

Their keys, bounds and defaults stand in the JSON schemas `daq_config`, `daq_network` and `daq_hp_io` of
`devices/drivers`; they are spelled as in existing files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Final, TypeVar

from devices.core.errors import BadValueError, ConfigurationError
from devices.drivers.json_schema import checked, schema_of
from devices.drivers.observing_run import module_numbers
from devices.drivers.quabo import module_of

MAX_FILE_BYTES: Final = 1 << 20
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class DaqNode:
    """A recorder: where it is reached, where it writes, and which modules send to it."""

    ip_addr: str
    username: str = ""
    data_dir: str = ""
    module_ids: tuple[int, ...] = ()
    bindhost: str = ""


@dataclass(frozen=True)
class DaqConfig:
    """``daq_config.json``."""

    daq_nodes: tuple[DaqNode, ...]
    head_node_data_dir: str = ""
    head_node_ip_addr: str = ""
    head_node_container: bool = False

    def node_of(self, module: int) -> DaqNode | None:
        """The recorder of a module; None when there is none."""
        return next((node for node in self.daq_nodes if module in node.module_ids), None)


@dataclass(frozen=True)
class PortForwarding:
    """How something behind a gateway is reached; ports by quabo."""

    gw_ip: str
    reboot_port: tuple[int, ...] = ()
    cmd_port: tuple[int, ...] = ()


@dataclass(frozen=True)
class NetworkModule:
    """A module by the address of its first quabo; ``forwarding`` is None where it is reached directly."""

    ip_addr: str
    forwarding: PortForwarding | None = None

    @property
    def module(self) -> int:
        return module_of(IPv4Address(self.ip_addr).packed)[0]


@dataclass(frozen=True)
class NetworkNode:
    """A recorder's way through the network."""

    ip_addr: str
    forwarding: PortForwarding | None = None


@dataclass(frozen=True)
class NetworkConfig:
    """``network_config.json``."""

    modules: tuple[NetworkModule, ...] = ()
    daq_nodes: tuple[NetworkNode, ...] = ()

    def host_of(self, ip_addr: str) -> str:
        """Where a recorder is reached: at its gateway if it has one, otherwise at its own address."""
        for node in self.daq_nodes:
            if node.ip_addr == ip_addr and node.forwarding is not None:
                return node.forwarding.gw_ip
        return ip_addr


@dataclass(frozen=True)
class HpIoConfig:
    """``hp_io_config.json``: what InitHpIo is asked for."""

    data_dir: str = ""
    update_interval_seconds: float = 0.1
    force: bool = True
    simulate_daq: bool = False
    module_ids: tuple[int, ...] = ()


def read_configuration(path: Path, parse: Callable[[object, str], _Found]) -> _Found:
    """Read a file with one of the functions below.

    Raises:
        ConfigurationError: it is missing, no JSON, or has wrong entries; all problems, each with its key.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES + 1)
        if len(text) > MAX_FILE_BYTES:
            raise ConfigurationError(str(path), [f"more than {MAX_FILE_BYTES} bytes"])
        document = json.loads(text, parse_constant=_no_number)
    except OSError as error:
        raise ConfigurationError(str(path), [f"cannot be read: {error.strerror}"]) from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(str(path), [f"not JSON: {error}"]) from error
    return parse(document, str(path))


def parse_daq_config(document: object, subject: str = "daq_config") -> DaqConfig:
    """Check a ``daq_config.json``; raises ConfigurationError: all wrong entries, each with its key."""
    found = checked(document, schema_of("daq_config"), subject, subject)
    problems: list[str] = []
    nodes = tuple(
        DaqNode(
            ip_addr=entry["ip_addr"],
            username=entry["username"] or entry.get("user_name", ""),
            data_dir=entry["data_dir"],
            module_ids=modules(entry["module_ids"], f"daq_nodes[{place}].module_ids", problems),
            bindhost=entry["bindhost"],
        )
        for place, entry in enumerate(found["daq_nodes"])
    )
    if problems:
        raise ConfigurationError(subject, problems)
    return DaqConfig(nodes, found["head_node_data_dir"], found["head_node_ip_addr"], found["head_node_container"])


def parse_network_config(document: object, subject: str = "network_config") -> NetworkConfig:
    """Check a ``network_config.json``; raises ConfigurationError: all wrong entries, each with its key."""
    found = checked(document, schema_of("daq_network"), subject, subject)
    problems: list[str] = []
    for place, entry in enumerate(found["modules"]):
        try:
            IPv4Address(entry["ip_addr"])
        except ValueError as error:
            problems.append(f"modules[{place}].ip_addr: {error}")
    modules = tuple(
        NetworkModule(entry["ip_addr"], _forwarding(entry, f"modules[{place}]", problems))
        for place, entry in enumerate(found["modules"])
    )
    nodes = tuple(
        NetworkNode(entry["ip_addr"], _forwarding(entry, f"daq_nodes[{place}]", problems))
        for place, entry in enumerate(found["daq_nodes"])
    )
    if problems:
        raise ConfigurationError(subject, problems)
    return NetworkConfig(modules, nodes)


def parse_hp_io_config(document: object, subject: str = "hp_io_config") -> HpIoConfig:
    """Check an ``hp_io_config.json``; raises ConfigurationError: all wrong entries, each with its key."""
    found = checked(document, schema_of("daq_hp_io"), subject, subject)
    problems: list[str] = []
    if not found["simulate_daq"] and not found["data_dir"]:
        problems.append("data_dir: missing, and simulate_daq is false")
    numbers = modules(found["module_ids"], "module_ids", problems)
    if problems:
        raise ConfigurationError(subject, problems)
    return HpIoConfig(
        found["data_dir"], float(found["update_interval_seconds"]), found["force"], found["simulate_daq"], numbers
    )


def modules(given: object, key: str, problems: list[str]) -> tuple[int, ...]:
    """Numbers of modules; what is wrong with them becomes a problem. Nothing means all."""
    if not given:
        return ()
    try:
        return module_numbers(given)
    except BadValueError as error:
        problems.append(f"{key}: {error}")
        return ()


def _forwarding(entry: Mapping[str, Any], key: str, problems: list[str]) -> PortForwarding | None:
    found = entry.get("port_forwarding", {})
    if not found.get("status"):
        return None
    if not found["gw_ip"]:
        problems.append(f"{key}.port_forwarding.gw_ip: missing, and status is true")
    return PortForwarding(found["gw_ip"], tuple(found.get("reboot_port", ())), tuple(found.get("cmd_port", ())))


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")
