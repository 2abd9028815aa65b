"""One Tango device server with the devices of it that are mirrored: a link, and a thread that does what may take time.

The thread connects the devices when the server answers, compares and polls values, and tries again what failed. A
server that hangs keeps its own thread waiting and nobody else's.
"""

from __future__ import annotations

import logging
import threading
import time

import tango

from devices.core.errors import DiptychError
from servers.epics.device_source import DeviceSource
from servers.epics.failures import failure
from servers.epics.linkwatch import LinkWatch, ServerLink

log = logging.getLogger(__name__)

RETRY_PERIOD = 1.0  # s between two tries to connect a device whose server answers
IDLE_PERIOD = 5.0  # s


class ServerUpkeep(threading.Thread):
    """Keeps the devices of one server mirrored.

    Args:
        name: of the server, as far as it is known without asking it.
    """

    def __init__(self, name: str, watch: LinkWatch) -> None:
        super().__init__(name=f"epics-upkeep {name}", daemon=True)
        self.server = name
        self.devices: list[DeviceSource] = []
        self.link: ServerLink | None = None
        self._watch = watch
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._said: dict[str, str] = {}

    def add(self, device: DeviceSource) -> None:
        with self._lock:
            device.wake = self._wake.set
            self.devices.append(device)
            if self.link is None:
                self.link = ServerLink(self.server, device.name, self._wake.set, self._lost)
                self._watch.add(self.link)
                self.link.start()
        self._wake.set()

    def remove(self, device: DeviceSource) -> None:
        with self._lock:
            self.devices.remove(device)
        device.close()

    def run(self) -> None:
        with tango.EnsureOmniThread():
            while not self._stopping.is_set():
                self._wake.clear()
                now = time.monotonic()
                with self._lock:
                    devices = list(self.devices)
                due = now + IDLE_PERIOD
                for device in devices:
                    if self._stopping.is_set():
                        break
                    if self.link is None or not self.link.is_up:
                        continue
                    if device.linked:
                        device.upkeep()
                        due = min(due, device.next_due())
                    else:
                        self._connect(device)
                        due = min(due, now + (0.0 if device.linked else RETRY_PERIOD))
                self._wake.wait(max(0.0, due - time.monotonic()))

    def stop(self) -> None:
        """Ask both threads to end."""
        self._stopping.set()
        if self.link is not None:
            self._watch.remove(self.link)
            self.link.stop()
        self._wake.set()

    def wait(self) -> None:
        """Wait for both threads; a Tango call under way ends by its own timeout."""
        if self.is_alive():
            self.join()
        if self.link is not None:
            self.link.join()

    def _connect(self, device: DeviceSource) -> None:
        try:
            device.connect()
        except (tango.DevFailed, DiptychError) as error:
            text = str(error if isinstance(error, DiptychError) else failure(error))
            device.lost(text)
            if self._said.get(device.name) != text:
                self._said[device.name] = text
                log.warning("%s cannot be mirrored now: %s", device.name, text)
        else:
            assert self.link is not None
            if not self.link.is_up:  # lost while it was being connected
                device.lost(self.link.reason)
            self._said.pop(device.name, None)
            log.info("%s is mirrored", device.name)

    def _lost(self, reason: str) -> None:
        for device in list(self.devices):
            device.lost(reason)
