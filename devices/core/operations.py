"""Operations: long work with an id, progress, a result, and an end that everybody can see."""

from __future__ import annotations

import asyncio
import enum
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from devices.core.attribute import Attribute, attribute
from devices.core.deadband import Deadband
from devices.core.errors import AbortedError, BusyError, RangeError, UnknownNameError, reason
from devices.core.json_value import json_value
from devices.core.operation_error import operation_error

if TYPE_CHECKING:
    from devices.core.command import WhenBusy
    from devices.core.device import Device
    from devices.core.live import LiveAttribute

log = logging.getLogger("diptych")

#: So many operations are remembered for ``operation_status``.
KEPT = 100
#: The longest JSON text of a result, characters; frames and tables go into attributes.
RESULT_LIMIT = 1_000_000
#: An aborted operation has this time to leave the hardware in order, s.
ABORT_TIMEOUT = 5.0
#: ... and this time when the server ends, which has 5 s as a whole, s.
CLOSE_TIMEOUT = 2.5


#: A longer result stands in ``operation_status`` only, so that the list of 100 operations stays short, characters.
LISTED_RESULT = 2000
#: What stands for all operations in ``abort``.
ALL = frozenset({"", "1"})


class OperationState(enum.Enum):
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    ABORTED = "ABORTED"


FINAL = frozenset({OperationState.DONE, OperationState.FAILED, OperationState.ABORTED})


class Operation:
    """One run of an operation; the method that does the work gets it to report progress."""

    def __init__(self, name: str, show: Callable[[Operation], None]) -> None:
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        # The random part keeps ids unique over restarts, even when the clock steps back.
        self.id = f"{stamp}-{secrets.token_hex(4)}"
        self.name = name
        self.state = OperationState.QUEUED
        self.progress = 0.0
        self.message = ""
        self.result: Any = None
        self.error = ""
        self._show = show

    def report(self, progress: float | None = None, message: str | None = None) -> None:
        """Tell how far the work is, in per cent, and what it does now."""
        if progress is not None:
            self.progress = min(100.0, max(0.0, float(progress)))
        if message is not None:
            self.message = message
        self._show(self)

    def as_dict(self) -> dict[str, Any]:
        """What ``operation_status`` answers."""
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state.value,
            "progress": self.progress,
            "message": self.message,
            "result": self.result,
            "error": self.error,
        }


OPERATION_ATTRIBUTES: dict[str, Attribute[Any]] = {
    "operation": attribute(str, doc="The operation that runs now; empty when idle", text_limit=39),
    "operation_id": attribute(str, doc="The id of the newest operation", text_limit=39),
    "progress": attribute(
        float, unit="%", precision=0, doc="How far the newest operation is", change=Deadband(absolute=0.1)
    ),
    "operation_message": attribute(str, doc="What the newest operation does now"),
    "operation_result": attribute(str, doc="The result of the newest operation, JSON", text_limit=1 << 20),
    "operation_error": attribute(str, doc="Why the newest operation failed; empty otherwise"),
}
for _name, _declared in OPERATION_ATTRIBUTES.items():
    _declared.__set_name__(Operation, _name)


