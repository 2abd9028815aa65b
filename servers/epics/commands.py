"""One Tango command or operation as its records: a put runs it, ``:Status :Result :Error :Progress`` tell how it went.

An operation is followed to its end by asking the device (``operation_status``), when an event says that something
happened and every second anyway. So a put never hangs because an event, a server or the mirror was lost.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, Protocol

import tango

from devices.core.errors import (
    AbortedError,
    BadValueError,
    BusyError,
    DiptychError,
    NotAllowedError,
    NotConnectedError,
    ProtocolError,
    RangeError,
    RefusedError,
    UnknownNameError,
    reason,
)
from servers.epics import names
from servers.epics.alarm import GOOD, Alarm
from servers.epics.arguments import Arguments, result_record
from servers.epics.declaration import CommandSpec
from servers.epics.failures import failure
from servers.epics.lanes import Lanes
from servers.epics.records import Facts, Kind, Put, Record

log = logging.getLogger(__name__)

STATUS_LABELS = ("IDLE", "QUEUED", "RUNNING", "DONE", "FAILED", "ABORTED", "REFUSED")
ENDED = ("DONE", "FAILED", "ABORTED")
REFUSALS = (BusyError, NotAllowedError, RangeError, BadValueError)
ASK_PERIOD = 1.0  # s between two questions without an event
ASK_PAUSE = 0.02  # s at least between two questions
PATIENCE = 10.0  # s that a device may be away before its operation counts as lost


class Device(Protocol):
    """What a command needs of its device."""

    name: str
    proxy: Any
    lanes: Lanes

    def demand_link(self, pv: str) -> None:
        """Do nothing when the device answers; raise NotConnectedError when it does not."""


class CommandSource:
    """Runs one command or operation for clients and shows how it goes.

    Attributes:
        main: the record that a put runs.
    """

    def __init__(self, spec: CommandSpec, prefix: str, device: Device) -> None:
        self.spec, self._device = spec, device
        self._lock = threading.Lock()
        self._running = ""
        self._last_id = ""
        self._closed = threading.Event()
        self._poke = threading.Event()
        self._follower: threading.Thread | None = None
        name = names.full(prefix, spec.base)
        self._arguments = Arguments(name, spec)
        self.main = self._arguments.main
        self.main.handler = self._start
        self.status = Record(name + names.STATUS, Kind.ENUM, value=0, facts=Facts(labels=STATUS_LABELS))
        self.result = result_record(name + names.RESULT, spec.result)
        self.error = Record(name + names.ERROR, Kind.STRING, value="")
        percent = Facts(unit="%", precision=0, limits=(0.0, 100.0))
        self.progress = Record(name + names.PROGRESS, Kind.FLOAT64, value=0.0, facts=percent)
        self.main.error = self.error
        for record in self.records:
            names.full(record.name, "")  # every name must be one that clients can ask for

    @property
    def records(self) -> list[Record]:
        return [self.main, self.status, self.result, self.error, self.progress, *self._arguments.records.values()]

    def connected(self) -> None:
        """The device answers again."""
        for record in self.records:
            record.mark(GOOD)
        self._poke.set()

    def mark(self, alarm: Alarm) -> None:
        """The device is gone."""
        for record in self.records:
            record.mark(alarm)

    def poke(self) -> None:
        """Something happened to the device's operations; in any thread."""
        self._poke.set()

    def close(self) -> None:
        """Follow nothing any more; a client that waits is told so."""
        self._closed.set()
        self._poke.set()
        if self._follower is not None:
            self._follower.join()

    def adopt(self, operation_id: str, status: Mapping[str, Any]) -> None:
        """Show an operation that somebody else started, and follow it to its end."""
        with self._lock:
            if self._running or operation_id == self._last_id or self._closed.is_set():
                return
            self._running = self._last_id = operation_id
        try:
            if self._has_ended(status, None):
                return
        except (ValueError, TypeError, KeyError) as error:
            log.warning("operation %s of %s: %s", operation_id, self._device.name, error)
            self._running = ""
            return
        self._show_value(None, running=True)
        self._follow_in_thread(operation_id, None)

    def _start(self, put: Put) -> None:
        """The handler of the main record: refuse, or run in a thread of the device."""
        self._device.demand_link(self.main.name)
        argument = self._arguments.for_tango(put.value)
        with self._lock:
            if self._running:
                raise BusyError(f"{self.main.name}: {self.spec.name} is running already ({self._running})")
            self._running = "starting"
        try:
            self._device.lanes.submit(self.main, lambda: self._run(argument, put))
        except BaseException:
            self._running = ""
            raise

    def _run(self, argument: Any, put: Put) -> None:
        self._show_value(put.value, running=True)
        if not self.spec.is_operation:
            self._show("RUNNING", progress=0.0)
        try:
            proxy = self._device.proxy
            arguments = () if argument is None else (argument,)
            answer = proxy.command_inout(self.spec.name, *arguments)
        except tango.DevFailed as failed:
            self._refuse(failure(failed), put)
            return
        except (TypeError, ValueError) as error:
            self._refuse(BadValueError(f"{self.main.name} = {put.value!r}: {error}"), put)
            return
        if self.spec.is_operation:
            self._running = self._last_id = str(answer)
            self._show("RUNNING", progress=0.0)
            put.accept()
            self._follow_in_thread(str(answer), put)
        else:
            self._end("DONE", None, put, result=answer)

    def _refuse(self, error: DiptychError, put: Put) -> None:
        refused = self.spec.is_operation or isinstance(error, REFUSALS)
        self._end("REFUSED" if refused else "FAILED", error, put)

    def _follow_in_thread(self, operation_id: str, put: Put | None) -> None:
        name = f"epics-follow {self._device.name} {operation_id}"
        self._follower = threading.Thread(target=self._follow, args=(operation_id, put), name=name, daemon=True)
        self._follower.start()

    def _follow(self, operation_id: str, put: Put | None) -> None:
        away_since: float | None = None
        while not self._closed.is_set():
            self._poke.clear()
            try:
                status = json.loads(self._device.proxy.command_inout("operation_status", operation_id))
                away_since = None
                if self._has_ended(status, put):
                    return
            except tango.DevFailed as failed:
                error = failure(failed)
                if isinstance(error, UnknownNameError):
                    lost = f"{self.spec.name} {operation_id}: lost in restart of {self._device.name}"
                    self._end("FAILED", NotConnectedError(lost), put)
                    return
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since > PATIENCE:
                    lost = f"{self.spec.name} {operation_id}: no answer for {PATIENCE:.0f} s: {error}"
                    self._end("FAILED", NotConnectedError(lost), put)
                    return
            except (ValueError, TypeError, KeyError, AttributeError) as wrong:
                text = f"operation_status({operation_id!r}) of {self._device.name}: {wrong}"
                self._end("FAILED", ProtocolError(text), put)
                return
            if not self._poke.wait(ASK_PERIOD):
                continue
            self._closed.wait(ASK_PAUSE)
        self._running = ""
        if put is not None:
            text = f"{self.spec.name} {operation_id} goes on, but the mirror no longer follows it"
            put.finish(NotConnectedError(text))

    def _has_ended(self, status: Mapping[str, Any], put: Put | None) -> bool:
        state, progress = str(status["state"]), float(status.get("progress") or 0.0)
        if state not in STATUS_LABELS:
            raise ValueError(f"unknown state {state!r}")
        if state not in ENDED:
            self._show(state, progress=progress)
            return False
        error: DiptychError | None = None
        if state != "DONE":
            text = str(status.get("error") or status.get("message") or state)
            error = AbortedError(text) if state == "ABORTED" else _error_from(text)
        self._end(state, error, put, result=status.get("result"), progress=progress)
        return True

    def _end(
        self, state: str, error: DiptychError | None, put: Put | None, *, result: Any = None, progress: float = 100.0
    ) -> None:
        """Show the end, then tell the client: whoever waited for the put finds everything in place."""
        if error is None:
            try:
                self.result.show(self._result_value(result))
            except (DiptychError, ValueError, TypeError) as wrong:
                state, error = "FAILED", ProtocolError(f"result of {self.spec.name}: {wrong}")
        if put is None:  # otherwise the gate shows it
            self.error.show("" if error is None else f"{reason(error)}: {error}")
        self._show_value(put.value if put is not None else None, running=False)
        self._show(state, progress=progress if error is None else self.progress.reading.value)
        self._running = ""
        if put is not None:
            put.finish(error)

    def _show(self, state: str, *, progress: float) -> None:
        index = STATUS_LABELS.index(state)
        if self.status.reading.value != index:
            self.status.show(index)
        if self.progress.reading.value != progress:
            self.progress.show(progress)

    def _show_value(self, value: Any, *, running: bool) -> None:
        if self.main.takes_anything:
            self.main.show(int(running))
        elif running and value is not None:
            self.main.show(value)

    def _result_value(self, result: Any) -> Any:
        if result is None:
            return self.result.blank()
        if self.result.kind is not Kind.STRING or self.result.rank:
            return self.result.convert(result)
        return result if isinstance(result, str) else json.dumps(result)


def _error_from(text: str) -> DiptychError:
    """The error of a text ``ClassName: what``, as operations report theirs."""
    from devices.core import errors

    name, _, rest = text.partition(": ")
    ours = getattr(errors, name, None)
    if rest and isinstance(ours, type) and issubclass(ours, DiptychError) and ours is not errors.ConfigurationError:
        return ours(rest)
    return RefusedError(text)
