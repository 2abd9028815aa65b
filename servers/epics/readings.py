"""What reads and events of one device bring: shown at once, held until their time has come, or told as a failure."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import tango

from servers.epics.attribute_source import AttributeSource
from servers.epics.event_flow import EventFlow
from servers.epics.failure_log import FailureLog
from servers.epics.timetable import Timetable
from servers.tango_server.failures import failure

log = logging.getLogger(__name__)

UNREACHABLE = {"API_CantConnectToDevice", "API_CorbaException", "API_ServerNotRunning", "API_DeviceNotExported"}
GONE = "API_AttrNotFound"
LINK_PATIENCE = 3.0  # s that the link watch has to notice that a server is gone


class Device(Protocol):
    name: str
    linked: bool
    proxy: Any
    wake: Callable[[], None]

    def look_again(self) -> None:
        """Ask the device soon what it has."""


class Readings:
    """Reads the attributes of one device and publishes values and failures.

    Attributes:
        publishing: held for each value, so that what is published last is what is newest, and nothing is once the
            device is lost.
    """

    def __init__(self, device: Device, flow: EventFlow) -> None:
        self._device, self._flow = device, flow
        self.publishing = threading.Lock()
        self._failures = FailureLog(device.name)
        self._unreachable_since: float | None = None
        self.timetable = Timetable()

    def read(self, attributes: Sequence[AttributeSource]) -> None:
        """Take the values as they are now; where an event comes meanwhile, that one is newer and stays."""
        if not attributes:
            return
        events = [attribute.events for attribute in attributes]
        try:
            answers = self._device.proxy.read_attributes([attribute.spec.name for attribute in attributes])
        except tango.DevFailed as failed:
            log.debug("%s cannot be read: %s", self._device.name, failure(failed))
            if self._device.linked and not self._may_be_gone(failed):
                text = error_text(failed.args[0])
                self.fail({attribute: text for attribute in attributes if not attribute.has_events})
            return
        self._unreachable_since = None
        failures: dict[AttributeSource, str] = {}
        for attribute, answer, before in zip(attributes, answers, events, strict=True):
            with self.publishing:
                if not self._device.linked:
                    return
                if attribute.events != before:
                    continue
                if answer.has_failed:
                    failures[attribute] = error_text(answer.get_err_stack()[0])
                else:
                    self._show(attribute, answer)
        self.fail(failures)

    def read_due(self, attributes: Iterable[AttributeSource], now: float) -> None:
        """Read what is polled and due, in one call; while events are held up, what comes by them, too."""
        are_held_up = self._flow.is_held_up(now)
        if due := self.timetable.to_read(attributes, now, are_held_up=are_held_up):
            begun, used = time.monotonic(), time.thread_time()
            self.read(due)
            took = time.monotonic() - begun
            self.timetable.rest(took)
            if are_held_up:
                self.timetable.pause(max(took, self._flow.asked(self._device.name, time.thread_time() - used)))

    def show_event(self, attribute: AttributeSource, answer: Any) -> None:
        """Take what an event brought."""
        with self.publishing:
            if self._device.linked:
                attribute.events += 1
                self._show(attribute, answer, is_event=True)

    def show_due(self, now: float) -> None:
        """Take the held values whose time has come."""
        with self.publishing:
            for attribute, answer, is_event in self.timetable.to_show(now):
                if self._device.linked:
                    self._take(attribute, answer, is_event=is_event)

    def fail(self, failures: Mapping[AttributeSource, str]) -> None:
        """The device answers, but not with a value of these."""
        self._failures.report({attribute.spec.name: text for attribute, text in failures.items()})
        for attribute, text in failures.items():
            with self.publishing:
                if self._device.linked:
                    attribute.held.clear()
                    attribute.fail(text)
            if text.startswith(GONE):
                self._device.look_again()

    def _show(self, attribute: AttributeSource, answer: Any, *, is_event: bool = False) -> None:
        """Take a value, or hold it when a site wants to see fewer of them."""
        if attribute.period is None or attribute.is_polled:
            self._take(attribute, answer, is_event=is_event)
        elif self.timetable.hold(attribute, answer, is_event):
            self._device.wake()

    def _take(self, attribute: AttributeSource, answer: Any, *, is_event: bool) -> None:
        if attribute.failed:
            self._failures.forget(attribute.spec.name)
        try:
            attribute.take(answer, is_event=is_event)
        except (TypeError, ValueError, OverflowError, AttributeError) as error:  # devices of others may do anything
            attribute.fail(f"{attribute.spec.name} is not what its device says it is: {type(error).__name__} {error}")

    def _may_be_gone(self, failed: Any) -> bool:
        """Whether the link watch is still to say what is wrong: a server that is gone, or a device that fails."""
        if not any(error.reason in UNREACHABLE for error in failed.args):
            return False
        now = time.monotonic()
        if self._unreachable_since is None:
            self._unreachable_since = now
        return now - self._unreachable_since < LINK_PATIENCE


def error_text(error: Any) -> str:
    """``REASON: text`` of one ``tango.DevError``."""
    return f"{error.reason}: {' '.join(error.desc.split())}"
