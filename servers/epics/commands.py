"""One Tango command or operation as its records: a put runs it, ``:Status`` and the others tell how it goes."""

from __future__ import annotations

import json
import math
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
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
    reason,
)
from devices.core.operation_error import operation_error
from servers.epics import names
from servers.epics.alarm import GOOD, Alarm
from servers.epics.arguments import Arguments, Prepared, result_record
from servers.epics.declaration import CommandSpec
from servers.epics.follower import ENDED, Follower
from servers.epics.lanes import Lanes
from servers.epics.records import Facts, Kind, Put, Record
from servers.epics.reservation import Reservation
from servers.tango_server.failures import failure

STATUS_LABELS = ("IDLE", "QUEUED", "RUNNING", "DONE", "FAILED", "ABORTED", "REFUSED")
REFUSALS = (BusyError, NotAllowedError, RangeError, BadValueError)
REMEMBERED = 100  # ids of operations that were shown; a device remembers as many


class Device(Protocol):
    """What a command needs of its device."""

    name: str
    proxy: Any
    lanes: Lanes
    follower: Follower
    reservation: Reservation

    def demand_link(self, pv: str) -> None:
        """Do nothing when the device answers; raise NotConnectedError when it does not."""

    def ran(self, command: str, put: Put) -> None:
        """The device has run a command, or began it, for a client."""

    def refresh(self) -> None:
        """Show every value that is no array as the device has it now."""


@dataclass(eq=False, slots=True)
class Run:
    """One run of a command: the client's request, if it was one of ours, and the device's id for it, once known."""

    put: Put | None = None
    operation_id: str = ""


