"""The mirror as a device: what it serves, how busy it is, and what is wrong, on Tango and as PVs of its own."""

from __future__ import annotations

import asyncio
import enum
import importlib.metadata
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tango
import yaml

from devices.core import Device, DeviceState, Properties, Quality, attribute, command, poll, setting
from devices.core.errors import ConfigurationError, RefusedError
from servers.epics import lease
from servers.epics.access import DEFAULT_RULES, Rule, rules_from
from servers.epics.configuration import name_and_prefix
from servers.epics.devices_file import read_devices
from servers.epics.mirror import Mirror, MirrorConfig, MirroredDevice
from servers.epics.portion import Portion
from servers.epics.votes import LONGEST

IMAGES_ABOVE = 2  # how far the ports of large attributes are above the others
VOTERS = 9


class Role(enum.IntEnum):
    """ALONE: without a lease it always serves; HOLDER: it has the lease; STANDBY: it serves when the holder is gone."""

    ALONE = 0
    HOLDER = 1
    STANDBY = 2


@dataclass(frozen=True)
class EpicsMirrorProperties(Properties):
    """What to mirror, and where to serve it."""

    channel_access: str = setting("127.0.0.1:5064", doc="HOST:PORT of Channel Access, TCP and UDP")
    ca_repeater: str = setting("127.0.0.1:5065", doc="HOST:PORT of the CA repeater, for beacons")
    pv_access: str = setting("127.0.0.1:5075", doc="HOST:PORT of PVAccess")
    pva_broadcast: str = setting("127.0.0.1:5076", doc="HOST:PORT of the PVAccess search, UDP")
    image_process: bool = setting(True, doc="Attributes that may have more than 256 kB have a process of their own")
    ca_images: str = setting("", doc="HOST:PORT of its Channel Access; none: 2 above that of channel_access")
    pva_images: str = setting("", doc="HOST:PORT of its PVAccess; none: 2 above that of pv_access")
    devices: tuple[str, ...] = setting(
        (), doc="DEVICE or DEVICE=PREFIX each; empty: every device of the database that has a pv_prefix"
    )
    devices_file: Path | None = setting(
        None, doc="More devices, and how they are mirrored: prefix, PV names, commands, periods; none: by the rule"
    )
    share: str = setting("", doc="N/M: of M mirrors this is number N, each device is served by one; none: all of them")
    lease: str = setting("", doc="Of mirrors with this lease one serves, the others stand by; none: it always serves")
    lease_voters: tuple[str, ...] = setting((), doc="The LeaseVoter devices that decide who serves, 1 or 3 of them")
    lease_seconds: float = setting(
        3.0, doc="s; who serves has to be confirmed within two thirds", limits=(1.5, LONGEST)
    )
    beacons: tuple[str, ...] = setting(
        (), doc="Addresses of hosts, or of a network, that hear beacons beside this host, as 10.1.2.255"
    )
    audit_file: Path | None = setting(None, doc="Where every write is recorded, JSON lines; none: nowhere")
    access_file: Path | None = setting(None, doc="Access rules; none: writes from this host only")
    image_limit: int = setting(4 << 20, doc="Bytes of an image that Channel Access still serves", limits=(0, 1 << 30))


