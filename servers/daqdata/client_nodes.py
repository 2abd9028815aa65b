"""Which DAQ nodes there are and where they answer, as the observatory's daq_config and network_config tell."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from devices.core.errors import BadValueError

Config: TypeAlias = str | Path | Mapping[str, Any]

#: HOST:PORT and [IPV6]:PORT; an IPv6 address alone has more than one colon.
_WITH_PORT: Final = re.compile(r"(\[[^]]+\]|[^:]+):\d+")


@dataclass(frozen=True)
class DaqNode:
    """A node.

    Args:
        host: name or address, that of its gateway when ports are forwarded; maybe with a port; or ``unix:...``.
        config: its entry of daq_config.
    """

    host: str
    config: Mapping[str, Any]

    def target(self, port: int) -> str:
        """Its address for gRPC; ``port`` when its host says none."""
        if self.is_local or _WITH_PORT.fullmatch(self.host):
            return self.host
        return f"[{self.host}]:{port}" if self.host.count(":") > 1 else f"{self.host}:{port}"

    @property
    def is_local(self) -> bool:
        return self.host.startswith("unix:")


def daq_nodes(daq_config: Config, network_config: Config | None) -> list[DaqNode]:
    """The nodes of a daq_config, behind the gateways of a network_config.

    Args:
        daq_config: a path or a dictionary with ``daq_nodes``, each with ``ip_addr``.
        network_config: the same with ``port_forwarding`` (``status``, ``gw_ip``) of nodes; None: none is forwarded.
    Raises:
        BadValueError (a ValueError): it is neither, or lacks nodes or their ``ip_addr``. FileNotFoundError.
    """
    nodes = _nodes(daq_config, "daq_config")
    gateways: dict[str, str] = {}
    if network_config:
        for node in _nodes(network_config, "network_config"):
            forwarding = node.get("port_forwarding") or {}
            if forwarding.get("status"):
                if not forwarding.get("gw_ip"):
                    raise BadValueError(f"network_config: port_forwarding of {node['ip_addr']} has no gw_ip")
                gateways[node["ip_addr"]] = forwarding["gw_ip"]
    return [DaqNode(gateways.get(node["ip_addr"], node["ip_addr"]), node) for node in nodes]


def read_json(path: Path, name: str) -> dict[str, Any]:
    """The JSON object of a file.

    Raises:
        BadValueError (a ValueError): it holds none. FileNotFoundError.
    """
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, f"{name} does not exist", os.path.abspath(path)) from error
    except (ValueError, OSError) as error:
        raise BadValueError(f"{name} {path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise BadValueError(f"{name} {path} is {type(found).__name__}, not an object")
    return found


def _nodes(config: Config, name: str) -> list[Mapping[str, Any]]:
    if isinstance(config, str | Path):
        config = read_json(Path(config), name)
    if not isinstance(config, Mapping):
        raise BadValueError(f"{name} is {config!r}, neither a path nor a dictionary")
    nodes = config.get("daq_nodes")
    if not nodes or not isinstance(nodes, list):
        raise BadValueError(f"{name}: daq_nodes is empty or no list: {nodes!r}")
    for node in nodes:
        if not isinstance(node, Mapping) or not node.get("ip_addr"):
            raise BadValueError(f"{name}: daq_node={node} does not have an 'ip_addr' key")
    return nodes