class Operations:
    """The operations of one device: started, queued, aborted, and the last 100 remembered."""

    def __init__(self, device: Device, attributes: dict[str, LiveAttribute[Any]]) -> None:
        self._device = device
        self._attributes = attributes
        self._known: dict[str, Operation] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._newest: Operation | None = None
        self._turn = asyncio.Lock()
        for name, live in attributes.items():
            live.publish(0.0 if name == "progress" else "")

    @property
    def active(self) -> list[Operation]:
        """The operations that run or wait, oldest first."""
        # A client that has seen DONE may start the next one, a moment before the task of this one is over.
        return [run for run in map(self._known.__getitem__, self._tasks) if run.state not in FINAL]

    def start(self, name: str, work: Callable[[Operation], Awaitable[Any]], when_busy: WhenBusy = "refuse") -> str:
        """Start ``work`` and return its id at once.

        Raises:
            BusyError: another one runs, and this one may not wait or run beside it.
        """
        if when_busy == "refuse" and (active := self.active):
            first = active[0]
            raise BusyError(f"{name} is refused: {first.name} runs ({first.id}, {first.progress:.0f} %)")
        run = Operation(name, self._show)
        task = asyncio.get_running_loop().create_task(self._run(run, work, when_busy), name=run.id)
        task.add_done_callback(lambda _: self._ended(run))
        self._known[run.id], self._tasks[run.id], self._newest = run, task, run
        ended = [key for key in self._known if key not in self._tasks]
        for key in ended[: max(0, len(self._known) - KEPT)]:
            del self._known[key]
        self._show(run)
        self._device.note_operations(bool(self._tasks))
        return run.id

    def status(self, operation_id: str) -> dict[str, Any]:
        """The operation as a dictionary.

        Raises:
            UnknownNameError: no such id, or it is older than the last 100 or the last restart.
        """
        return self._find(operation_id).as_dict()

    async def result(self, operation_id: str) -> Any:
        """Wait for the end of an operation; its result. Whoever stops waiting ends nothing.

        Raises:
            AbortedError: it was aborted.
            DiptychError: why it failed, in the class of that error.
            UnknownNameError: no such id.
        """
        run = self._find(operation_id)
        if (task := self._tasks.get(operation_id)) is not None:
            await asyncio.wait({task})
        if run.state is OperationState.DONE:
            return run.result
        if run.state is OperationState.ABORTED:
            raise AbortedError(f"{run.name} was aborted")
        raise operation_error(run.error)

    def all(self) -> list[dict[str, Any]]:
        """The operations remembered, newest first; a long result is left out, ``operation_status`` has it."""
        found = [run.as_dict() for run in reversed(self._known.values())]
        for each in found:
            if len(json.dumps(each["result"])) > LISTED_RESULT:
                each["result"] = None
        return found

    def abort(self, operation_id: str = "") -> None:
        """Abort one operation, or all that run and wait when no id is given; one that has ended stays as it is.

        A button writes "1", which stands for all, too.

        Raises:
            UnknownNameError: no such id.
        """
        if operation_id in ALL:
            operation_id = ""
        else:
            self._find(operation_id)
        for key, task in list(self._tasks.items()):
            # A second cancellation would cut short what the work does to leave the hardware in order.
            if operation_id in ("", key) and not task.cancelling():
                task.cancel()

    async def close(self) -> None:
        """Abort everything and wait until it has ended, but not for long: the server ends."""
        self.abort()
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=CLOSE_TIMEOUT)

    def _find(self, operation_id: str) -> Operation:
        try:
            return self._known[operation_id]
        except KeyError:
            raise UnknownNameError(
                f"operation {operation_id!r} is not known here (lost in restart, or too old)"
            ) from None

    async def _run(self, run: Operation, work: Callable[[Operation], Awaitable[Any]], when_busy: WhenBusy) -> None:
        try:
            if when_busy == "parallel":
                await self._work(run, work)
            else:
                async with self._turn:
                    await self._work(run, work)
        except Exception as error:
            run.state, run.error = OperationState.FAILED, f"{reason(error)}: {error}"
            log.error("%s: %s %s failed: %s", self._device.name, run.name, run.id, run.error)

    def _ended(self, run: Operation) -> None:
        # A callback and not a ``finally``: a task that is cancelled before its first step never enters its body.
        del self._tasks[run.id]
        if run.state not in FINAL:
            run.state, run.message, run.error = OperationState.ABORTED, "aborted", "AbortedError: aborted by a client"
        self._device.note_operations(bool(self._tasks))
        self._show(run)

    async def _work(self, run: Operation, work: Callable[[Operation], Awaitable[Any]]) -> None:
        run.state = OperationState.RUNNING
        self._show(run)
        self._device.note_operations(True)
        task = asyncio.ensure_future(work(run))
        try:
            result = await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                # Not by us: the work waited for something that somebody else cancelled.
                raise AbortedError("the work was cancelled from within") from None
            task.cancel()
            # The work may need the hardware to stop (a heater off, an exposure read out), but not for ever.
            _, pending = await asyncio.wait({task}, timeout=ABORT_TIMEOUT)
            if pending:
                log.error("%s: %s did not stop within %g s of its abort", self._device.name, run.id, ABORT_TIMEOUT)
            elif not task.cancelled() and task.exception() is not None:
                log.error("%s: %s failed while it was aborted: %s", self._device.name, run.id, task.exception())
            raise
        result = json_value(result, f"the result of {run.name}")
        length = len(json.dumps(result))
        if length > RESULT_LIMIT:
            raise RangeError(f"the result has {length} characters of JSON, at most {RESULT_LIMIT} are allowed")
        run.result, run.progress, run.state = result, 100.0, OperationState.DONE

    def _show(self, run: Operation) -> None:
        if run is not self._newest:
            return
        active = run.state not in FINAL
        # ``operation`` comes last: whoever acts on its event finds everything else in place.
        values: dict[str, Any] = {
            "operation_message": run.message,
            "operation_result": "" if run.result is None else json.dumps(run.result),
            "operation_error": run.error,
            "progress": run.progress,
            "operation_id": run.id,
            "operation": run.name if active else "",
        }
        for name, value in values.items():
            live = self._attributes[name]
            if isinstance(value, str):
                value = value[: live.spec.datatype.text_limit].replace("\0", "?")
            live.publish(value)