class EpicsMirror(Device):
    """Serves Tango devices as EPICS PVs over Channel Access and PVAccess."""

    properties_class = EpicsMirrorProperties
    properties: EpicsMirrorProperties

    version = attribute(str, doc="Version of Diptych")
    uptime = attribute(float, unit="s", precision=0, doc="Since the mirror began to serve")
    heartbeat = attribute(int, doc="Counts up once a second")
    cpu = attribute(float, unit="%", precision=1, doc="CPU time of the mirror's processes, of one core")
    resident_memory = attribute(float, unit="MB", precision=1, doc="Resident memory of the mirror's processes")
    loop_lag = attribute(float, unit="s", precision=4, doc="How late the Channel Access loop is")
    pvs = attribute(int, doc="PVs served now")
    clashes = attribute(int, doc="PV names that two things want; see list_pvs")
    ca_clients = attribute(int, doc="Channel Access clients connected")
    pva_channels = attribute(int, doc="PVs with a PVAccess client")
    update_rate = attribute(float, unit="1/s", precision=1, doc="Updates sent, both protocols")
    skipped = attribute(int, doc="Values replaced by a newer one before they were sent")
    event_losses = attribute(int, doc="Losses of Tango events that were found and repaired")
    puts = attribute(int, doc="Writes by clients")
    refused_puts = attribute(int, doc="Writes refused")
    image_starts = attribute(int, doc="How often the process for large attributes was started; more than 1: it died")
    role = attribute(Role, doc="Whether the mirror serves clients")
    lease_holder = attribute(str, doc="The mirror that serves, as far as this one knows; empty: none")
    lease_age = attribute(float, unit="s", precision=1, doc="Since more than half of the voters confirmed that")
    silent_voters = attribute(str, shape=(VOTERS,), doc="Voters that do not answer, and why")
    device_names = attribute(str, shape=(2000,), doc="The devices mirrored")
    device_problems = attribute(str, shape=(2000,), doc="What is wrong with each device; empty when all is well")

    def build(self) -> None:
        self.mirror: Mirror | None = None
        self._counted = (0.0, 0.0, 0.0)  # updates, s of CPU, and when
        self._shown: tuple[Role, str] | None = None

    async def connect(self) -> None:
        mirror = Mirror(await asyncio.to_thread(self._config))
        await asyncio.to_thread(mirror.start)
        self.mirror = mirror
        self.version.publish(importlib.metadata.version("diptych"))

    async def disconnect(self) -> None:
        mirror, self.mirror = self.mirror, None
        if mirror is not None:
            await asyncio.to_thread(mirror.stop)

    @poll(1.0)
    async def poll_statistics(self) -> None:
        """The mirror's own counters."""
        if self.mirror is None:
            return
        found = self.mirror.statistics()
        self.uptime.publish(found["uptime_s"])
        self.heartbeat.publish(int(found["uptime_s"]))
        self.resident_memory.publish(found["memory_bytes"] / 1e6)
        self.loop_lag.publish(found["ca_loop_lag_s"])
        self.pvs.publish(found["pvs"])
        self.clashes.publish(found["clashes"])
        self.ca_clients.publish(found["ca_clients"])
        self.pva_channels.publish(found["pva_connected_pvs"])
        updates, cpu, now = found["ca_updates"] + found["pva_updates"], found["cpu_s"], time.monotonic()
        updates_before, cpu_before, then = self._counted
        self._counted = updates, cpu, now
        if then and cpu >= cpu_before:  # a process that was started again counts from 0
            self.update_rate.publish((updates - updates_before) / (now - then))
            self.cpu.publish(100.0 * (cpu - cpu_before) / (now - then))
        self.skipped.publish(found["ca_coalesced"] + found["pva_coalesced"])
        self.event_losses.publish(found["event_losses"])
        self.puts.publish(found["puts"])
        self.refused_puts.publish(found["refused_puts"])
        self.image_starts.publish(found["image_starts"])
        self._show_lease(self.mirror)
        names = sorted(found["devices"])
        self.device_names.publish(tuple(names))
        self.device_problems.publish(tuple(found["devices"][name] for name in names))

    def _show_lease(self, mirror: Mirror) -> None:
        now = time.monotonic()
        holder, age = mirror.lease.seen(now) if mirror.lease else ("", 0.0)
        silent = mirror.lease.silent(now) if mirror.lease else []
        is_holder = mirror.doors.may_serve()
        role = Role.ALONE if mirror.lease is None else Role.HOLDER if is_holder else Role.STANDBY
        self.role.publish_change(role)
        self.lease_holder.publish_change(holder, Quality.ALARM if mirror.lease and not holder else Quality.VALID)
        self.lease_age.publish(age)
        self.silent_voters.publish_change(tuple(silent), Quality.WARNING if silent else Quality.VALID)
        shown = role, holder
        if mirror.lease is not None and shown != self._shown:
            self._shown = shown
            state = DeviceState.ON if is_holder else DeviceState.STANDBY
            self.set_state(state, f"lease {mirror.lease.name}: {holder or 'nobody'} serves")

    @command(pv_name="Reload")
    async def reload(self) -> None:
        """Read the list of devices and the access rules again; clients of unchanged devices notice nothing."""
        if self.mirror is not None:
            config = await asyncio.to_thread(self._config)
            await asyncio.to_thread(self.mirror.reload, config)

    @command(pv_name="ListPVs", reads_only=True)
    async def list_pvs(self) -> dict[str, Any]:
        """Every PV with its device, type and level, the names that clash, and what is not mirrored."""
        if self.mirror is None:
            return {"pvs": [], "clashes": [], "notes": []}
        return {
            "pvs": [vars(entry) for entry in self.mirror.list_pvs()],
            "clashes": [str(clash) for clash in self.mirror.clashes],
            "notes": self.mirror.notes,
        }

    def _config(self) -> MirrorConfig:
        wanted = self.properties
        host, ca_port = _endpoint("channel_access", wanted.channel_access)
        pva_host, pva_port = _endpoint("pv_access", wanted.pv_access)
        if host != pva_host:
            raise ConfigurationError(self.name, [f"channel_access and pv_access have two hosts: {host}, {pva_host}"])
        ca_images = wanted.ca_images or f"{host}:{ca_port and ca_port + IMAGES_ABOVE}"
        pva_images = wanted.pva_images or f"{host}:{pva_port and pva_port + IMAGES_ABOVE}"
        if wanted.lease:
            lease.check(wanted.lease, wanted.lease_voters)
        portion = Portion.parse(wanted.share)
        devices = _devices(wanted.devices or _prefixed_devices(), wanted.devices_file)
        return MirrorConfig(
            devices=tuple(device for device in devices if portion.has(device.name)),
            tango_host=os.environ.get("TANGO_HOST", ""),
            bind=host,
            ca_port=ca_port,
            ca_repeater_port=_endpoint("ca_repeater", wanted.ca_repeater)[1],
            pva_port=pva_port,
            pva_broadcast_port=_endpoint("pva_broadcast", wanted.pva_broadcast)[1],
            audit_path=wanted.audit_file,
            access=_rules(wanted.access_file),
            image_limit=wanted.image_limit,
            image_process=wanted.image_process,
            ca_images_port=_endpoint("ca_images", ca_images)[1],
            pva_images_port=_endpoint("pva_images", pva_images)[1],
            beacons=wanted.beacons,
            lease=wanted.lease,
            lease_holder=self.name,
            lease_voters=wanted.lease_voters,
            lease_seconds=wanted.lease_seconds,
        )


