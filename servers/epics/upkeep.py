"""One Tango device server with the devices of it that are mirrored: a link, and a thread for each device.

The thread connects its device when the server answers, compares and polls values, and tries again what failed. A device
that hangs, or is slow to answer, keeps its own thread waiting and nobody else's.
"""

from __future__ import annotations

import logging
import threading
import time

import tango

from devices.core.errors import DiptychError, NotConnectedError
from servers.epics.device_source import DeviceSource
from servers.epics.event_flow import ASK_PERIOD_S, EventFlow
from servers.epics.linkwatch import LinkWatch, ServerLink
from servers.epics.losswatch import LossWatch
from servers.tango_server.failures import failure
from servers.tango_server.retired import drop

log = logging.getLogger(__name__)

#: s that a server which was silent has for its polls, before it is asked: at first it has what it had before.
BREATH = 1.0
RETRY_PERIOD = 1.0  # s between two tries to connect a device whose server answers
IDLE_PERIOD = 5.0  # s
REPEAT_PERIOD = 3600.0  # s; the same trouble with a device is logged again after this


class DeviceUpkeep(threading.Thread):
    """Keeps one device mirrored until it is stopped, and leaves it then."""

    def __init__(self, device: DeviceSource, link: ServerLink) -> None:
        super().__init__(name=f"epics-upkeep {device.name}", daemon=True)
        self.device = device
        self._link = link
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._said, self._said_at = "", 0.0
        device.wake = self._wake.set

    def run(self) -> None:
        with tango.EnsureOmniThread():
            while True:
                self._wake.clear()
                if self._stopping.is_set():
                    break
                self._wake.wait(max(0.0, self._step() - time.monotonic()))
            self.device.close()

    def wake(self) -> None:
        """Something is to be done; in any thread."""
        self._wake.set()

    def stop(self) -> None:
        """Serve nothing of the device any more and end; a Tango call under way ends by its own timeout."""
        self._stopping.set()
        self.device.retire()
        self._wake.set()

    def _step(self) -> float:
        """Do what is due; returns when to come back, s of the monotonic clock."""
        now = time.monotonic()
        if not self._link.is_up:
            return now + IDLE_PERIOD
        try:
            if self.device.linked:
                self.device.upkeep()
            elif now < (breathed := self._link.up_since + BREATH) and self.device.has_events_of(self._link.process):
                return breathed
            else:
                self._connect()
        except (tango.DevFailed, DiptychError) as error:
            self._lose(str(error if isinstance(error, DiptychError) else failure(error)))
            return now + RETRY_PERIOD
        except Exception as error:
            log.debug("%s", self.device.name, exc_info=True)
            self._lose(f"the mirror cannot deal with it: {type(error).__name__}: {error}")
            return now + RETRY_PERIOD
        return min(now + IDLE_PERIOD, self.device.next_due()) if self.device.linked else now + RETRY_PERIOD

    def _lose(self, reason: str) -> None:
        self.device.failed(reason)
        now = time.monotonic()
        if self._said != reason or now - self._said_at > REPEAT_PERIOD:
            self._said, self._said_at = reason, now
            log.warning("%s cannot be mirrored now: %s", self.device.name, reason)

    def _connect(self) -> None:
        losses = self._link.losses
        self.device.connect(self._link.process)
        if not self._link.is_up or self._link.losses != losses:  # lost while it was being connected
            self.device.lost(self._link.reason or "the server did not answer for a moment")
        elif self.device.linked:
            log.info("%s is mirrored", self.device.name)


class ServerUpkeep:
    """Keeps the devices of one server mirrored.

    Args:
        name: of the server, for the log and the statistics.
        admin: full name of its admin device; "" where only its devices can tell.
        flow: of all events of the process.
    """

    def __init__(self, name: str, admin: str, watch: LinkWatch, flow: EventFlow) -> None:
        self.server = name
        self._flow, self._next_read = flow, 0.0
        self.losses = LossWatch()
        self.link = ServerLink(
            name,
            lambda: admin or self._told_admin(),
            watch.connections,
            on_up=self._wake,
            on_down=self._lost,
            leave=self._leave,
        )
        self._watch = watch
        self._threads: tuple[DeviceUpkeep, ...] = ()
        self._asked = -1

    @property
    def devices(self) -> list[DeviceSource]:
        return [thread.device for thread in self._threads]

    def start(self) -> None:
        self.link.start()
        self._watch.add(self.look)

    def look(self, now: float) -> None:
        """Look at the clock; in the thread of the watch."""
        self.link.look(now)
        if self.losses.look(now):
            for device in self.devices:
                device.compare_all()
        if now >= self._next_read and self._flow.is_held_up(now):
            self._next_read = now + ASK_PERIOD_S
            self._wake()

    def add(self, device: DeviceSource) -> None:
        thread = DeviceUpkeep(device, self.link)
        self._threads = (*self._threads, thread)
        thread.start()

    def remove(self, device: DeviceSource) -> None:
        """Leave a device; returns at once."""
        for thread in self._threads:
            if thread.device is device:
                thread.stop()
        self._threads = tuple(thread for thread in self._threads if thread.device is not device)

    def stop(self) -> None:
        """Ask all threads to end."""
        self._watch.remove(self.look)
        self.link.stop()
        for thread in self._threads:
            thread.stop()

    def wait(self) -> None:
        """Wait for the threads; a Tango call under way ends by its own timeout."""
        for thread in self._threads:
            thread.join()
        self.link.join()

    def _wake(self) -> None:
        for thread in self._threads:
            thread.wake()

    def _lost(self, reason: str) -> None:
        for device in self.devices:
            device.lost(reason)

    def _leave(self) -> None:
        for device in self.devices:
            device.leave()

    def _told_admin(self) -> str:
        """What one of the devices says; another one each time, as one of them may not be there."""
        devices, self._asked = self.devices, self._asked + 1
        if not devices:
            raise NotConnectedError(f"{self.server}: no device of it is mirrored")
        proxy = tango.DeviceProxy(devices[self._asked % len(devices)].name)
        try:
            return str(proxy.adm_name())
        finally:
            drop(proxy)