class CommandSource:
    """Runs one command or operation for clients and shows how the newest run goes.

    Attributes:
        main: the record that a put runs.
    """

    def __init__(self, spec: CommandSpec, prefix: str, device: Device) -> None:
        self.spec, self._device = spec, device
        self._lock = threading.Lock()
        self._runs: list[Run] = []
        self._newest: Run | None = None
        self._known: deque[str] = deque(maxlen=REMEMBERED)
        self._noticed = ""
        self._closed = False
        name = names.full(prefix, spec.base)
        self._arguments = Arguments(name, spec)
        self.main = self._arguments.main
        self.main.handler = lambda put: self._start(put, lambda: self._arguments.of_put(put.value))
        self.main.call = lambda put: self._start(put, lambda: self._arguments.of_call(put.value))
        if self._arguments.run is not None:
            self._arguments.run.handler = lambda put: self._start(put, self._arguments.of_run)
        self.status = Record(name + names.STATUS, Kind.ENUM, value=0, facts=Facts(labels=STATUS_LABELS))
        self.main.result = self.result = result_record(name + names.RESULT, spec.result)
        self.error = Record(name + names.ERROR, Kind.STRING, value="")
        for record in (*self._run_records, *self._arguments.records.values()):
            record.error = self.error
        percent = Facts(unit="%", precision=0, limits=(0.0, 100.0))
        self.progress = Record(name + names.PROGRESS, Kind.FLOAT64, value=0.0, facts=percent)
        for record in self.records:
            names.full(record.name, "")  # every name must be one that clients can ask for

    @property
    def records(self) -> list[Record]:
        outcome = [self.status, self.result, self.error, self.progress]
        return [*self._run_records, *outcome, *self._arguments.records.values()]

    @property
    def _run_records(self) -> list[Record]:
        run = self._arguments.run
        return [self.main] if run is None else [self.main, run]

    def connected(self) -> None:
        """The device answers again."""
        for record in self.records:
            record.mark(GOOD)

    def mark(self, alarm: Alarm) -> None:
        """The device is gone."""
        for record in self.records:
            record.mark(alarm)

    def close(self) -> None:
        """Follow nothing any more; a client that waits is told so."""
        with self._lock:
            self._closed = True
            left = [run for run in self._runs if run.operation_id]
        for run in left:
            self._leave(run)

    def adopt(self, operation_id: str) -> None:
        """Show an operation that the device has, whoever started it, and follow it to its end."""
        with self._lock:
            if any(not run.operation_id for run in self._runs):
                self._noticed = operation_id  # it may be the one that begins here just now
                return
            if operation_id in self._known or self._closed:
                return
            run = self._add(Run(operation_id=operation_id))
            self._known.append(operation_id)
        self._follow(run)

    def _start(self, put: Put, prepare: Callable[[], Prepared]) -> None:
        """Refuse a request, or run it in a thread of the device."""
        self._device.demand_link(self.main.name)
        self._device.reservation.demand(self.main.name, put, stops=self.spec.stops or self.spec.reads_only)
        with self._lock:
            if len(self._runs) >= (1 if self.spec.when_busy == "refuse" else REMEMBERED):
                first = self._runs[0].operation_id or "it begins"
                raise BusyError(f"{self.main.name}: {self.spec.name} is running already ({first})")
            run = self._add(Run(put))
        try:
            prepared = prepare()
            self._device.reservation.demand_command(self.main.name, put, self.spec.name, prepared.shown)
            self._device.lanes.submit(self.main, lambda: self._run(run, prepared))
        except BaseException:
            self._remove(run)
            raise

    def _run(self, run: Run, prepared: Prepared) -> None:
        assert run.put is not None
        if self.error.reading.value:
            self.error.show("")
        self.main.show(prepared.shown)
        if self._arguments.run is not None:
            self._arguments.run.show(1)
        if not self.spec.is_operation:
            self._show(run, "RUNNING", progress=0.0)
        try:
            answer = self._device.proxy.command_inout(self.spec.name, *prepared.for_tango)
        except tango.DevFailed as failed:
            self._refuse(run, failure(failed))
        except (TypeError, ValueError, OverflowError) as error:
            self._refuse(run, BadValueError(f"{self.main.name} = {run.put.value!r}: {error}"))
        else:
            self._device.ran(self.spec.name, run.put)
            if self.spec.is_operation:
                self._begin(run, str(answer))
            else:
                self._end(run, "DONE", None, result=answer)
        noticed, self._noticed = self._noticed, ""
        if noticed:
            self.adopt(noticed)

    def _begin(self, run: Run, operation_id: str) -> None:
        assert run.put is not None
        with self._lock:
            run.operation_id = operation_id
            self._known.append(operation_id)
            closed = self._closed
        self._show(run, "RUNNING", progress=0.0)
        run.put.accept()
        if closed:
            self._leave(run)
        else:
            self._follow(run)

    def _refuse(self, run: Run, error: DiptychError) -> None:
        refused = self.spec.is_operation or isinstance(error, REFUSALS)
        self._end(run, "REFUSED" if refused else "FAILED", error)

    def _follow(self, run: Run) -> None:
        self._device.follower.follow(run.operation_id, partial(self._hear, run), partial(self._lose, run))

    def _leave(self, run: Run) -> None:
        self._device.follower.leave(run.operation_id)
        if self._remove(run) and run.put is not None:
            text = f"{self.spec.name} {run.operation_id} goes on, but the mirror no longer follows it"
            run.put.finish(NotConnectedError(text))

    def _hear(self, run: Run, status: Mapping[str, Any]) -> bool:
        """Show a status of the operation; True when it is the last one."""
        state, progress = str(status["state"]), float(status.get("progress") or 0.0)
        if state not in STATUS_LABELS:
            raise ValueError(f"unknown state {state!r}")
        if state not in ENDED:
            self._show(run, state, progress=progress)
            return False
        if run.put is not None:  # its client may read what came of it next, and events may be on their way yet
            self._device.refresh()
        error: DiptychError | None = None
        if state != "DONE":
            text = str(status.get("error") or status.get("message") or state)
            error = AbortedError(text) if state == "ABORTED" else _error_from(text)
        self._end(run, state, error, result=status.get("result"), progress=progress)
        return True

    def _lose(self, run: Run, error: DiptychError) -> None:
        self._end(run, "FAILED", type(error)(f"{self.spec.name} {error}"))

    def _end(
        self, run: Run, state: str, error: DiptychError | None, *, result: Any = None, progress: float = 100.0
    ) -> None:
        """Show the end, then tell the client: whoever waited for the put finds everything in place."""
        value: Any = None
        if error is None:
            try:
                value = self._result_value(result)
            except (DiptychError, ValueError, TypeError) as wrong:
                state, error = "FAILED", ProtocolError(f"result of {self.spec.name}: {wrong}")
        if run is self._newest:
            if error is None:
                self.result.show(value)
            if run.put is None:  # otherwise the gate shows it
                self.error.show("" if error is None else f"{reason(error)}: {error}")
        was_running = self._remove(run)
        for record in self._run_records:
            if record.takes_anything and not self._runs:
                record.show(0)
        self._show(run, state, progress=progress if error is None else self.progress.reading.value)
        put, run.put = run.put, None  # the newest run is kept, its client is not
        if was_running and put is not None:
            put.finish(error, result=value)

    def _show(self, run: Run, state: str, *, progress: float) -> None:
        if run is not self._newest:
            return
        index = STATUS_LABELS.index(state)
        if self.status.reading.value != index:
            self.status.show(index)
        if self.progress.reading.value != progress:
            self.progress.show(progress)

    def _add(self, run: Run) -> Run:
        self._runs.append(run)
        self._newest = run
        return run

    def _remove(self, run: Run) -> bool:
        """Whether it was still there: a run ends once."""
        with self._lock:
            if run not in self._runs:
                return False
            self._runs.remove(run)
            return True

    def _result_value(self, result: Any) -> Any:
        shown = self.result
        if result is None:
            return math.nan if shown.kind.is_float and not shown.rank else shown.blank()
        if shown.kind.is_float and shown.rank:  # an operation's NaN comes as null
            result = [math.nan if each is None else each for each in result]
        if shown.kind is not Kind.STRING or shown.rank:
            return shown.convert(result)
        return result if isinstance(result, str) else json.dumps(result)


def _error_from(text: str) -> DiptychError:
    """The error of a text ``ClassName: what``, as operations report theirs; a refusal where the class is not ours."""
    error = operation_error(text)
    return RefusedError(text) if type(error) is DiptychError else error
