"""The process that serves large attributes, as the mirror sees it: started, watched, started again.

Frames would delay the scalars of their process: Tango hands all events to one thread, p4p sends everything in one, and
each copy of a frame holds Python's interpreter lock. So attributes of more than 256 kB are mirrored by a process of
their own. The mirror alone decides about names; it answers Channel Access searches
for both, and writes the audit of both.
"""

from __future__ import annotations

import logging
import math
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, Pipe
from typing import Any, Final

from devices.core.errors import DiptychError
from servers.epics.attribute_source import AttributeSource
from servers.epics.audit import Audit
from servers.epics.configuration import MirrorConfig, MirroredDevice
from servers.epics.declaration import AttributeSpec
from servers.epics.names import NameBook
from servers.epics.records import Put, PutHandler, Record
from servers.facility.process import BACK_OFF_SECONDS, PYTHON, SETTLED_SECONDS, ending

log = logging.getLogger(__name__)

START_TIMEOUT: Final = 60.0  # s; until its first report
SILENCE: Final = 20.0  # s; a process that reports nothing for so long hangs, and is ended
STOP_TIMEOUT: Final = 3.0  # s
TELL_PERIOD: Final = 0.1  # s between two looks until when it may serve
# Frames in memory that was used before: the kernel needs longer to give out 32 MB anew than to copy them (measured).
MEMORY: Final = {"MALLOC_MMAP_MAX_": "0", "MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": str(512 << 20)}
COUNTED: Final = frozenset({
    "cpu_s", "memory_bytes", "ca_clients", "ca_updates", "ca_coalesced", "pva_connected_pvs", "pva_updates",
    "pva_coalesced", "events", "event_losses", "compared", "puts", "refused_puts",
})  # fmt: skip


@dataclass(frozen=True)
class Report:
    """What the process says of itself, some times a second."""

    ca_port: int = 0
    pva_port: int = 0
    served: frozenset[str] = frozenset()
    statistics: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Referred:
    """A device with large attributes: their records, for names and types only, with the attribute's name each."""

    wanted: MirroredDevice
    shape: tuple[Any, ...]
    records: dict[Record, str]
    withheld: frozenset[str]