def _endpoint(name: str, text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) < 65536:
        raise ConfigurationError("mirror", [f"{name} = {text!r} is not HOST:PORT"])
    return host, int(port)


def _rules(path: Path | None) -> tuple[Rule, ...]:
    if path is None:
        return DEFAULT_RULES
    try:
        found = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(str(path), [f"the access rules cannot be read: {error}"]) from error
    if not isinstance(found, list):
        raise ConfigurationError(str(path), ["the access rules are not a list"])
    return rules_from(found)


def _devices(lines: Iterable[str], path: Path | None) -> tuple[MirroredDevice, ...]:
    """The devices of the property and those of the file; where both name one, the file says how it is mirrored."""
    devices = [MirroredDevice(name, prefix or None) for name, prefix in map(name_and_prefix, lines)]
    prefixes = {device.name.lower(): device.prefix for device in devices}
    found = read_devices(path) if path is not None else ()
    for device in found:
        prefix = prefixes.get(device.name.lower())
        if device.prefix and prefix and device.prefix != prefix:
            text = f"{device.name} > prefix: {device.prefix}, but {prefix} in the property devices"
            raise ConfigurationError(str(path), [text])
    in_file = {device.name.lower() for device in found}
    return (
        *(device for device in devices if device.name.lower() not in in_file),
        *(replace(device, prefix=device.prefix or prefixes.get(device.name.lower())) for device in found),
    )


def _prefixed_devices() -> list[str]:
    """Every device of the database that has a ``pv_prefix``.

    Raises:
        RefusedError: the database does not answer.
    """
    try:
        database = tango.Database()
    except tango.DevFailed:
        text = f"the Tango database at {os.environ.get('TANGO_HOST', '')} does not answer; try again when it does"
        # Not NotConnectedError: to the model that is the link of the mirror itself, which would be closed.
        raise RefusedError(text) from None
    names = [name for name in database.get_device_exported("*").value_string if not name.startswith("dserver/")]
    names += [name for name in _defined(database) if name not in names]
    return [name for name in names if any(database.get_device_property(name, "pv_prefix")["pv_prefix"])]


def _defined(database: tango.Database) -> list[str]:
    return [
        f"{domain}/{family}/{member}"
        for domain in database.get_device_domain("*").value_string
        if domain not in ("dserver", "sys", "tango")
        for family in database.get_device_family(f"{domain}/*").value_string
        for member in database.get_device_member(f"{domain}/{family}/*").value_string
    ]
