"""One Tango device: subscribed, read and written, and turned into records.

Event callbacks run in Tango's threads and only publish into records. Everything that waits for the device runs in the
upkeep thread of its server (connecting, comparing, polling) or in the device's own few put threads.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import tango

from devices.core.errors import BadValueError, NotConnectedError, RangeError
from devices.core.live import check_limits
from servers.epics import names
from servers.epics.alarm import UNDEFINED, Alarm, Severity, Status
from servers.epics.attribute_source import AttributeSource
from servers.epics.commands import CommandSource
from servers.epics.comparisons import SETTLE_TIME, Comparisons
from servers.epics.configuration import MirroredDevice
from servers.epics.declaration import AttributeSpec, CommandSpec, DeviceSpec
from servers.epics.device_records import DeviceRecords, Registry
from servers.epics.event_flow import EventFlow
from servers.epics.follower import Follower
from servers.epics.inquiry import facts_of, read_device
from servers.epics.lanes import Lanes
from servers.epics.losswatch import LossWatch
from servers.epics.readings import UNREACHABLE, Readings, error_text
from servers.epics.records import Put, PutHandler, Record
from servers.epics.reservation import RELEASE, RESERVE, Reservation
from servers.epics.share import Share
from servers.epics.subscriptions import Subscriptions
from servers.tango_server.failures import failure
from servers.tango_server.retired import drop

log = logging.getLogger(__name__)

NO_EVENTS = {"API_AttributePollingNotStarted", "API_EventPropertiesNotSet"}
LOSSES = {"API_EventTimeout", "API_MissedEvents"}
#: Of a server's process, s: Tango itself makes its subscriptions anew after 10.
SHORT_SILENCE = 8.0
OPERATION_ATTRIBUTES = {"operation", "operation_id", "progress", "operation_error"}


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
        wanted: how a site wants it mirrored.
        losses: of its server; hears of each event.
        flow: of the process; hears of each event and each subscription.
        share: what of it this process serves.
        wake: asks the upkeep thread to call ``upkeep`` soon; in any thread.
    """

    def __init__(
        self,
        name: str,
        wanted: MirroredDevice,
        registry: Registry,
        counters: Counters,
        losses: LossWatch,
        flow: EventFlow,
        *,
        share: Share = Share.ALL,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.name, self.wanted, self._share, self._registry = name, wanted, share, registry
        self.wake = wake
        self.linked = False
        self._problem = "not connected yet"
        self.spec: DeviceSpec | None = None
        self.proxy: Any = None
        self.records = DeviceRecords(name, registry, self._new_attribute, self._new_command)
        self._counters, self._losses, self._flow = counters, losses, flow
        self._subscriptions = Subscriptions(self._on_change, self._adopt_configuration, self.look_again, flow)
        self._comparisons = Comparisons()
        self._readings = Readings(self, flow)
        self._notes: tuple[str, ...] = ()
        self._is_outdated = False
        self.reservation = Reservation(name)
        self.lanes = Lanes(name)
        self.follower = Follower(self, self._adopt_operation)
        self._process, self._lost_at = "", 0.0  # whose events come, and when it was lost last
        self._life = threading.Lock()  # held by whoever connects, reads or closes
        self._closed = False

    @property
    def problem(self) -> str:
        """Why clients do not see this device as it is; "" when they do."""
        if not self.linked:
            return self._problem
        waiting = sum(source.readback.reading.alarm is UNDEFINED for source in self.records.attributes.values())
        return f"{waiting} attributes have no value yet" if waiting else ""

    def want(self, wanted: MirroredDevice) -> None:
        """Have it asked again what it has, and mirrored so; clients of what stays the same notice nothing.

        In any thread.
        """
        self.wanted = wanted
        self.look_again()

    def connect(self, process: str = "") -> None:
        """Read what the device has, make or keep its records, subscribe. In the upkeep thread.

        After a short silence of the same process the subscriptions are as they were, and only the values are read.

        Args:
            process: tells the server's process from the next one; "" not known.
        Raises:
            tango.DevFailed: the device does not answer.
            DiptychError: it cannot be mirrored.
        """
        with self._life:
            if self._closed:
                return
            if self.has_events_of(process):
                self._resume()
            else:
                self._process = ""
                self._connect()
                self._process = process

    def has_events_of(self, process: str) -> bool:
        """Whether the events of this process of the server come as before: it was lost for a short time only."""
        return bool(process) and process == self._process and time.monotonic() - self._lost_at < SHORT_SILENCE

    def failed(self, reason: str) -> None:
        """The device itself cannot be mirrored: as ``lost``, and it is to be connected anew."""
        self._process = ""
        self.lost(reason)

    def lost(self, reason: str) -> None:
        """The server is gone or does not answer: everything is INVALID/LINK. Returns at once; in any thread."""
        with self._readings.publishing:
            if self.linked:
                self._lost_at = time.monotonic()
            self.linked, self._problem = False, reason
            self.records.mark(Alarm(Severity.INVALID, Status.LINK, reason))

    def leave(self) -> None:
        """End the subscriptions of a device that was lost."""
        with self._life:
            self._process = ""
            self._subscriptions.end()

    def compare_all(self) -> None:
        """Have all values compared by a read that come by events: some may have been lost. In any thread."""
        self._comparisons.want_all()
        self.wake()

    def upkeep(self) -> None:
        """Whatever is due: polls, comparisons, what the device has got or lost. In the upkeep thread.

        Raises:
            tango.DevFailed: the device does not answer.
            DiptychError: it can no longer be mirrored.
        """
        with self._life:
            if self.linked and not self._closed:
                self._upkeep(time.monotonic())

    def next_due(self) -> float:
        """When ``upkeep`` has something to do by itself, s of the monotonic clock."""
        return min(self._comparisons.next_due(), self._readings.timetable.next_due(), self._subscriptions.next_due)

    def retire(self) -> None:
        """Serve nothing of it any more, at once; ``close`` does the rest. In any thread."""
        self._closed = True
        self.linked, self._problem = False, "no longer mirrored"
        self.records.close()
        self._registry.refer(self.name, self.wanted, None)

    def close(self) -> None:
        """Leave the device. Waits for the puts under way (Tango ends them at 3 s)."""
        self.retire()
        with self._life:
            self._subscriptions.end()
        self._flow.left(self.name)
        self.lanes.close()
        self.follower.join()

    def demand_link(self, pv: str) -> None:
        """Do nothing when the device is there.

        Raises:
            NotConnectedError: it is not.
        """
        if not self.linked:
            raise NotConnectedError(f"{pv}: {self.name} does not answer: {self.problem}")

    def ran(self, command: str, put: Put) -> None:
        """The device has run a command, or began it, for a client."""
        reserved_by = self.records.attributes.get("reserved_by")
        if reserved_by is not None and command in (RESERVE, RELEASE):
            # The event of a release before may be on its way yet: one that a read has overtaken is not shown.
            self._readings.read([reserved_by])
            self.reservation.ran(command, put)

    def refresh(self) -> None:
        """Show every value that is no array as the device has it now; in any thread."""
        self._readings.read([each for each in self.records.attributes.values() if each.spec.rank == 0])

    def _connect(self) -> None:
        self._subscriptions.end()
        drop(self.proxy)
        self.proxy = tango.DeviceProxy(self.name)
        self._ask()
        attributes = list(self.records.attributes.values())
        self.linked, self._problem = True, ""
        self._subscriptions.begin(self.proxy, attributes)
        # Tango completes the subscriptions one by one, 2.5 ms each (measured); the values are wanted now.
        self._begin()

    def _resume(self) -> None:
        """The server was only slow: its events come as before, and some may have been lost."""
        self.linked, self._problem = True, ""
        self._is_outdated = True  # it may have told of that meanwhile
        self._begin()
        self._comparisons.want_all()
        self.wake()

    def _begin(self) -> None:
        """Take the values as they are, and what runs in the device."""
        self._readings.read([each for each in self.records.attributes.values() if each.spec.rank < 2])
        for command in self.records.commands.values():
            command.connected()
        self.follower.poke()
        if self.spec is not None and self.spec.has_operations:
            self.lanes.run(self.follower.notice_all)

    def _ask(self) -> list[AttributeSource]:
        """Ask the device what it has and make its records so; returns the new attributes."""
        self._is_outdated = False
        spec = read_device(self.proxy, self.wanted)
        self.spec = self._share.of(spec)
        new = self.records.follow(self.spec, self.wanted)
        reserved_by = self.records.attributes.get("reserved_by")
        self.reservation.follow(None if reserved_by is None else reserved_by.readback)
        self._registry.refer(self.name, self.wanted, spec)
        self._readings.timetable.begin(self.records.attributes.values(), self.wanted.period)
        for note in self.records.notes:
            if note not in self._notes:
                log.warning("%s: %s", self.name, note)
        self._notes = self.records.notes
        return new

    def look_again(self) -> None:
        """Ask the device soon what it has; in any thread."""
        self._is_outdated = True
        self.wake()

    def _follow_interface(self) -> None:
        """The device may have other attributes and commands than it had; what stays is not touched."""
        new = self._ask()
        self._subscriptions.keep(set(self.records.attributes.values()))
        self._subscriptions.add(new)
        self._readings.read([attribute for attribute in new if attribute.spec.rank < 2])

    def _upkeep(self, now: float) -> None:
        if self._is_outdated:
            self._follow_interface()
        attributes = list(self.records.attributes.values())
        for attribute in attributes:
            if not attribute.has_events and self._subscriptions.leave(attribute):
                self._readings.timetable.look_again()
        self._subscriptions.proceed()
        self._readings.show_due(now)
        self._comparisons.mark_due(attributes, now)
        doubted = [attribute for attribute in attributes if attribute.verify and not attribute.is_polled]
        for attribute in doubted:
            attribute.verify = False
        self._counters.compared += len(doubted)
        self._readings.read(doubted)
        self._readings.read_due(attributes, now)

    def _new_attribute(self, spec: AttributeSpec, prefix: str) -> AttributeSource:
        return AttributeSource(spec, prefix, self._put_handler)

    def _new_command(self, spec: CommandSpec, prefix: str) -> CommandSource:
        return CommandSource(spec, prefix, self)

    def _put_handler(self, attribute: AttributeSource) -> PutHandler:
        def handler(put: Put) -> None:
            assert attribute.setpoint is not None
            self.demand_link(attribute.setpoint.name)
            self.reservation.demand(attribute.setpoint.name, put)
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
        attribute.next_time = 0.0  # who put wants to see what came of it
        self._readings.read([attribute])  # whoever waits for the end of the put may read the read-back next
        put.finish()
        self._comparisons.settle(attribute)
        self.wake()

    def _on_change(self, attribute: AttributeSource, event: Any) -> None:
        if event.err:
            self._on_error(attribute, event.errors[0])
            return
        self._counters.events += 1
        self._losses.count()
        if attribute.is_subscribed:
            self._flow.arrived(time.monotonic())
        self._readings.show_event(attribute, event.attr_value)
        if not attribute.is_subscribed:
            # Tango reads the first one in a thread of its own, beside the one that brings the next: it may be late.
            attribute.is_subscribed = True
            self._comparisons.settle(attribute)
        name = attribute.spec.name.lower()
        if name in OPERATION_ATTRIBUTES and self.spec is not None and self.spec.has_operations:
            self.follower.poke()
            if name == "operation_id" and event.attr_value.value:
                self.lanes.run(partial(self.follower.notice, str(event.attr_value.value)))

    def _adopt_operation(self, name: str, operation_id: str) -> None:
        """Show an operation under the command it belongs to, whoever started it."""
        for command in self.records.commands.values():
            if command.spec.is_operation and command.spec.name == name:
                command.adopt(operation_id)

    def _on_error(self, attribute: AttributeSource, error: Any) -> None:
        if error.reason in NO_EVENTS:
            attribute.has_events = False
            self.wake()
        elif error.reason in LOSSES:
            self._counters.event_losses += 1
            self._losses.suspect()
        elif error.reason not in UNREACHABLE:  # those are the link watch's business
            self._readings.fail({attribute: error_text(error)})
            self._comparisons.settle(attribute)

    def _adopt_configuration(self, attribute: AttributeSource, info: Any) -> None:
        facts = facts_of(info, attribute.spec.facts.declared)
        if names.fits_ca_enum(facts.labels) != names.fits_ca_enum(attribute.readback.facts.labels):
            self.look_again()  # other PVs
        elif facts != attribute.readback.facts:
            attribute.configure(facts)
            attribute.verify = True  # the device judges by the new bounds: take its quality
            self.wake()


def _outside(record: Record, value: Any) -> RangeError | None:
    """The refusal of a value outside the record's limits, with value, unit and bounds."""
    try:
        check_limits(record.name, value, record.facts.limits, record.facts.unit)
    except RangeError as error:
        return error
    return None
