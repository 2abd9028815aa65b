"""The event subscriptions to one device, made anew at each connection."""

from __future__ import annotations

import ctypes
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any

import tango
from tango import EventSubMode, EventType

from servers.epics.attribute_source import AttributeSource
from servers.epics.event_flow import EventFlow
from servers.tango_server.failures import failure
from servers.tango_server.retired import retire

log = logging.getLogger(__name__)

OnEvent = Callable[[AttributeSource, Any], None]

# Configurations are subscribed a few at a time: Tango makes all subscriptions of a process one after the other, 2.5 ms
# each (measured), and values of other devices are not to wait for thousands of configurations.
BATCH = 50
BATCH_PERIOD = 0.1  # s

_thread = threading.local()


class Subscriptions:
    """Calls back, in Tango's threads, for as long as the connection lasts for which they were made.

    Args:
        on_change: takes an attribute and its change event, which may carry an error.
        on_configuration: takes an attribute and its new configuration.
        on_interface: called when the device may have got, or lost, attributes or commands.
        flow: of all events of the process.
    """

    def __init__(
        self, on_change: OnEvent, on_configuration: OnEvent, on_interface: Callable[[], None], flow: EventFlow
    ) -> None:
        self._on_change, self._on_configuration, self._on_interface = on_change, on_configuration, on_interface
        self._flow = flow
        self._proxy: Any = None
        self._generation = 0
        self._interface: int | None = None
        self._changes: dict[AttributeSource, int] = {}
        self._configurations: dict[AttributeSource, int] = {}
        self._unconfigured: deque[AttributeSource] = deque()
        self._unanswered: set[tuple[str, AttributeSource]] = set()

    def begin(self, proxy: Any, attributes: Iterable[AttributeSource]) -> None:
        """Subscribe to the interface of a device and to these attributes.

        Returns before Tango has made the subscriptions; each brings a first event when it is made.
        """
        self.end()
        self._proxy = proxy
        changed = partial(self._interface_changed, self._generation)
        try:
            self._interface = proxy.subscribe_event(EventType.INTERFACE_CHANGE_EVENT, changed, EventSubMode.AsyncRead)
        except tango.DevFailed as failed:  # a device from before Tango 9.2
            log.debug("%s: no interface events: %s", proxy.dev_name(), failure(failed))
        self.add(attributes)

    def add(self, attributes: Iterable[AttributeSource]) -> None:
        """Subscribe to the changes of these attributes too, and in time to their configurations."""
        for attribute in attributes:
            attribute.has_events, attribute.is_subscribed = True, False
            attribute.held.clear()
            self._expect("change", attribute)
            changed = partial(self._changed, self._generation, attribute)
            self._changes[attribute] = self._subscribe(attribute, EventType.CHANGE_EVENT, changed)
            if attribute.spec.kind.is_number or attribute.spec.type_name == "enum":
                self._unconfigured.append(attribute)

    def proceed(self) -> None:
        """Subscribe to the next configurations, once Tango has made most of the former subscriptions."""
        if len(self._unanswered) > BATCH // 2:
            return
        for _ in range(min(BATCH, len(self._unconfigured))):
            attribute = self._unconfigured.popleft()
            self._expect("configuration", attribute)
            configured = partial(self._configured, self._generation, attribute)
            number = self._subscribe(attribute, EventType.ATTR_CONF_EVENT, configured)
            self._configurations[attribute] = number

    @property
    def next_due(self) -> float:
        """When ``proceed`` may have something to do, s of the monotonic clock."""
        return time.monotonic() + BATCH_PERIOD if self._unconfigured else math.inf

    def end(self) -> None:
        """Unsubscribe from everything; what is still on its way is dropped."""
        self._generation += 1
        numbers = [*self._changes.values(), *self._configurations.values()]
        for number in numbers if self._interface is None else [self._interface, *numbers]:
            self._unsubscribe(number)
        self._interface = None
        retire(self._proxy)
        for expected in list(self._unanswered):
            self._flow.forget(expected)
        for kept in (self._changes, self._configurations, self._unconfigured, self._unanswered):
            kept.clear()

    def keep(self, attributes: Collection[AttributeSource]) -> None:
        """Unsubscribe from all attributes but these."""
        self._unconfigured = deque(attribute for attribute in self._unconfigured if attribute in attributes)
        for subscribed in (self._changes, self._configurations):
            for attribute in [attribute for attribute in subscribed if attribute not in attributes]:
                self._unsubscribe(subscribed.pop(attribute))
        for expected in [expected for expected in list(self._unanswered) if expected[1] not in attributes]:
            self._answered(*expected)

    def leave(self, attribute: AttributeSource) -> bool:
        """Unsubscribe from what pushes no events (Tango would try again every 10 s for ever); False if done already."""
        number = self._changes.pop(attribute, None)
        if number is None:
            return False
        self._unsubscribe(number)
        self._answered("change", attribute)
        return True

    def _subscribe(self, attribute: AttributeSource, kind: EventType, callback: Callable[[Any], None]) -> int:
        number: int = self._proxy.subscribe_event(attribute.spec.name, kind, callback, EventSubMode.AsyncRead)
        _call_directly(self._proxy, number, callback)
        return number

    def _unsubscribe(self, number: int) -> None:
        try:
            self._proxy.unsubscribe_event(number)
        except (tango.DevFailed, KeyError) as error:
            log.debug("unsubscribing: %s", error)

    def _expect(self, kind: str, attribute: AttributeSource) -> None:
        self._unanswered.add((kind, attribute))
        self._flow.expect((kind, attribute))

    def _answered(self, kind: str, attribute: AttributeSource) -> None:
        self._unanswered.discard((kind, attribute))
        self._flow.forget((kind, attribute))

    def _changed(self, generation: int, attribute: AttributeSource, event: Any) -> None:
        _keep_thread_state()
        if generation == self._generation:
            self._answered("change", attribute)
            self._on_change(attribute, event)

    def _configured(self, generation: int, attribute: AttributeSource, event: Any) -> None:
        if generation == self._generation:
            self._answered("configuration", attribute)
            if not event.err:
                self._on_configuration(attribute, event.attr_conf)

    def _interface_changed(self, generation: int, event: Any) -> None:
        if generation == self._generation and not event.err:
            self._on_interface()


def _call_directly(proxy: Any, number: int, callback: Callable[[Any], None]) -> None:
    """Have Tango call the callback itself.

    PyTango (10.1 to 10.3) wraps it anew at every event, for tracing, which takes longer than all that the mirror does
    with the event (measured: 40 of 70 us). Where its subscriptions are kept otherwise, it stays wrapped.
    """
    holder, *_ = vars(proxy).get("_subscribed_events", {}).get(number, (None,))
    if holder is not None:
        holder.push_event = callback


def _keep_thread_state() -> None:
    """Let this thread, which is one of Tango's, keep what Python needs to know of it.

    Otherwise Python makes it anew for every event, and maps and unmaps memory for it, for which all processors are
    interrupted: half of the time of an event when other threads are busy (measured).

    Source: PyGILState_Ensure in Python's C API: what it made is undone by the last PyGILState_Release.
    """
    if not hasattr(_thread, "state"):
        _thread.state = ctypes.pythonapi.PyGILState_Ensure()
