"""One server process: the loop, the devices of one Tango server, signals, a clean stop."""

from __future__ import annotations

import faulthandler
import functools
import gc
import importlib
import logging
import os
import signal
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tango
import tango.server

from devices.core import Device
from devices.core.errors import ConfigurationError
from devices.core.memorized import Store
from devices.core.neighbours import Neighbours
from servers.facility import leash
from servers.facility.address import from_here, publish_options
from servers.facility.facility_file import Facility, full_server_name, short_server_name
from servers.facility.port_check import free_port
from servers.facility.ports import Ports
from servers.facility.property_owner import PropertyOwner
from servers.facility.pulse import Pulse
from servers.facility.tango_database import devices_of
from servers.garbage import collect_apart
from servers.log.formatter import log_to_stderr
from servers.memory import keep_large_blocks
from servers.neighbours.all_neighbours import AllNeighbours
from servers.standstill import Standstill
from servers.tango_server.event_copies import copy_large_events
from servers.tango_server.loop_thread import LoopThread
from servers.tango_server.pusher import Pusher
from servers.tango_server.store import DatabaseStore, FileStore
from servers.tango_server.stuck_clients import limit_patience
from servers.tango_server.tango_device import TangoDevice, tango_class
from servers.tango_server.tango_log import forward_logs

log = logging.getLogger("diptych.host")

TURN = 0.05  # s between two looks of the main thread whether the end has come
#: How often new listening sockets are looked for, s.
SOCKET_SCAN = 0.5
COMPARED_AT = (2, 20)  # so many scans after the subscriptions, configurations are read once more


def device_class(import_path: str) -> type[Device]:
    """The device class that ``module:Class`` names.

    Raises:
        ConfigurationError: there is no such module or class, or it is not a device.
    """
    module_name, _, class_name = import_path.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(import_path, [f"cannot be imported: {error}"]) from error
    if not (isinstance(found, type) and issubclass(found, Device)):
        raise ConfigurationError(import_path, ["is not a subclass of devices.core.Device"])
    return found


