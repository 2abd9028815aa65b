"""The PVAccess server: records as NTScalar, NTScalarArray, NTEnum and NTNDArray, through p4p.

A PV without a client costs a closed SharedPV; it is opened, with the newest Reading, when the first client comes.
Values are posted by one thread, for PVs that have a client only. The put handlers run in p4p's own threads and return
at once.
"""

from __future__ import annotations

import logging
import queue
import socket
import threading
from concurrent.futures import Future
from typing import Any

import numpy as np
from p4p import Type, Value
from p4p.nt import NTEnum, NTNDArray, NTScalar
from p4p.server import Server, StaticProvider
from p4p.server.raw import SharedPV

from devices.core.errors import BadValueError, ConfigurationError, reason
from servers.epics.access import Client
from servers.epics.dbr import labels_of
from servers.epics.gate import Gate
from servers.epics.records import Bounds, Facts, Kind, Reading, Record, Status
from servers.facility.port_check import port_holder

log = logging.getLogger(__name__)

CODES = {
    Kind.BOOL: "?", Kind.UINT8: "B", Kind.INT16: "h", Kind.UINT16: "H", Kind.INT32: "i", Kind.UINT32: "I",
    Kind.INT64: "l", Kind.UINT64: "L", Kind.FLOAT32: "f", Kind.FLOAT64: "d", Kind.STRING: "s", Kind.ENUM: "i",
}  # fmt: skip
# alarm_t.status of the normative types: 1 device, 2 driver, 3 record, 6 undefined.
ALARM_STATUS = {Status.NO_ALARM: 0, Status.READ: 1, Status.LINK: 2, Status.COMM: 2, Status.UDF: 6}
RECORD_STATUS = 3
MONO = 0  # areaDetector's ColorMode

_types: dict[str, Type] = {}


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
        self._due: queue.SimpleQueue[Pv | None] = queue.SimpleQueue()
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

    def enqueue(self, pv: Pv) -> None:
        self._due.put(pv)

    def _post(self) -> None:
        while (pv := self._due.get()) is not None:
            try:
                pv.post()
            except Exception:
                log.exception("PVAccess: %s cannot be posted", pv.record.name)


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
            self._server.enqueue(self)

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
        host, _, port = operation.peer().rpartition(":")
        client = Client("pva", host.strip("[]"), int(port or 0), "", operation.account())
        try:
            raw = self._asked(operation.value())
        except BadValueError as error:
            operation.done(error=f"{reason(error)}: {error}")
            return
        put = self._server.gate.put(self.record, raw, client)
        outcome = put.done if _waits(operation) else put.accepted
        outcome.add_done_callback(lambda future: _answer(operation, future))

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
        record = self.record
        seconds, nanoseconds = divmod(reading.timestamp_ns, 1_000_000_000)
        stamp = {"secondsPastEpoch": seconds, "nanoseconds": nanoseconds}
        alarm = reading.alarm
        content: dict[str, Any] = {
            "alarm": {
                "severity": int(alarm.severity),
                "status": ALARM_STATUS.get(alarm.status, RECORD_STATUS),
                "message": alarm.message,
            },
            "timeStamp": stamp,
        }
        if record.rank == 2:
            self._count = (self._count + 1) % (1 << 31)
            content |= _frame(reading.value) | {"dataTimeStamp": stamp, "uniqueId": self._count}
        elif record.kind is Kind.ENUM and record.rank == 0:
            content["value"] = {"index": int(reading.value)}
        else:
            content["value"] = list(reading.value) if record.kind is Kind.STRING and record.rank else reading.value
        if record.facts is not self._facts:
            self._facts = record.facts
            _add_facts(content, record)
        return Value(_type_of(record), content)


def _waits(operation: Any) -> bool:
    """Whether the client asked to be answered at the end: ``record[block=true]``."""
    options = operation.pvRequest().get("record._options.block")
    return str(options).lower() in ("true", "1", "yes")


def _answer(operation: Any, outcome: Future[None]) -> None:
    error = outcome.exception()
    operation.done(error=None if error is None else f"{reason(error)}: {error}")


def _type_of(record: Record) -> Type:
    """The normative type of a record; records of one kind share one object."""
    if record.rank == 2:
        return _shared_type("image")
    if record.kind is Kind.ENUM and record.rank == 0:
        return _shared_type("enum")
    return _shared_type(("a" if record.rank else "") + CODES[record.kind])


def _shared_type(code: str) -> Type:
    if code not in _types:
        if code == "image":
            _types[code] = NTNDArray.buildType()
        elif code == "enum":
            _types[code] = NTEnum.buildType(extra=[("display", ("S", None, [("description", "s")]))])
        else:
            _types[code] = NTScalar.buildType(code, display=True, control=True, valueAlarm=True, form=True)
    return _types[code]


def _frame(image: np.ndarray[Any, Any]) -> dict[str, Any]:
    """An image (rows, columns) as an NTNDArray has it: dimension 0 is the columns."""
    image = image.astype("B") if image.dtype == bool else image
    rows, columns = image.shape
    sizes = [{"size": n, "offset": 0, "fullSize": n, "binning": 1, "reverse": False} for n in (columns, rows)]
    return {
        "value": (NTNDArray._code2u[image.dtype.char.replace("q", "l").replace("Q", "L")], image.ravel()),
        "dimension": sizes,
        "compressedSize": image.nbytes,
        "uncompressedSize": image.nbytes,
        "attribute": [{"name": "ColorMode", "value": MONO}],
    }


def _add_facts(content: dict[str, Any], record: Record) -> None:
    facts = record.facts
    if record.rank == 2:
        return
    if record.kind is Kind.ENUM and record.rank == 0:
        content["value"]["choices"] = list(labels_of(record))
        content["display"] = {"description": facts.description}
        return
    content["display"] = {"description": facts.description, "units": facts.unit}
    if not record.kind.is_number:
        return
    low, high = _pair(facts.limits, record, 0)
    content["display"] |= {"limitLow": low, "limitHigh": high, "precision": facts.precision or 0}
    if record.handler is not None:
        content["control"] = {"limitLow": low, "limitHigh": high}
    content["valueAlarm"] = _value_alarm(facts, record)


def _value_alarm(facts: Facts, record: Record) -> dict[str, Any]:
    unset = float("nan") if record.kind.is_float else 0
    low_alarm, high_alarm = _pair(facts.alarm, record, unset)
    low_warning, high_warning = _pair(facts.warning, record, unset)
    return {
        "active": facts.alarm != (None, None) or facts.warning != (None, None),
        "lowAlarmLimit": low_alarm,
        "highAlarmLimit": high_alarm,
        "lowWarningLimit": low_warning,
        "highWarningLimit": high_warning,
        "lowAlarmSeverity": 2 * (facts.alarm[0] is not None),
        "highAlarmSeverity": 2 * (facts.alarm[1] is not None),
        "lowWarningSeverity": 1 * (facts.warning[0] is not None),
        "highWarningSeverity": 1 * (facts.warning[1] is not None),
        "hysteresis": facts.hysteresis,
    }


def _pair(bounds: Bounds, record: Record, unset: float) -> tuple[float, float]:
    number = float if record.kind.is_float else int
    low, high = (number(unset if bound is None else bound) for bound in bounds)
    return low, high


def _demand_free(bind: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((bind, port))
        except OSError as error:
            raise _taken(bind, port) from error


def _taken(bind: str, port: int) -> ConfigurationError:
    holder = f"{port_holder(port)} has it; end that, or choose another pva_port"
    return ConfigurationError("PVAccess", [f"TCP port {port} on {bind} cannot be had: {holder}"])
