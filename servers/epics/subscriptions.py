"""The event subscriptions to one device, made anew at each connection."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import tango
from tango import EventSubMode, EventType

from servers.epics.attribute_source import AttributeSource

log = logging.getLogger(__name__)

OnEvent = Callable[[AttributeSource, Any], None]


class Subscriptions:
    """Calls back, in Tango's threads, for as long as the connection lasts for which they were made.

    Args:
        on_change: takes an attribute and its change event, which may carry an error.
        on_configuration: takes an attribute and its new configuration.
    """

    def __init__(self, on_change: OnEvent, on_configuration: OnEvent) -> None:
        self._on_change, self._on_configuration = on_change, on_configuration
        self._proxy: Any = None
        self._generation = 0
        self._changes: dict[str, int] = {}
        self._configurations: list[int] = []

    def begin(self, proxy: Any, attributes: Mapping[str, AttributeSource]) -> None:
        """Subscribe to changes of all, and to the configuration of what has bounds or may be written.

        Returns before Tango has made the subscriptions; each brings a first event when it is made.
        """
        self.end()
        self._proxy = proxy
        mode = EventSubMode.AsyncRead
        for name, attribute in attributes.items():
            attribute.has_events, attribute.is_subscribed, attribute.events = True, False, 0
            changed = partial(self._changed, self._generation, attribute)
            self._changes[name] = proxy.subscribe_event(name, EventType.CHANGE_EVENT, changed, mode)
        for name, attribute in attributes.items():
            writable = attribute.setpoint is not None
            if attribute.spec.kind.is_number and (writable or attribute.readback.facts.has_bounds):
                configured = partial(self._configured, self._generation, attribute)
                number = proxy.subscribe_event(name, EventType.ATTR_CONF_EVENT, configured, mode)
                self._configurations.append(number)

    def end(self) -> None:
        """Unsubscribe from everything; what is still on its way is dropped."""
        self._generation += 1
        for number in (*self._changes.values(), *self._configurations):
            self._unsubscribe(number)
        self._changes.clear()
        self._configurations.clear()

    def leave(self, attribute: AttributeSource) -> bool:
        """Unsubscribe from what pushes no events (Tango would try again every 10 s for ever); False if done already."""
        number = self._changes.pop(attribute.spec.name, None)
        if number is None:
            return False
        self._unsubscribe(number)
        return True

    def _unsubscribe(self, number: int) -> None:
        try:
            self._proxy.unsubscribe_event(number)
        except (tango.DevFailed, KeyError) as error:
            log.debug("unsubscribing: %s", error)

    def _changed(self, generation: int, attribute: AttributeSource, event: Any) -> None:
        if generation == self._generation:
            self._on_change(attribute, event)

    def _configured(self, generation: int, attribute: AttributeSource, event: Any) -> None:
        if generation == self._generation and not event.err:
            self._on_configuration(attribute, event.attr_conf)
