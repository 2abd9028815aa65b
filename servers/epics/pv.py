"""One record as PVAccess serves it: its value for all clients, and their puts and calls."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from p4p import Value
from p4p.server.raw import SharedPV

from devices.core.errors import BadValueError, reason
from servers.epics.access import Client
from servers.epics.normative import normative_value
from servers.epics.records import Facts, Kind, Reading, Record

if TYPE_CHECKING:
    from servers.epics.pva import PvAccess

MAX_CLAIM = 200  # characters
WAITING = 4  # values that wait for the posting thread; a client's queue holds no more unless it asks for it


class Pv:
    """One record as PVAccess serves it; the handler of its SharedPV."""

    def __init__(self, server: PvAccess, record: Record) -> None:
        self.record = record
        self.connected = False
        self._server = server
        self._facts: Facts | None = None
        self._posted: Reading | None = None
        self._waiting: deque[Reading] = deque(maxlen=WAITING)
        self._is_due = False
        self.shared = SharedPV(handler=self)

    def changed(self) -> None:
        """Called in any thread when the record changed."""
        self._server.coalesced += len(self._waiting) == WAITING
        self._waiting.append(self.record.reading)
        if not self._is_due:
            self._is_due = True
            self._server.enqueue(self.post)

    def post(self) -> None:
        """Post what waits, and the facts when they changed; in the posting thread."""
        self._is_due = False  # before what waits is taken: a change from now on marks it again
        while True:
            newest = self.record.reading  # before the look at what waits: what comes meanwhile is newer
            if not self._waiting:
                break
            self._post(self._waiting.popleft())
        self._post(newest)

    def _post(self, reading: Reading) -> None:
        if self.connected and (reading is not self._posted or self.record.facts is not self._facts):
            self._posted = reading
            self.shared.post(self._value(reading))
            self._server.updates += 1

    def silence(self) -> None:
        self.connected = False
        self.record.unlisten(self.changed)

    def onFirstConnect(self, _: SharedPV) -> None:  # p4p calls it so
        # In p4p's thread, before the client's first request is looked at: that one finds the newest value.
        self._facts = None
        self._waiting.clear()  # for former clients
        reading = self._posted = self.record.reading
        if self.shared.isOpen():
            self.shared.post(self._value(reading))
        else:
            self.shared.open(self._value(reading))
        self.connected = True
        self.record.listen(self.changed)
        if self.record.reading is not reading:
            self.changed()

    def onLastDisconnect(self, _: SharedPV) -> None:
        self.silence()

    def put(self, _: SharedPV, operation: Any) -> None:
        try:
            raw = self._asked(operation.value())
        except BadValueError as error:
            operation.done(error=f"{reason(error)}: {error}")
            return
        put = self._server.gate.put(self.record, raw, _client(operation))
        self._answer_later(operation, put.done if _waits(operation) else put.accepted, _answer)

    def rpc(self, _: SharedPV, operation: Any) -> None:
        call = self._server.gate.call(self.record, _arguments(operation.value()), _client(operation))
        self._answer_later(operation, call.done, self._answer_call)

    def _answer_later(self, operation: Any, outcome: Future[Any], answer: Callable[[Any, Future[Any]], None]) -> None:
        # An operation ends in p4p's own thread, which waits for locks of ours. So it must not be ended by a garbage
        # collection, which may come while one is held: it is let go when it is answered, and is in no cycle.
        waiting = [operation]
        name = self.record.name
        outcome.add_done_callback(lambda done: self._server.enqueue_answer(name, lambda: answer(waiting.pop(), done)))

    def _answer_call(self, operation: Any, outcome: Future[Any]) -> None:
        if outcome.exception() is not None:
            _answer(operation, outcome)
            return
        assert self.record.result is not None
        result = Reading(outcome.result(), time.time_ns())
        operation.done(normative_value(self.record.result, result, with_facts=True))

    def _asked(self, value: Value) -> Any:
        if self.record.takes_anything:
            return value.get("value")
        if self.record.kind is Kind.ENUM and self.record.rank == 0:
            if value.changed("value.index"):
                return value["value.index"]
            raise BadValueError(f"{self.record.name}: the put has no value.index")
        if not value.changed("value"):
            raise BadValueError(f"{self.record.name}: the put has no value")
        return value["value"]

    def _value(self, reading: Reading) -> Value:
        facts = self.record.facts
        changed, self._facts = facts is not self._facts, facts
        return normative_value(self.record, reading, with_facts=changed)


def _arguments(value: Value) -> dict[str, Any]:
    """The arguments of a call: the query of an NTURI, or the fields of any other structure."""
    if value.type() is None:
        return {}
    given = value.todict()
    query = given.get("query", {}) if value.getID().startswith("epics:nt/NTURI:") else given
    return dict(query)


def _client(operation: Any) -> Client:
    """Who asks; one that acts for a person may name it, a claim: ``record[person=anna,address=10.1.2.3]``."""
    host, _, port = operation.peer().rpartition(":")
    request = operation.pvRequest()
    person, address = (_claim(request.get(f"record._options.{key}")) for key in ("person", "address"))
    return Client("pva", host.strip("[]"), int(port or 0), address, person or operation.account())


def _claim(text: object) -> str:
    """What may stand in a log line."""
    return text[:MAX_CLAIM] if isinstance(text, str) and text.isprintable() else ""


def _waits(operation: Any) -> bool:
    """Whether the client asked to be answered at the end: ``record[block=true]``."""
    options = operation.pvRequest().get("record._options.block")
    return str(options).lower() in ("true", "1", "yes")


def _answer(operation: Any, outcome: Future[None]) -> None:
    error = outcome.exception()
    operation.done(error=None if error is None else f"{reason(error)}: {error}")
