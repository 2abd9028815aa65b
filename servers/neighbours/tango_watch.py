"""The attributes of one Tango device, watched: events for speed, a read every second for truth.

The read finds a server that was killed, hangs or came back, and everything that an event would have lost; Tango alone
needs 10 s for each of these (measured, cppTango 10.3).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import tango

from devices.core import Quality, Reading
from devices.core.neighbours import Changed
from servers.tango_server.failures import failure
from servers.tango_server.retired import retire

log = logging.getLogger("diptych.neighbours")

READ_SECONDS: Final = 1.0
TIMEOUT_MS: Final = 1000
QUALITIES: Final = {
    tango.AttrQuality.ATTR_VALID: Quality.VALID,
    tango.AttrQuality.ATTR_WARNING: Quality.WARNING,
    tango.AttrQuality.ATTR_ALARM: Quality.ALARM,
    tango.AttrQuality.ATTR_CHANGING: Quality.CHANGING,
}


def reading(answer: Any) -> Reading[Any]:
    """What a Tango attribute said: a state is its name, an enumeration the index, an array numpy's."""
    at = answer.time.totime()
    if answer.quality == tango.AttrQuality.ATTR_INVALID or answer.value is None:
        return Reading(None, at, Quality.INVALID, f"{answer.name} is INVALID")
    value = str(answer.value) if isinstance(answer.value, tango.DevState) else answer.value
    return Reading(value, at, QUALITIES[answer.quality])


class TangoWatch(threading.Thread):
    """Watches attributes of one device in a thread of its own; tells the loop.

    Args:
        device: its full name. loop: where callbacks run.
    """

    def __init__(self, device: str, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(name=f"watch {device}", daemon=True)
        self.device = device
        self._loop = loop
        self._wake, self._closing = threading.Event(), threading.Event()
        #: Only in the loop: attribute -> who wants it, and its newest reading.
        self._wanted: dict[str, list[Changed]] = {}
        self._newest: dict[str, Reading[Any]] = {}
        #: Only in the thread.
        self._events: dict[str, int] = {}

    # In the loop ---------------------------------------------------------------------------------------------------

    def add(self, attribute: str, changed: Changed) -> None:
        """Tell this one, too, the newest value first."""
        name = attribute.lower()
        self._wanted.setdefault(name, []).append(changed)
        if name in self._newest:
            changed(self._newest[name])
        self._wake.set()

    def remove(self, attribute: str, changed: Changed) -> bool:
        """Whether nobody watches this device any more."""
        name = attribute.lower()
        with contextlib.suppress(ValueError, KeyError):
            self._wanted[name].remove(changed)
            if not self._wanted[name]:
                del self._wanted[name]
                self._newest.pop(name, None)
        return not self._wanted

    def close(self) -> None:
        """Tell nobody any more; the thread ends by itself."""
        self._wanted = {}
        self._closing.set()
        self._wake.set()

    def _take(self, name: str, new: Reading[Any]) -> None:
        old = self._newest.get(name)
        if name not in self._wanted or (old is not None and _same(old, new)):
            return
        if old is not None and old.quality is not Quality.INVALID and new.timestamp < old.timestamp:
            return  # a read that was overtaken by an event
        self._newest[name] = new
        for changed in tuple(self._wanted[name]):
            changed(new)

    # In the thread -------------------------------------------------------------------------------------------------

    def run(self) -> None:
        with tango.EnsureOmniThread():
            proxy: Any = None
            while not self._closing.is_set():
                self._wake.clear()
                names = tuple(self._wanted)
                try:
                    if proxy is None:
                        proxy = tango.DeviceProxy(self.device)
                        proxy.set_timeout_millis(TIMEOUT_MS)
                    self._subscribe(proxy, names)
                    self._read(proxy, names)
                except tango.DevFailed as failed:
                    text = str(failure(failed))
                    now = time.time()
                    for name in names:
                        self._tell(name, Reading(None, now, Quality.INVALID, text))
                self._wake.wait(READ_SECONDS)
            if proxy is not None:
                for number in self._events.values():
                    with contextlib.suppress(tango.DevFailed):
                        proxy.unsubscribe_event(number)
                retire(proxy)

    def _subscribe(self, proxy: Any, names: tuple[str, ...]) -> None:
        for name in names:
            if name not in self._events:
                with contextlib.suppress(tango.DevFailed):  # an attribute without events is read every second
                    self._events[name] = proxy.subscribe_event(
                        name, tango.EventType.CHANGE_EVENT, self._listener(name), sub_mode=tango.EventSubMode.AsyncRead
                    )
        for name in set(self._events) - set(names):
            with contextlib.suppress(tango.DevFailed):
                proxy.unsubscribe_event(self._events.pop(name))

    def _listener(self, name: str) -> Callable[[Any], None]:
        def listen(event: Any) -> None:
            if not event.err and event.attr_value is not None:
                self._tell(name, reading(event.attr_value))

        return listen

    def _read(self, proxy: Any, names: tuple[str, ...]) -> None:
        if not names:
            return
        for name, answer in zip(names, proxy.read_attributes(list(names)), strict=True):
            if answer.has_failed:
                error = answer.get_err_stack()[0]
                self._tell(name, Reading(None, time.time(), Quality.INVALID, f"{error.reason}: {error.desc}"))
            else:
                self._tell(name, reading(answer))

    def _tell(self, name: str, new: Reading[Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._take, name, new)


def _same(old: Reading[Any], new: Reading[Any]) -> bool:
    if new.quality is Quality.INVALID:
        return old.quality is Quality.INVALID and old.reason == new.reason
    return old.timestamp == new.timestamp and old.quality is new.quality
