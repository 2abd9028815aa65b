"""One Tango device: subscribed, read and written, and turned into records.

Event callbacks run in Tango's threads and only publish into records. Everything that waits for the device runs in the
upkeep thread of its server (connecting, comparing, polling) or in the device's own few put threads.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import tango

from devices.core.errors import BadValueError, DiptychError, NotConnectedError, RangeError
from devices.core.live import check_limits
from servers.epics.alarm import UNDEFINED, Alarm, Severity, Status
from servers.epics.attribute_source import AttributeSource
from servers.epics.commands import CommandSource
from servers.epics.comparisons import SETTLE_TIME, Comparisons
from servers.epics.declaration import DeviceSpec
from servers.epics.failures import failure
from servers.epics.follower import Follower
from servers.epics.inquiry import Choices, facts_of, read_device
from servers.epics.lanes import Lanes
from servers.epics.records import Put, PutHandler, Record
from servers.epics.subscriptions import Subscriptions

log = logging.getLogger(__name__)

NO_EVENTS = {"API_AttributePollingNotStarted", "API_EventPropertiesNotSet"}
LOSSES = {"API_EventTimeout", "API_MissedEvents"}
UNREACHABLE = {"API_CantConnectToDevice", "API_CorbaException", "API_ServerNotRunning", "API_DeviceNotExported"}
OPERATION_ATTRIBUTES = {"operation", "operation_id", "progress", "operation_error"}


class Registry(Protocol):
    """Where records are entered to be served."""

    def register(self, device: str, part: str, records: Iterable[Record]) -> None:
        """Serve the records of one attribute or command."""

    def unregister(self, device: str) -> None:
        """Serve nothing of this device any more."""


@dataclass
class Counters:
    """What happened since the start, over all devices."""

    events: int = 0
    event_losses: int = 0
    compared: int = 0


class DeviceSource:
    """The mirror's side of one device.

    Args:
        name: full Tango name, ``tango://HOST:PORT/a/b/c``, with ``#dbase=no`` where there is no database.
        period: s between two reads of what has no events.
        wake: asks the upkeep thread to call ``upkeep`` soon; in any thread.
    """

    def __init__(
        self,
        name: str,
        choices: Choices,
        registry: Registry,
        counters: Counters,
        *,
        period: float = 1.0,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.name, self.choices, self.period = name, choices, period
        self.wake = wake
        self.linked = False
        self._problem = "not connected yet"
        self.spec: DeviceSpec | None = None
        self.proxy: Any = None
        self.attributes: dict[str, AttributeSource] = {}
        self.commands: list[CommandSource] = []
        self._registry, self._counters = registry, counters
        self._subscriptions = Subscriptions(self._on_change, self._adopt_configuration)
        self._comparisons = Comparisons()
        self._next_poll = 0.0
        self.lanes = Lanes(name)
        self.follower = Follower(self, self._adopt)
        self._life = threading.Lock()  # held by whoever connects, reads or closes
        self._closed = False

    @property
    def problem(self) -> str:
        """Why clients do not see this device as it is; "" when they do."""
        if not self.linked:
            return self._problem
        waiting = sum(source.readback.reading.alarm is UNDEFINED for source in list(self.attributes.values()))
        return f"{waiting} attributes have no value yet" if waiting else ""

    def connect(self) -> None:
        """Read what the device has, make or keep its records, subscribe. In the upkeep thread.

        Raises:
            tango.DevFailed: the device does not answer.
            DiptychError: it cannot be mirrored.
        """
        with self._life:
            if not self._closed:
                self._connect()

    def lost(self, reason: str) -> None:
        """The server is gone or does not answer: everything is INVALID/LINK. Returns at once; in any thread."""
        self.linked, self._problem = False, reason
        alarm = Alarm(Severity.INVALID, Status.LINK, reason)
        for attribute in list(self.attributes.values()):
            attribute.mark(alarm)
        for command in self.commands:
            command.mark(alarm)

    def upkeep(self) -> None:
        """Whatever is due: polls, comparisons, attributes that turned out to have no events. In the upkeep thread."""
        with self._life:
            if self.linked and not self._closed:
                self._upkeep(time.monotonic())

    def next_due(self) -> float:
        """When ``upkeep`` has something to do by itself, s of the monotonic clock."""
        is_polled = any(attribute.is_polled for attribute in self.attributes.values())
        return min(self._comparisons.next_due(), self._next_poll if is_polled else math.inf)

    def close(self) -> None:
        """Leave the device and take its records out. Waits for the puts under way (Tango ends them at 3 s)."""
        self._closed = True
        with self._life:
            self.linked, self._problem = False, "no longer mirrored"
            for command in self.commands:
                command.close()
            self._subscriptions.end()
            self._registry.unregister(self.name)
        self.lanes.close()
        self.follower.join()

    def demand_link(self, pv: str) -> None:
        """Do nothing when the device is there.

        Raises:
            NotConnectedError: it is not.
        """
        if not self.linked:
            raise NotConnectedError(f"{pv}: {self.name} does not answer: {self.problem}")

    def _connect(self) -> None:
        self._subscriptions.end()
        self.proxy = tango.DeviceProxy(self.name)
        spec = read_device(self.proxy, self.choices)
        if self.spec is None or spec.shape != self.spec.shape:
            self._build(spec)
        for attribute in spec.attributes:
            if attribute.name in self.attributes:
                self.attributes[attribute.name].configure(attribute.facts)
        self.spec = spec
        self.linked, self._problem = True, ""
        self._subscriptions.begin(self.proxy, self.attributes)
        # Tango completes the subscriptions one by one, 3 ms each (measured); the values are wanted now.
        self._read([attribute for attribute in self.attributes.values() if attribute.spec.rank < 2])
        for command in self.commands:
            command.connected()
        self.follower.poke()
        if spec.has_operations:
            self.lanes.run(self.follower.notice_all)

    def _upkeep(self, now: float) -> None:
        attributes = list(self.attributes.values())
        self._comparisons.mark_due(attributes, now)
        for attribute in attributes:
            if not attribute.has_events and self._subscriptions.leave(attribute):
                self._next_poll = 0.0
            if attribute.doubts_bounds:
                self._ask_bounds(attribute)
        due = [attribute for attribute in attributes if attribute.verify and not attribute.is_polled]
        for attribute in due:
            attribute.verify = False
        self._counters.compared += len(due)
        self._read(due)
        if now >= self._next_poll:
            self._next_poll = now + self.period
            self._read([attribute for attribute in attributes if attribute.is_polled])

    def _build(self, spec: DeviceSpec) -> None:
        """Make all records anew; clients of the old ones are disconnected and find the new ones."""
        self._registry.unregister(self.name)
        for old in self.commands:
            old.close()
        self.attributes, self.commands = {}, []
        for attribute in spec.attributes:
            try:
                source = AttributeSource(attribute, spec.prefix, self._put_handler)
            except DiptychError as error:
                log.warning("%s: attribute %s is not mirrored: %s", self.name, attribute.name, error)
            else:
                self.attributes[attribute.name] = source
                self._registry.register(self.name, attribute.name, source.records)
        for command in spec.commands:
            try:
                runner = CommandSource(command, spec.prefix, self)
            except DiptychError as error:
                log.warning("%s: command %s is not mirrored: %s", self.name, command.name, error)
            else:
                self.commands.append(runner)
                self._registry.register(self.name, f"{command.name}()", runner.records)

    def _put_handler(self, attribute: AttributeSource) -> PutHandler:
        def handler(put: Put) -> None:
            assert attribute.setpoint is not None
            self.demand_link(attribute.setpoint.name)
            self.lanes.submit(attribute.setpoint, lambda: self._write(attribute, put))

        return handler

    def _write(self, attribute: AttributeSource, put: Put) -> None:
        assert attribute.setpoint is not None
        try:
            is_state = attribute.spec.type_name == "state" and not attribute.spec.rank
            self.proxy.write_attribute(attribute.spec.name, tango.DevState(put.value) if is_state else put.value)
        except tango.DevFailed as failed:
            error = failure(failed)
            # Tango's own refusal names neither the value nor the limits, which the record knows.
            put.finish(_outside(attribute.setpoint, put.value) or error if isinstance(error, RangeError) else error)
            return
        except (TypeError, ValueError) as error:  # UnicodeError is one: Tango's text is latin-1
            put.finish(BadValueError(f"{attribute.setpoint.name} = {put.value!r}: {error}"))
            return
        attribute.accepted(put.value, time.time_ns(), SETTLE_TIME)
        self._read([attribute])  # whoever waits for the end of the put may read the read-back next
        put.finish()
        self._comparisons.settle(attribute)
        self.wake()

    def _ask_bounds(self, attribute: AttributeSource) -> None:
        """Read the configuration of an attribute that is in alarm by no bound that is known."""
        attribute.doubts_bounds = False
        try:
            info = self.proxy.get_attribute_config(attribute.spec.name)
        except tango.DevFailed as failed:
            log.debug("%s/%s: %s", self.name, attribute.spec.name, failure(failed))
            return
        self._adopt_configuration(attribute, info)

    def _on_change(self, attribute: AttributeSource, event: Any) -> None:
        if not self.linked:
            return
        if event.err:
            self._on_error(attribute, event.errors[0])
            return
        self._counters.events += 1
        attribute.is_subscribed = True
        is_burst = self._comparisons.count(attribute)
        attribute.take(event.attr_value, is_event=True)
        if is_burst or attribute.doubts_bounds:
            self.wake()
        name = attribute.spec.name.lower()
        if name in OPERATION_ATTRIBUTES and self.spec is not None and self.spec.has_operations:
            self.follower.poke()
            if name == "operation_id" and event.attr_value.value:
                self.lanes.run(partial(self.follower.notice, str(event.attr_value.value)))

    def _adopt(self, name: str, operation_id: str) -> None:
        """Show an operation under the command it belongs to, whoever started it."""
        for command in self.commands:
            if command.spec.is_operation and command.spec.name == name:
                command.adopt(operation_id)

    def _on_error(self, attribute: AttributeSource, error: Any) -> None:
        if error.reason in NO_EVENTS:
            attribute.has_events = False
            self.wake()
        elif error.reason in LOSSES:
            self._counters.event_losses += 1
            if not self._comparisons.is_bursting(attribute):  # the end of a burst is compared anyway
                attribute.verify = True
                self.wake()
        elif error.reason not in UNREACHABLE:  # those are the link watch's business
            attribute.fail(f"{error.reason}: {' '.join(error.desc.split())}")
            self._comparisons.settle(attribute)

    def _adopt_configuration(self, attribute: AttributeSource, info: Any) -> None:
        known = {"precision": attribute.spec.facts.precision, "hysteresis": attribute.spec.facts.hysteresis}
        facts = facts_of(info, known)
        if facts != attribute.readback.facts:
            attribute.configure(facts)
            attribute.verify = True  # the device judges by the new bounds: take its quality
            self.wake()

    def _read(self, attributes: Sequence[AttributeSource]) -> None:
        """Take the values as they are now; where an event comes meanwhile, that one is newer and stays."""
        if not attributes:
            return
        events = [attribute.events for attribute in attributes]
        try:
            answers = self.proxy.read_attributes([attribute.spec.name for attribute in attributes])
        except tango.DevFailed as failed:
            log.debug("%s cannot be read: %s", self.name, failure(failed))
            for attribute in attributes:
                if not attribute.has_events and self.linked:
                    attribute.fail(str(failure(failed)))
            return
        for attribute, answer, before in zip(attributes, answers, events, strict=True):
            if not self.linked:
                return
            if attribute.events != before:
                continue
            if answer.has_failed:
                first = answer.get_err_stack()[0]
                attribute.fail(f"{first.reason}: {' '.join(first.desc.split())}")
            else:
                attribute.take(answer)


def _outside(record: Record, value: Any) -> RangeError | None:
    """The refusal of a value outside the record's limits, with value, unit and bounds."""
    try:
        check_limits(record.name, value, record.facts.limits, record.facts.unit)
    except RangeError as error:
        return error
    return None
