"""The READY line and the table of endpoints below it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from servers.facility.address import from_elsewhere, is_open
from servers.facility.epics_servers import mirror_endpoints
from servers.facility.facility_file import Facility, lines_of, short_server_name
from servers.facility.mirrored import mirrored_devices
from servers.facility.readiness import panels_address

AT_WORK: Final = frozenset({"ON", "STANDBY", "RUNNING", "MOVING"})


def table(facility: Facility, tango_host: str, states: Mapping[str, str | None], seconds: float) -> str:
    """One line that begins with READY and names the devices that do not work yet, then one line for each endpoint.

    Args:
        facility: what runs.
        tango_host: HOST:PORT of the Tango database.
        states: device -> State in words, None when it does not answer.
        seconds: how long the start took, s.
    """
    waiting = [f"{device} is {state or 'silent'}" for device, state in states.items() if state not in AT_WORK]
    head = f"READY after {seconds:.1f} s: {facility.name}, {len(facility.start_order)} servers, {len(states)} devices"
    rows = [("Tango database", tango_host, "")]
    if tango_host == facility.ports.endpoint("tango") and is_open(facility.ports.bind):
        outside = f"{from_elsewhere(facility.ports.bind)}:{facility.ports['tango']}"
        rows.append(("  from other hosts", outside, "whoever reaches it may write: Tango has no access rules"))
    if facility.mirrors:
        for mirror in mirror_endpoints(facility):
            rows.append(("EPICS Channel Access", mirror.ca, ""))
            rows.append(("EPICS PVAccess", mirror.pva, ""))
            rows.append(("  images", mirror.pva_images, "and all other attributes over 256 kB"))
    if facility.panels is not None:
        rows.append(("panels in a browser", panels_address(facility), ""))
        if is_open(facility.web.bind):
            host = facility.web.names[0] if facility.web.names else from_elsewhere(facility.web.bind)
            rows.append(("  from other hosts", f"{facility.web.scheme}://{host}:{facility.ports['panels']}/", ""))
    for simulator in facility.simulators.values():
        where = facility.ports.endpoint(f"sim.{simulator.name}") if simulator.port else ""
        rows.append((f"simulator {simulator.name}", where, f"kind {simulator.kind}"))
    for service in facility.services:
        rows.append(
            (
                f"{service.kind} of {service.device}",
                service.options.get("server") or service.options.get("listen", ""),
                _files(service.options),
            )
        )
    mirrored = {device.name.casefold(): device.prefix for device in mirrored_devices(facility)}
    for server, classes in facility.devices.items():
        for devices in classes.values():
            for device, properties in devices.items():
                prefix = mirrored.get(device.casefold()) or " ".join(lines_of(properties, "pv_prefix"))
                state = (states[device] or "silent") if device in states else "not started here"
                rows.append((device, prefix, f"server {short_server_name(server)}, {state}"))
    rows.append(("logs", str(facility.state_dir / "log"), ""))
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    lines = [f"  {name:{first}}  {where:{second}}  {note}".rstrip() for name, where, note in rows]
    return "\n".join([head + (f"; {', '.join(waiting)}" if waiting else ""), *lines])


def _files(options: Mapping[str, str]) -> str:
    """Where clients of a service find what they need."""
    return f"network file {options['network']}" if "network" in options else ""
