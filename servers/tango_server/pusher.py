"""Events: readings pushed to Tango, large ones by a thread of their own."""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import tango

from devices.core import DataType, Event, Kind, Reading
from servers.tango_server.tango_types import QUALITIES, empty, to_tango

if TYPE_CHECKING:
    from servers.tango_server.tango_device import TangoDevice

log = logging.getLogger("diptych.events")

#: Attributes that can have as many elements are pushed by a thread of their own, so that neither their copy nor a slow
#: client (see ``stuck_clients``) holds the loop for long.
LARGE = 2048
#: Readings of one attribute that wait, and their bytes (one reading may have more): a machine that is busy for a moment
#: loses no frame.
WAITING, WAITING_BYTES = 32, 64 << 20

#: One push at a time in the process. cppTango pushes all events under one mutex, and PyTango waits for it with Python's
#: interpreter lock held; whoever has the mutex needs that lock to copy an image (see ``event_copies``): both would wait
#: for ever. Devices of one server were seen to. Whatever else makes Tango push an event takes its turn, too.
turn = threading.Lock()

Push = tuple["TangoDevice", str, DataType, Reading[Any], Event]


class Pusher:
    """Pushes the readings of all devices of a process.

    Of each large attribute the newest few readings wait: when the network is slower than the camera, frames are
    skipped (and counted in ``skipped``), the last one never is.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], deque[Push]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self.skipped = 0

    def push(self, device: TangoDevice, name: str, datatype: DataType, reading: Reading[Any], event: Event) -> None:
        """Push a reading as the events it is worth; a failure is logged, never raised into the device."""
        # By the declared size, not by this value's: an INVALID must not overtake the frame before it.
        if not datatype.shape or math.prod(datatype.shape) < LARGE:
            _push(device, name, datatype, reading, event)
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="large-events", daemon=True)
            self._thread.start()
        key = device.get_name(), name
        size = getattr(reading.value, "nbytes", 0)
        with self._changed:
            waiting = self._waiting.setdefault(key, deque())
            while waiting and (len(waiting) >= WAITING or (len(waiting) + 1) * size > WAITING_BYTES):
                self.skipped += 1
                *_, skipped = waiting.popleft()
                if waiting:
                    waiting[0] = *waiting[0][:-1], waiting[0][-1] | skipped
                else:
                    event |= skipped
            waiting.append((device, name, datatype, reading, event))
            self._changed.notify()

    def stop(self) -> None:
        """End the thread, after what waits."""
        if self._thread is not None:
            with self._changed:
                self._stopping = True
                self._changed.notify()
            self._thread.join(2.0)

    def _run(self) -> None:
        with tango.EnsureOmniThread():
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._waiting or self._stopping)
                    if not self._waiting:
                        return
                    key = next(iter(self._waiting))
                    waiting = self._waiting.pop(key)
                    push = waiting.popleft()
                    if waiting:
                        self._waiting[key] = waiting  # after those of other attributes
                _push(*push)
                del push  # its frame is not kept until the next one comes


def _push(device: TangoDevice, name: str, datatype: DataType, reading: Reading[Any], event: Event) -> None:
    value = empty(datatype) if reading.value is None else to_tango(datatype, reading.value)
    parts = value if datatype.kind is Kind.ENCODED and not datatype.shape else (value,)
    arguments = (name, *parts, reading.timestamp, QUALITIES[reading.quality])
    try:
        with turn:
            if Event.CHANGE in event:
                device.push_change_event(*arguments)
            if Event.ARCHIVE in event:
                device.push_archive_event(*arguments)
    except Exception as error:
        log.error("%s/%s: no event: %s", device.get_name(), name, error)
