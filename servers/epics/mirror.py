"""The mirror: any Tango device as EPICS PVs, over Channel Access and PVAccess, from one process.

It runs in threads of its own and can be started inside a bigger program; it needs no main thread and no signals.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Collection, Iterable
from dataclasses import fields
from typing import Any

import psutil
import tango

from devices.core.errors import ConfigurationError
from servers.epics.access import Access
from servers.epics.audit import Audit
from servers.epics.ca import ChannelAccess
from servers.epics.configuration import MirrorConfig, MirroredDevice
from servers.epics.declaration import DeviceSpec
from servers.epics.device_source import Counters, DeviceSource
from servers.epics.doors import Doors
from servers.epics.event_flow import EventFlow
from servers.epics.gate import Gate
from servers.epics.image_process import ImageProcess
from servers.epics.lease import Lease
from servers.epics.linkwatch import LinkWatch
from servers.epics.location import full_name, server_of
from servers.epics.names import Clash
from servers.epics.pv_list import PvEntry, PvList
from servers.epics.pva import PvAccess
from servers.epics.records import Record
from servers.epics.share import Share
from servers.epics.upkeep import ServerUpkeep
from servers.tango_server.failures import failure

__all__ = ["Mirror", "MirrorConfig", "MirroredDevice", "PvEntry"]

log = logging.getLogger(__name__)

STOP_TIMEOUT = 4.0  # s
FIND_PERIOD = 1.0  # s between two questions to a database that does not answer


class Mirror:
    """Mirrors devices until it is stopped.

    >>> mirror = Mirror(MirrorConfig(devices=(MirroredDevice("cryo/cryocon/1"),)))
    >>> mirror.start()
    >>> mirror.stop()
    """

    def __init__(self, config: MirrorConfig, *, share: Share | None = None, audit: Audit | None = None) -> None:
        self.config = config
        self.share = share or (Share.SMALL if config.image_process else Share.ALL)
        self.access = Access(config.access)
        self.audit = audit or Audit(config.audit_path, max_bytes=config.audit_bytes)
        self.gate = Gate(self.access, self.audit)
        self.doors = Doors(self._open_up, self._shut)
        self.lease = self._lease()
        self._pvs = PvList()
        self.ca = ChannelAccess(
            self.gate,
            self._pvs.get,
            elsewhere=lambda name: (self.images.find(name), self.images.report.ca_port),
            bind=config.bind,
            port=config.ca_port,
            repeater_port=config.ca_repeater_port,
            beacons=config.beacons,
            image_limit=config.image_limit,
            may_serve=self.doors.may_serve,
        )
        self.pva = PvAccess(
            self.gate,
            bind=config.bind,
            port=config.pva_port,
            broadcast_port=config.pva_broadcast_port,
            beacons=config.beacons,
        )
        self.counters = Counters()
        self._flow = EventFlow()
        self.images = ImageProcess(config, self._pvs.book, self.audit)
        self._watch = LinkWatch()
        self._upkeeps: dict[str, ServerUpkeep] = {}
        self._devices: dict[str, DeviceSource] = {}  # by name as configured, in lower case
        self._sought: tuple[MirroredDevice, ...] = ()
        self._placing = threading.Lock()
        self._stopping = threading.Event()
        self._find_now = threading.Event()
        self._finder = threading.Thread(target=self._find, name="epics-finder", daemon=True)
        self._started = 0.0

    def start(self) -> None:
        """Begin to serve; devices are found and connected in the background, whenever they come up.

        With a lease it serves once it has that; all else is ready by then.

        Raises:
            ConfigurationError: a port is taken (by whom, and what to change).
        """
        self.ca.start()
        try:
            self.pva.start()
        except BaseException:
            self.ca.stop()
            raise
        if self.share is Share.SMALL:
            self.images.start(self.pva.broadcast_port, lambda: self.doors.until)
        self.doors.start()
        if self.lease is not None:
            self.lease.start()
        elif not self.config.lease:
            self.doors.extend(math.inf)
        self._started = time.monotonic()
        self._watch.start()
        self._sought = self.config.devices
        self._finder.start()
        log.info("mirror serves Channel Access on %s:%d, PVAccess on %s:%d",
                 self.config.bind, self.ca.port, self.config.bind, self.pva.port)  # fmt: skip

    def stop(self) -> None:
        """Disconnect all clients, leave all devices, end all threads. May be called twice."""
        if self._stopping.is_set() or not self._started:
            return
        self._stopping.set()
        self._find_now.set()
        for device in list(self._devices.values()):
            device.retire()  # whoever waits for an operation hears that the mirror goes, before the connection breaks
        self.ca.stop()
        self.pva.stop()
        self.images.stop()
        self.doors.end()
        if self.lease is not None:
            self.lease.stop()
        # Not a daemon: Python must not end while another thread is inside Tango.
        closer = threading.Thread(target=self._leave_devices, name="epics-closer")
        closer.start()
        closer.join(STOP_TIMEOUT)
        if closer.is_alive():
            log.warning("leaving the devices takes more than %.0f s (a server may hang); it goes on", STOP_TIMEOUT)
        self.audit.close()

    def reload(self, config: MirrorConfig) -> None:
        """Adopt other devices and access rules; clients of unchanged devices notice nothing.

        Raises:
            ConfigurationError: something else than devices and access differs; that needs a restart.
        """
        fixed = [
            one.name
            for one in fields(config)
            if one.name not in ("devices", "access", "withheld")
            and getattr(config, one.name) != getattr(self.config, one.name)
        ]
        if fixed:
            raise ConfigurationError("mirror", [f"{name} cannot be changed while it runs" for name in fixed])
        self.config = config
        self.access.rules = config.access
        self.ca.refresh_rights()
        self.images.reload(config)
        self._withhold(config.withheld)
        wanted = {device.name.lower(): device for device in config.devices}
        with self._placing:
            for name, source in list(self._devices.items()):
                if name not in wanted:
                    self._remove(name)
                else:
                    source.want(wanted[name])
            self._sought = tuple(wanted.values())  # all: one that is there may have moved to another server
        self._find_now.set()

    def list_pvs(self) -> list[PvEntry]:
        """All PVs that are served now, by name."""
        return self._pvs.entries(self.images.served_records()) if self.doors.is_open else []

    @property
    def served(self) -> frozenset[str]:
        """The names of all PVs that this process serves now."""
        return self._pvs.names

    @property
    def notes(self) -> list[str]:
        """What of the devices is not mirrored, and why."""
        return [f"{source.name}: {note}" for source in list(self._devices.values()) for note in source.records.notes]

    @property
    def clashes(self) -> tuple[Clash, ...]:
        """PV names that two things want."""
        return self._pvs.book.clashes

    def statistics(self) -> dict[str, Any]:
        """Counters since the start, and how each server and device is (an empty text is well)."""
        servers = {upkeep.server: upkeep.link.reason for upkeep in list(self._upkeeps.values())}
        unplaced = {
            device.name: "its server is not known yet"
            for device in self._sought
            if device.name.lower() not in self._devices
        }
        own = {
            "uptime_s": time.monotonic() - self._started if self._started else 0.0,
            "cpu_s": time.process_time(),
            "memory_bytes": psutil.Process().memory_info().rss,
            "pvs": len(self._pvs),
            "clashes": len(self.clashes),
            "ca_clients": len(self.ca.circuits),
            "ca_updates": self.ca.updates,
            "ca_coalesced": self.ca.coalesced,
            "ca_loop_lag_s": self.ca.lag,
            "pva_connected_pvs": self.pva.clients,
            "pva_updates": self.pva.updates,
            "pva_coalesced": self.pva.coalesced,
            "events": self.counters.events,
            "event_losses": self.counters.event_losses,
            "compared": self.counters.compared,
            "puts": self.gate.puts,
            "refused_puts": self.gate.refused,
            "audit_lines": self.audit.lines,
            "audit_lost": self.audit.lost,
            "servers": servers,
            "devices": {source.name: source.problem for source in list(self._devices.values())} | unplaced,
        }
        return self.images.added_to(own)

    def register(self, device: str, part: str, records: Iterable[Record]) -> None:
        """Serve the records of one attribute or command; a name that is taken already costs that PV only.

        What is served already stays as it is.
        """
        for record in records:
            if record.name in self.config.withheld:
                continue
            outcome = self._pvs.add(device, part, record)
            if outcome is True:
                self.pva.add(record)
            elif outcome:
                log.warning("%s", outcome)

    def unregister(self, device: str, parts: Collection[str]) -> None:
        """Serve nothing of these attributes and commands any more; their clients are disconnected and search again.

        A name that somebody else wants, too, is that one's then.
        """
        names, heirs = self._pvs.remove(device, parts)
        self.ca.remove(names)
        self.pva.remove(names)
        for heir in heirs:
            self.register(heir.device, heir.part, [heir.record])

    def _lease(self) -> Lease | None:
        config = self.config
        if not config.lease or self.share is Share.LARGE:
            return None  # the process for large attributes is told by its parent
        return Lease(
            config.lease,
            config.lease_holder,
            [full_name(voter, config.tango_host) for voter in config.lease_voters],
            config.lease_seconds,
            extend=self.doors.extend,
            has_ended=self.doors.are_shut,
        )

    def _open_up(self) -> None:
        self.ca.open()
        self.pva.open()
        log.info("clients are served")

    def _shut(self) -> None:
        if not self._stopping.is_set():
            log.warning("clients are served no longer: the lease is lost")
        self.ca.shut()
        self.pva.shut()

    def _withhold(self, names: frozenset[str]) -> None:
        """Serve some names no more; another process has them."""
        held = self._pvs.withhold(names)
        self.ca.remove(held)
        self.pva.remove(held)

    def refer(self, device: str, wanted: MirroredDevice, spec: DeviceSpec | None) -> None:
        """Have the large attributes of a device served by their own process, when this mirror has one."""
        if self.share is Share.SMALL:
            large = [attribute for attribute in spec.attributes if attribute.is_large] if spec is not None else []
            self.images.refer(device, wanted, spec.prefix if spec is not None else "", large)

    def _leave_devices(self) -> None:
        self._finder.join()
        self._watch.stop()
        for upkeep in self._upkeeps.values():
            upkeep.stop()
        for upkeep in self._upkeeps.values():
            upkeep.wait()

    def _find(self) -> None:
        """Find the server of each device; in a thread, as a database may not answer."""
        while not self._stopping.is_set():
            self._find_now.clear()
            for device in self._sought:
                try:
                    name = full_name(device.name, self.config.tango_host)
                    server, admin = server_of(name)
                except tango.DevFailed as failed:
                    log.debug("%s: %s", device.name, failure(failed))
                    continue
                with self._placing:
                    # A reload may have taken it out meanwhile.
                    if device in self._sought and not self._stopping.is_set():
                        self._place(device, name, server, admin)
                        self._sought = tuple(other for other in self._sought if other is not device)
            self._find_now.wait(FIND_PERIOD if self._sought else None)

    def _place(self, device: MirroredDevice, name: str, server: str, admin: str) -> None:
        key, upkeep = device.name.lower(), self._upkeeps.get(server)
        if key in self._devices:
            if upkeep is not None and self._devices[key] in upkeep.devices:
                return
            self._remove(key)  # it has moved to another server
        if upkeep is None:
            upkeep = self._upkeeps[server] = ServerUpkeep(server, admin, self._watch, self._flow)
            upkeep.start()
        source = DeviceSource(name, device, self, self.counters, upkeep.losses, self._flow, share=self.share)
        self._devices[key] = source
        upkeep.add(source)

    def _remove(self, name: str) -> None:
        source = self._devices.pop(name)
        for server, upkeep in list(self._upkeeps.items()):
            if source in upkeep.devices:
                upkeep.remove(source)
                if not upkeep.devices:
                    upkeep.stop()
                    del self._upkeeps[server]
