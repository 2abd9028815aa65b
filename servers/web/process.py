"""The web server as a process of a facility: ``diptych web``."""

from __future__ import annotations

import asyncio
import signal
from functools import partial
from typing import Final

from devices.core.errors import ConfigurationError
from servers.facility import leash
from servers.facility.address import LOOPBACK
from servers.facility.environment import facility_environment
from servers.facility.facility_file import Facility, lines_of
from servers.facility.pulse import Pulse
from servers.garbage import collect_apart
from servers.history.place import open_history
from servers.log.formatter import log_to_stderr
from servers.memory import keep_large_blocks
from servers.web.server import WebConfig, serve

ALARM_CLASS: Final = "AlarmFacility"

AUDIT: Final = "web-audit.jsonl"


def run(facility: Facility) -> None:
    """Serve the panels of a facility until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: the facility has no panels or no mirror, or the port is taken.
    """
    config = web_config(facility)
    leash.attach()
    keep_large_blocks()
    collect_apart()
    log_to_stderr()

    async def until_signal() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        Pulse(facility.state_dir, "web").follow(asyncio.get_running_loop())
        await serve(config, stop)

    asyncio.run(until_signal())


def web_config(facility: Facility) -> WebConfig:
    """What the web server of a facility is told.

    Raises:
        ConfigurationError: it has no panels, or no mirror of which it could get values.
    """
    mirrors = [
        prefix
        for mirror in facility.mirrors
        for devices in facility.server(mirror).values()
        for properties in devices.values()
        for prefix in lines_of(properties, "pv_prefix")
    ] + list(facility.pv_servers.get("mirrors", ()))
    problems = [] if mirrors else ["panels need an EPICS mirror with a pv_prefix, and it has none"]
    if facility.panels is None:
        raise ConfigurationError(facility.path.name, [*problems, "its .facility.yaml names no folder of panels"])
    if problems:
        raise ConfigurationError(facility.path.name, problems)
    environment = facility_environment(facility.ports, "")
    return WebConfig(
        facility=facility.name,
        pva={name: value for name, value in environment.items() if name.startswith("EPICS_PVA_")}
        | {"EPICS_PVA_INTF_ADDR_LIST": LOOPBACK},
        mirrors=mirrors,
        panels=facility.panels,
        port=facility.ports["panels"],
        settings=facility.web,
        audit_path=facility.state_dir / "log" / AUDIT if facility.web.asks_who else None,
        alarms=_alarm_prefix(facility),
        history=partial(open_history, facility) if facility.history else None,
        log=facility.state_dir / "log",
        state_dir=facility.state_dir,
    )


def _alarm_prefix(facility: Facility) -> str:
    """Of the first alarm device; "" where there is none."""
    for classes in facility.devices.values():
        for properties in classes.get(ALARM_CLASS, {}).values():
            return next(iter(lines_of(properties, "pv_prefix")), "")
    return ""