class Host:
    """The devices of one Tango server."""

    def __init__(
        self,
        server: str,
        facility: Facility,
        *,
        tango_host: str | None,
        state_dir: Path,
        tango_port: int = 0,
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            server: the Tango server name, ``Diptych/cryocon``.
            tango_host: HOST:PORT of the database; None: no database, properties come from the facility.
            tango_port: the TCP port of the server; 0: any free one.
        """
        self.server = server
        self.facility = facility
        self.tango_host = tango_host
        self.state_dir = state_dir
        self.bind = facility.ports.bind
        self.tango_port = tango_port or (free_port(self.bind) if tango_host is None else 0)
        self.loop_thread = LoopThread()
        self.pusher = Pusher()
        self.neighbours = AllNeighbours(self._reachable, self._pvs)
        self._stop = threading.Event()
        self._standstill = Standstill(TURN)
        self._watcher = threading.Thread(target=self._watch_configuration, name="configuration", daemon=True)

    def _pvs(self) -> Neighbours:
        """How devices reach PVs: of this facility, and of the servers that its file names."""
        from servers.neighbours.epics_neighbours import EpicsNeighbours  # libraries that few servers need

        ca, pva = self.facility.ports.asked
        return EpicsNeighbours(ca, pva)

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; in the main thread.

        Raises:
            ConfigurationError: a class cannot be imported, or the database knows no such server.
        """
        keep_large_blocks()
        collect_apart()
        copy_large_events()
        executable, _, instance = self.server.partition("/")
        arguments = [executable, instance, "-ORBendPoint", f"giop:tcp:{self.bind}:{self.tango_port}"]
        arguments += publish_options(self.bind)
        if self.tango_host is not None:
            os.environ["TANGO_HOST"] = self.tango_host
        else:
            names = [f"{name}::{device}" for name, devices in self._classes.items() for device in devices]
            arguments += ["-nodb", "-dlist", ",".join(names)]
        classes = [self._tango_class(name) for name in self._classes]
        self.loop_thread.start()
        pulse = Pulse(self.state_dir, short_server_name(self.server))
        self.loop_thread.loop.call_soon_threadsafe(pulse.follow, self.loop_thread.loop)
        try:
            tango.server.run(
                classes,
                args=arguments,
                post_init_callback=self._started,
                event_loop=self._turn,
                verbose=False,
                raises=True,
            )
        except tango.DevFailed as error:
            log.error("%s: %s", self.server, error.args[0].desc)
            return 1
        finally:
            self._end()
        return 0

    def stop(self, *_: Any) -> None:
        """Ask the server to end; safe in a signal handler."""
        self._stop.set()

    @functools.cached_property
    def _classes(self) -> Mapping[str, list[str]]:
        # Asked once: a database that dies while the server starts must not end it.
        if self.tango_host is None:
            return {name: list(devices) for name, devices in self.facility.server(self.server).items()}
        classes: dict[str, list[str]] = {}
        for device, name in devices_of(tango.Database(), self.server):
            classes.setdefault(name, []).append(device)
        if not classes:
            raise ConfigurationError(
                self.server, [f"is not in the database {self.tango_host}; `diptych register` puts it there"]
            )
        return classes

    def _tango_class(self, name: str) -> type[TangoDevice]:
        if name not in self.facility.classes:
            raise ConfigurationError(
                str(self.facility.path), [f"class {name} has no import path; add `classes: {{{name}: module:Class}}`"]
            )
        model_class = device_class(self.facility.classes[name])
        found = (self.loop_thread, self.pusher, self._properties_of, self._store_of)
        return tango_class(name, model_class, *found, tuple(self.facility.services), self.neighbours)

    def _properties_of(self, device: str) -> Mapping[str, Any]:
        if self.tango_host is None:
            for devices in self.facility.server(self.server).values():
                if device in devices:
                    return devices[device]
            return {}
        return PropertyOwner("device", device).stored(tango.Database())

    def _store_of(self, device: str, attributes: list[str]) -> Store:
        if self.tango_host is None:
            return FileStore(self.state_dir / "memorized" / (device.replace("/", "--") + ".json"))
        return DatabaseStore(device, attributes)

    def _devices(self) -> list[TangoDevice]:
        util = tango.Util.instance()
        return [
            device
            for name in self._classes
            for device in util.get_device_list_by_class(name)
            if isinstance(device, TangoDevice)
        ]

    def _started(self) -> None:
        # cppTango has its own handlers; from here on a signal ends the server through the loop below.
        ends = (signal.SIGTERM, signal.SIGINT)
        for number in ends:
            signal.signal(number, self.stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ends)  # what Tango's Starter starts has them blocked
        for device in self._devices():
            device.remove_foreign_attributes()
        # What is there now stays: a full collection through numba's and scipy's objects stops every read and every
        # event for 35 to 60 ms (measured).
        gc.collect()
        gc.freeze()

    def _watch_configuration(self) -> None:
        with tango.EnsureOmniThread():
            devices = self._devices()
            waiting = [device for device in devices if not self._follows_configuration(device)]
            # By now Tango has made its sockets; what it makes later is found in time, too.
            limit_patience()
            scans = 0
            while not self._stop.wait(SOCKET_SCAN):
                limit_patience()
                still = [device for device in waiting if not self._follows_configuration(device)]
                scans = scans + 1 if len(still) == len(waiting) else 0
                waiting = still
                if scans in COMPARED_AT:
                    _compare_configurations(devices)
            for device in devices:
                device.unsubscribe_configuration()

    def _follows_configuration(self, device: TangoDevice) -> bool:
        """Whether its configuration is followed now, or cannot be."""
        try:
            return self._stop.is_set() or device.subscribe_configuration(self._reachable(device.get_name()))
        except tango.DevFailed as error:
            log.error("%s: configuration changes are not seen: %s", device.get_name(), error.args[0].desc)
            return True

    def _reachable(self, device: str) -> str:
        if self.tango_host is not None:
            return f"tango://{self.tango_host}/{device}"
        return f"tango://{from_here(self.bind)}:{self.tango_port}/{device}#dbase=no"

    def _turn(self) -> bool:
        # Not before the server runs: a process that subscribes to itself while it starts reads torn answers (measured).
        if not self._watcher.ident:
            devices = self._devices()
            for device in devices:
                forward_logs(device)
                device.start_model()
            self._watcher.start()
            log.info("%s serves %s", self.server, ", ".join(device.get_name() for device in devices))
        self._standstill.turn()
        if not self._stop.wait(TURN):
            return False
        self._standstill.end()
        # First, and not when Tango deletes the devices: without its database that takes seconds, in which a mirror
        # would show what nobody measures any more.
        for device in self._devices():
            device.stop_model()
        self._watcher.join(2.0)
        return True

    def _end(self) -> None:
        self.pusher.stop()
        self.loop_thread.submit(self.neighbours.close())
        self.loop_thread.stop()


def serve(
    instance: str,
    *,
    facility: Facility,
    tango_host: str | None,
    ports: Ports,
    state_dir: Path,
    file_mode: bool,
) -> int:
    """Serve one Tango server of a facility until a signal; the exit code.

    Raises:
        ConfigurationError: the facility has no such server, or a class that cannot be imported.
    """
    leash.attach()
    faulthandler.enable()  # a crash in a library leaves the stacks of all threads in the log
    log_to_stderr()
    host = Host(
        full_server_name(instance),
        facility,
        tango_host=None if file_mode else tango_host,
        state_dir=state_dir,
        tango_port=ports["tango"] if file_mode else 0,
    )
    return host.run()


def _compare_configurations(devices: Iterable[TangoDevice]) -> None:
    for device in devices:
        try:
            device.compare_configuration()
        except tango.DevFailed as error:
            log.warning("%s: its configuration cannot be read: %s", device.get_name(), error.args[0].desc)
