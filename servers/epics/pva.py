"""The PVAccess server: records as NTScalar, NTScalarArray, NTEnum and NTNDArray, through p4p.

A PV without a client costs a closed SharedPV; it is opened, with the newest Reading, when the first client comes.
Values are posted by one thread, for PVs that have a client only. The put handlers run in p4p's own threads and return
at once.
"""

from __future__ import annotations

import errno
import logging
import queue
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from p4p import Value
from p4p.server import Server, StaticProvider
from p4p.server.raw import SharedPV

from devices.core.errors import BadValueError, ConfigurationError, reason
from servers.epics.access import Client
from servers.epics.gate import Gate
from servers.epics.normative import normative_value
from servers.epics.records import Facts, Kind, Reading, Record
from servers.facility.port_check import port_holder

log = logging.getLogger(__name__)


class PvAccess:
    """Serves records over PVAccess.

    Args:
        gate: takes the puts.
        bind: the address to listen on.
        port: TCP; 0 takes a free one.
        broadcast_port: UDP, searches.

    Attributes:
        updates, coalesced: values posted; values skipped because a newer one came first.
    """

    def __init__(self, gate: Gate, *, bind: str = "127.0.0.1", port: int = 5075, broadcast_port: int = 5076) -> None:
        self.gate = gate
        self.bind, self.port, self.broadcast_port = bind, port, broadcast_port
        self.updates = 0
        self.coalesced = 0
        self._provider = StaticProvider("diptych")
        self._pvs: dict[str, Pv] = {}
        self._due: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Bind, listen and return.

        Raises:
            ConfigurationError: the port is taken (by whom, and what to change).
        """
        _demand_free(self.bind, self.port)
        beacon = self.bind if self.bind != "0.0.0.0" else "127.0.0.1"  # noqa: S104
        self._server = Server(
            providers=[self._provider],
            useenv=False,  # configured by arguments, never by the environment of the parent
            conf={
                "EPICS_PVAS_INTF_ADDR_LIST": self.bind,
                "EPICS_PVAS_SERVER_PORT": str(self.port),
                "EPICS_PVAS_BROADCAST_PORT": str(self.broadcast_port),
                "EPICS_PVAS_BEACON_ADDR_LIST": beacon,
                "EPICS_PVAS_AUTO_BEACON_ADDR_LIST": "NO",
            },
        )
        conf = self._server.conf()
        port = int(conf["EPICS_PVAS_SERVER_PORT"])
        if self.port not in (0, port):  # p4p takes another port when somebody was faster
            self._server.stop()
            raise _taken(self.bind, self.port)
        self.port, self.broadcast_port = port, int(conf["EPICS_PVAS_BROADCAST_PORT"])
        self._thread = threading.Thread(target=self._post, name="epics-pva")
        self._thread.start()

    def stop(self) -> None:
        """Close every PV and socket, and end the thread."""
        if self._thread is None:
            return
        self._server.stop()
        self.remove(list(self._pvs))
        self._due.put(None)
        self._thread.join()
        self._thread = None

    @property
    def clients(self) -> int:
        """PVs that have at least one client."""
        return sum(pv.connected for pv in self._pvs.values())

    def add(self, record: Record) -> None:
        """Serve a record."""
        pv = self._pvs[record.name] = Pv(self, record)
        self._provider.add(record.name, pv.shared)

    def remove(self, names: list[str]) -> None:
        """Serve some records no more; their clients are disconnected and search again."""
        for name in names:
            pv = self._pvs.pop(name, None)
            if pv is not None:
                pv.silence()
                self._provider.remove(name)
                pv.shared.close(destroy=True)

    def enqueue(self, job: Callable[[], None]) -> None:
        """Post a value, or answer a put: in this order, so that what a put changed is there when its client hears."""
        self._due.put(job)

    def _post(self) -> None:
        while (job := self._due.get()) is not None:
            try:
                job()
            except Exception:
                log.exception("PVAccess: a value cannot be posted, or a put not be answered")


class Pv:
    """One record as PVAccess serves it; the handler of its SharedPV."""

    def __init__(self, server: PvAccess, record: Record) -> None:
        self.record = record
        self.connected = False
        self._server = server
        self._pending = False
        self._facts: Facts | None = None
        self._count = 0
        self.shared = SharedPV(handler=self)

    def changed(self) -> None:
        """Called in any thread when the record changed."""
        if self._pending:
            self._server.coalesced += 1
        else:
            self._pending = True
            self._server.enqueue(self.post)

    def post(self) -> None:
        """Post the newest Reading, and the facts when they changed."""
        self._pending = False  # before the reading is taken: a change from now on marks it again
        if self.connected:
            self.shared.post(self._value(self.record.reading))
            self._server.updates += 1

    def silence(self) -> None:
        self.connected = False
        self.record.unlisten(self.changed)

    def onFirstConnect(self, _: SharedPV) -> None:  # p4p calls it so
        # In p4p's thread, before the client's first request is looked at: that one finds the newest value.
        self._facts = None
        reading = self.record.reading
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
        outcome = put.done if _waits(operation) else put.accepted
        outcome.add_done_callback(lambda future: self._server.enqueue(lambda: _answer(operation, future)))

    def rpc(self, _: SharedPV, operation: Any) -> None:
        call = self._server.gate.call(self.record, _arguments(operation.value()), _client(operation))
        call.done.add_done_callback(lambda future: self._server.enqueue(lambda: self._answer_call(operation, future)))

    def _answer_call(self, operation: Any, outcome: Future[Any]) -> None:
        if outcome.exception() is not None:
            _answer(operation, outcome)
            return
        assert self.record.result is not None
        result = Reading(outcome.result(), time.time_ns())
        operation.done(normative_value(self.record.result, result, number=0, with_facts=True))

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
        self._count += 1
        return normative_value(self.record, reading, number=self._count, with_facts=changed)


def _arguments(value: Value) -> dict[str, Any]:
    """The arguments of a call: the query of an NTURI, or the fields of any other structure."""
    if value.type() is None:
        return {}
    given = value.todict()
    query = given.get("query", {}) if value.getID().startswith("epics:nt/NTURI:") else given
    return dict(query)


def _client(operation: Any) -> Client:
    host, _, port = operation.peer().rpartition(":")
    return Client("pva", host.strip("[]"), int(port or 0), "", operation.account())


def _waits(operation: Any) -> bool:
    """Whether the client asked to be answered at the end: ``record[block=true]``."""
    options = operation.pvRequest().get("record._options.block")
    return str(options).lower() in ("true", "1", "yes")


def _answer(operation: Any, outcome: Future[None]) -> None:
    error = outcome.exception()
    operation.done(error=None if error is None else f"{reason(error)}: {error}")


def _demand_free(bind: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((bind, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise _taken(bind, port) from error
            text = f"TCP port {port} on {bind} cannot be had ({error.strerror})"
            raise ConfigurationError("PVAccess", [text]) from error


def _taken(bind: str, port: int) -> ConfigurationError:
    holder = f"{port_holder(port)} has it; end that, or choose another pva_port"
    return ConfigurationError("PVAccess", [f"TCP port {port} on {bind} cannot be had: {holder}"])
