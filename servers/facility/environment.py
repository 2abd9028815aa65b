"""The environment of a facility: what its processes get, and what a shell needs to reach it.

A child never inherits a TANGO_HOST, an EPICS_* or an omniORB setting of the shell that started the facility. An
explicit TANGO_HOST also wins over ``~/.tangorc`` and ``/etc/tangorc`` (cppTango reads them only for variables that the
environment does not have), so children always get one.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from servers.facility.address import LOOPBACK
from servers.facility.ports import Ports

# Large enough for a 4 MiB image on Channel Access with its header.
CA_MAX_ARRAY_BYTES: Final = 16 << 20

_FOREIGN: Final = ("TANGO_", "TANGORC", "EPICS_", "CAPROTO_", "OMNIORB", "ORB", "PYTANGO_", "SUPER_TANGO", "DIPTYCH_")


def facility_environment(ports: Ports, tango_host: str) -> dict[str, str]:
    """What a Tango or EPICS client needs to reach this facility and no other."""
    return {
        "TANGO_HOST": tango_host,
        "EPICS_CA_ADDR_LIST": LOOPBACK,
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_SERVER_PORT": str(ports["ca"]),
        "EPICS_CA_REPEATER_PORT": str(ports["ca_repeater"]),
        "EPICS_CA_MAX_ARRAY_BYTES": str(CA_MAX_ARRAY_BYTES),
        "EPICS_PVA_ADDR_LIST": LOOPBACK,
        "EPICS_PVA_AUTO_ADDR_LIST": "NO",
        # TCP search works across containers and NAT, and with two servers on one host; large attributes have their own.
        "EPICS_PVA_NAME_SERVERS": f"{ports.endpoint('pva')} {ports.endpoint('pva_images')}",
        "EPICS_PVA_BROADCAST_PORT": str(ports["pva_broadcast"]),
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