class ImageProcess:
    """Has the large attributes of all devices served.

    Args:
        config: the mirror's own; the process gets it with other ports and the devices that it is needed for.
        book: where names are claimed.
        audit: takes the lines of the process.

    Attributes:
        report: the newest one; an empty one while the process is not up.
        starts: how often it was started.
    """

    def __init__(self, config: MirrorConfig, book: NameBook, audit: Audit) -> None:
        self.report = Report()
        self.starts = 0
        self._config, self._book, self._audit = config, book, audit
        self._broadcast_port = 0
        self._until: Callable[[], float] = lambda: -math.inf
        self._ports = config.ca_images_port, config.pva_images_port
        self._devices: dict[str, Referred] = {}
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._connection: Connection | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None

    def refer(self, device: str, wanted: MirroredDevice, prefix: str, attributes: Sequence[AttributeSpec]) -> None:
        """Have these attributes of a device served, and no others of it."""
        shape = prefix, *(attribute.shape for attribute in attributes)
        with self._lock:
            former = self._devices.get(device)
            if (former is None and not attributes) or (former and (former.wanted, former.shape) == (wanted, shape)):
                return
            if former is not None:
                del self._devices[device]
                self._book.release({f"{device} {part}" for part in former.records.values()})
            if attributes:
                wished = {record: each.name for each in attributes for record in _records_of(device, prefix, each)}
                records = {record: part for record, part in wished.items() if self._claim(record, device, part)}
                withheld = frozenset(record.name for record in wished.keys() - records.keys())
                self._devices[device] = Referred(wanted, shape, records, withheld)
            self._send(self._its_config())

    def find(self, name: str) -> Record | None:
        """The record of a name that the process serves now, for its type."""
        if name not in self.report.served:
            return None
        return next((record for record in self.served_records() if record.name == name), None)

    def served_records(self) -> dict[Record, tuple[str, str]]:
        """Every record that the process serves now, with its device and attribute."""
        served = self.report.served
        with self._lock:
            return {
                record: (device, part)
                for device, referred in self._devices.items()
                for record, part in referred.records.items()
                if record.name in served
            }

    def added_to(self, statistics: Mapping[str, Any]) -> dict[str, Any]:
        """The statistics of a mirror together with those of this process."""
        report = self.report
        total = {
            name: value + report.statistics.get(name, 0) if name in COUNTED else value
            for name, value in statistics.items()
        }
        total["pvs"] += len(report.served)
        total["image_starts"] = self.starts
        known = report.statistics.get("devices", {})
        with self._lock:
            for device in self._devices:
                if not total["devices"].get(device):
                    total["devices"][device] = known.get(device, "the process for its large attributes is not up")
        return total

    def reload(self, config: MirrorConfig) -> None:
        """Adopt access rules; the devices follow by ``refer``."""
        with self._lock:
            self._config = config
            self._send(self._its_config())

    def start(self, broadcast_port: int, until: Callable[[], float]) -> None:
        """Start the process and keep it running.

        Args:
            broadcast_port: UDP, of PVAccess searches; both processes listen on it.
            until: until when it may serve, s of the monotonic clock, which is the same in all processes.
        """
        self._broadcast_port, self._until = broadcast_port, until
        self._thread = threading.Thread(target=self._run, name="epics-images", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the process and wait for it."""
        self._stopping.set()
        self._send(None)
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT)
            if self._thread.is_alive():
                self._kill()
                self._thread.join()

    def _claim(self, record: Record, device: str, part: str) -> bool:
        clash = self._book.claim(record.name, f"{device} {part}")
        if clash is not None:
            log.warning("%s", clash)
        return clash is None

    def _its_config(self) -> MirrorConfig:
        ca_port, pva_port = self._ports
        return replace(
            self._config,
            devices=tuple(referred.wanted for referred in self._devices.values()),
            ca_port=ca_port,
            pva_port=pva_port,
            pva_broadcast_port=self._broadcast_port,
            audit_path=None,
            withheld=frozenset(name for referred in self._devices.values() for name in referred.withheld),
        )

    def _send(self, message: MirrorConfig | float | None) -> None:
        with self._lock:
            if self._connection is not None:
                try:
                    self._connection.send(message)
                except OSError as error:  # it ended just now, and the next one is told all
                    log.debug("the process for large attributes: %s", error)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            how = self._live()
            # The next one has the same ports, so that clients find it.
            self._ports = self.report.ca_port or self._ports[0], self.report.pva_port or self._ports[1]
            self.report = Report()
            if self._stopping.is_set():
                return
            failures = 0 if time.monotonic() - began > SETTLED_SECONDS else failures + 1
            delay = BACK_OFF_SECONDS[min(failures, len(BACK_OFF_SECONDS) - 1)]
            when = f" in {delay:g} s" if delay else ""
            log.warning("the process for large attributes %s; it starts again%s", how, when)
            self._stopping.wait(delay)

    def _live(self) -> str:
        """One life of the process; returns how it ended."""
        ours, theirs = Pipe()
        command = [*PYTHON, "servers.facility.leash", *PYTHON, "servers.epics.image_server", str(theirs.fileno())]
        with theirs, self._lock:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], env={**os.environ, **MEMORY}
            )
            self._connection = ours
            self._send(self._its_config())
        self.starts += 1
        patience, heard, told = START_TIMEOUT, time.monotonic(), -math.inf
        try:
            while time.monotonic() - heard < patience:
                if self._until() > told:
                    told = self._until()
                    self._send(told)
                if ours.poll(TELL_PERIOD):
                    self._take(ours.recv())
                    patience, heard = SILENCE, time.monotonic()
            log.error("the process for large attributes (pid %d) says nothing for %.0f s", self._process.pid, patience)
        except (EOFError, OSError):
            pass  # it ended
        finally:
            with self._lock:
                self._connection = None
                ours.close()
        try:
            code = self._process.wait(STOP_TIMEOUT if self._stopping.is_set() else 0.5)
        except subprocess.TimeoutExpired:
            self._kill()
            code = self._process.wait()
        return ending(code)

    def _take(self, message: Report | str) -> None:
        if isinstance(message, str):
            self._audit.append(message)
        else:
            self.report = message

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()


def _records_of(device: str, prefix: str, attribute: AttributeSpec) -> list[Record]:
    """The records of an attribute, for their names and types."""
    try:
        return AttributeSource(attribute, prefix, _no_puts).records
    except DiptychError as error:
        log.warning("%s: attribute %s is not mirrored: %s", device, attribute.name, error)
        return []


def _no_puts(_: AttributeSource) -> PutHandler:
    def handler(put: Put) -> None:
        raise AssertionError("only the process that serves a record gets its puts")

    return handler
