"""The environment of a facility: what its processes get, and what a shell needs to reach it.

A child never inherits a TANGO_HOST, an EPICS_* or an omniORB setting of the shell that started the facility. An
explicit TANGO_HOST also wins over ``~/.tangorc`` and ``/etc/tangorc`` (cppTango reads them only for variables that the
environment does not have), so children always get one.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from servers.facility.address import LOOPBACK
from servers.facility.ports import DEFAULT_PORTS, Ports

# Large enough for a 4 MiB image on Channel Access with its header.
CA_MAX_ARRAY_BYTES: Final = 16 << 20

_FOREIGN: Final = ("TANGO_", "TANGORC", "EPICS_", "CAPROTO_", "OMNIORB", "ORB", "PYTANGO_", "SUPER_TANGO", "DIPTYCH_")


def facility_environment(ports: Ports, tango_host: str) -> dict[str, str]:
    """What a Tango or EPICS client needs to reach this facility and no other."""
    ca, pva = ports.asked
    return {
        "TANGO_HOST": tango_host,
        "EPICS_CA_ADDR_LIST": " ".join(address.removesuffix(f":{ports['ca']}") for address in ca),
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_SERVER_PORT": str(ports["ca"]),
        "EPICS_CA_REPEATER_PORT": str(ports["ca_repeater"]),
        "EPICS_CA_MAX_ARRAY_BYTES": str(CA_MAX_ARRAY_BYTES),
        "EPICS_PVA_ADDR_LIST": " ".join(dict.fromkeys(address.rpartition(":")[0] for address in pva)),
        "EPICS_PVA_AUTO_ADDR_LIST": "NO",
        # TCP search works across containers and NAT, and with two servers on one host; large attributes have their own.
        "EPICS_PVA_NAME_SERVERS": " ".join(pva),
        "EPICS_PVA_BROADCAST_PORT": str(ports["pva_broadcast"]),
    }


def pva_client(addresses: Iterable[str]) -> dict[str, str]:
    """The configuration of a PVAccess client that asks these servers, ``HOST:PORT``, over TCP, and nobody else.

    It hears beacons of this host only, at the port of the facility whose process this is.
    """
    return {
        "EPICS_PVA_NAME_SERVERS": " ".join(addresses),
        "EPICS_PVA_ADDR_LIST": "",
        "EPICS_PVA_AUTO_ADDR_LIST": "NO",
        "EPICS_PVA_INTF_ADDR_LIST": LOOPBACK,
        "EPICS_PVA_BROADCAST_PORT": os.environ.get("EPICS_PVA_BROADCAST_PORT", str(DEFAULT_PORTS["pva_broadcast"])),
    }


def foreign_variables(environment: Mapping[str, str]) -> list[str]:
    """The names of variables that would lead a Tango or EPICS program to another facility."""
    return sorted(name for name in environment if name.startswith(_FOREIGN))


def child_environment(ports: Ports, tango_host: str) -> dict[str, str]:
    """The environment of a process of the facility: the shell's, without what belongs to another facility."""
    foreign = foreign_variables(os.environ)
    inherited = {name: value for name, value in os.environ.items() if name not in foreign}
    return {**inherited, **facility_environment(ports, tango_host), "PYTHONUNBUFFERED": "1"}


def adopt(ports: Ports, tango_host: str) -> None:
    """Make this process itself a client of this facility and of no other; before tango or caproto is imported."""
    for name in foreign_variables(os.environ):
        if not name.startswith("DIPTYCH_"):
            del os.environ[name]
    os.environ.update(facility_environment(ports, tango_host))


def export_lines(ports: Ports, tango_host: str, state_dir: Path) -> list[str]:
    """Shell lines for ``eval "$(diptych env)"``; the programs beside this Python come first in PATH."""
    programs = Path(sys.executable).absolute().parent
    variables = {**facility_environment(ports, tango_host), "DIPTYCH_STATE_DIR": str(state_dir.absolute())}
    return [
        f'export PATH={shlex.quote(str(programs))}:"$PATH"',
        *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
    ]
