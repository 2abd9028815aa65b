from __future__ import annotations

import json
import math
import queue
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from p4p.client.thread import Context, RemoteError

from devices.core.errors import BusyError, ConfigurationError
from servers.epics.access import Access, Rule
from servers.epics.alarm import GOOD, Alarm, Severity, Status
from servers.epics.audit import Audit
from servers.epics.gate import Gate
from servers.epics.pva import PvAccess
from servers.epics.records import Facts, Kind, Put, Reading, Record
from tests.epics.mirroring import free_port, until

NS = 1_700_000_000_250_000_000
FACTS = Facts(
    unit="K", description="Cold finger", precision=3, limits=(0.0, 400.0), warning=(4.0, 310.0), alarm=(None, 350.0)
)


class Bench:
    """A PVAccess server with a few records, no Tango, and a client of it."""

    def __init__(self) -> None:
        self.puts: queue.SimpleQueue[Put] = queue.SimpleQueue()
        self.gate = Gate(Access(), Audit(None))
        self.server = PvAccess(self.gate, port=0, broadcast_port=free_port())
        labels = tuple(f"position {number}" for number in range(20))
        made = [
            Record("T", Kind.FLOAT64, facts=FACTS),
            Record("S", Kind.FLOAT64, facts=FACTS, handler=self.puts.put),
            Record("E", Kind.ENUM, facts=Facts(labels=labels), handler=self.puts.put),
            Record("N", Kind.STRING, handler=self.puts.put),
            Record("W", Kind.FLOAT32, rank=1, max_length=500, facts=FACTS, handler=self.puts.put),
            Record("L", Kind.STRING, rank=1, max_length=5, handler=self.puts.put),
            Record("GO", Kind.INT32, value=0, handler=self.puts.put, takes_anything=True),
            Record("I", Kind.UINT16, rank=2, max_length=1_000_000),
        ]
        self.records = {record.name: record for record in made}
        for record in made:
            self.server.add(record)
        self.server.start()
        self.server.open()
        conf = {
            "EPICS_PVA_ADDR_LIST": "127.0.0.1",
            "EPICS_PVA_AUTO_ADDR_LIST": "NO",
            "EPICS_PVA_NAME_SERVERS": f"127.0.0.1:{self.server.port}",
            "EPICS_PVA_BROADCAST_PORT": str(self.server.broadcast_port),
        }
        self.client = Context("pva", conf=conf, useenv=False, nt=False)

    def publish(self, name: str, value: Any, alarm: Alarm = GOOD) -> None:
        self.records[name].publish(Reading(value, NS, alarm))

    def close(self) -> None:
        self.client.close()
        self.server.stop()


@pytest.fixture
def bench() -> Iterator[Bench]:
    running = Bench()
    try:
        yield running
    finally:
        running.close()


def test_a_value_comes_with_its_time_severity_unit_and_bounds(bench: Bench) -> None:
    bench.publish("T", 320.5, Alarm(Severity.MINOR, Status.HIGH, "HIGH"))
    value = bench.client.get("T")
    assert value.value == 320.5
    assert (value.alarm.severity, value.alarm.message) == (1, "HIGH")
    assert value.timeStamp.secondsPastEpoch * 10**9 + value.timeStamp.nanoseconds == NS
    assert (value.display.units, value.display.description, value.display.precision) == ("K", "Cold finger", 3)
    assert (value.display.limitLow, value.display.limitHigh) == (0.0, 400.0)
    bounds = value.valueAlarm
    assert (bounds.active, bounds.lowWarningLimit, bounds.highWarningLimit) == (True, 4.0, 310.0)
    assert (bounds.highAlarmLimit, bounds.highAlarmSeverity, bounds.lowAlarmSeverity) == (350.0, 2, 0)
    assert math.isnan(bounds.lowAlarmLimit)
    assert bench.client.get("S").control.limitHigh == 400.0


def test_the_first_get_of_a_second_client_is_not_an_old_value(bench: Bench) -> None:
    bench.publish("T", 77.0)
    assert bench.client.get("T").value == 77.0
    bench.client.disconnect("T")
    until(lambda: not bench.server.clients, "the channel is closed")
    bench.publish("T", 78.0)
    assert bench.client.get("T").value == 78.0


def test_each_kind_keeps_its_type(bench: Bench) -> None:
    numbers = {
        Kind.UINT8: 250, Kind.INT16: -32000, Kind.UINT16: 65000, Kind.INT32: -(2**31), Kind.UINT32: 2**32 - 1,
        Kind.INT64: -(2**62) - 1, Kind.UINT64: 2**64 - 1, Kind.FLOAT32: 0.5, Kind.FLOAT64: 0.1,
    }  # fmt: skip
    for kind, value in numbers.items():
        bench.server.add(Record(f"{kind.value}", kind))
        bench.server.add(Record(f"{kind.value}s", kind, rank=1, max_length=9, value=np.array([value] * 3, kind.dtype)))
    for kind, value in numbers.items():
        shared = bench.server._pvs[kind.value].record
        shared.publish(Reading(value, NS))
        assert bench.client.get(kind.value).value == value
        array = bench.client.get(f"{kind.value}s").value
        assert array.tolist() == [value] * 3
        assert array.dtype == kind.dtype
    bench.server.add(Record("flag", Kind.BOOL, value=True))
    assert bench.client.get("flag").value is True
    bench.publish("N", "Grüße Ω")
    bench.publish("L", ("first", "x" * 100))
    assert bench.client.get("N").value == "Grüße Ω"
    assert bench.client.get("L").value == ["first", "x" * 100]


def test_an_enumeration_has_all_its_labels(bench: Bench) -> None:
    bench.publish("E", 17)
    value = bench.client.get("E").value
    assert value.index == 17
    assert (len(value.choices), value.choices[17]) == (20, "position 17")


def test_an_image_keeps_its_rows_and_columns(bench: Bench) -> None:
    frame = np.arange(24, dtype=np.uint16).reshape(4, 6)
    bench.publish("I", frame)
    client = Context("pva", conf=bench.client.conf(), useenv=False)
    try:
        got = client.get("I")
        assert got.shape == (4, 6)
        np.testing.assert_array_equal(got, frame)
        raw = got.raw
        assert [dimension.size for dimension in raw.dimension] == [6, 4]  # columns first
        assert (raw.uncompressedSize, got.attrib["ColorMode"]) == (48, 0)
        first = raw.uniqueId
        assert raw.dataTimeStamp.secondsPastEpoch == raw.timeStamp.secondsPastEpoch == NS // 10**9
        bench.publish("I", np.ones((2, 9), np.uint16))
        until(lambda: client.get("I").shape == (2, 9), "another size")
        assert client.get("I").raw.uniqueId != first
    finally:
        client.close()


def test_a_monitor_hears_every_change_and_the_final_value(bench: Bench) -> None:
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    subscription = bench.client.monitor("T", heard.put)
    assert heard.get(timeout=5).alarm.message == "no value yet"
    bench.publish("T", 77.0)
    value = heard.get(timeout=5)
    assert (value.value, value.display.units) == (77.0, "K")
    bench.records["T"].mark(Alarm(Severity.INVALID, Status.LINK, "gone"))
    gone = heard.get(timeout=5)
    assert (gone.value, gone.alarm.severity, gone.alarm.message) == (77.0, 3, "gone")
    assert gone.timeStamp.secondsPastEpoch == NS // 10**9
    bench.records["T"].configure(Facts(unit="K", alarm=(None, 300.0)))
    assert heard.get(timeout=5).valueAlarm.highAlarmLimit == 300.0
    for number in range(1, 20_001):
        bench.publish("T", float(number))
    last = 0.0
    while last != 20_000.0:
        last, before = heard.get(timeout=5).value, last
        assert last >= before
    subscription.close()


def test_a_waiting_put_ends_when_the_device_took_it(bench: Bench) -> None:
    done: list[float] = []

    def put() -> None:
        bench.client.put("S", {"value": 77.5}, wait=True)
        done.append(time.monotonic())

    thread = threading.Thread(target=put)
    thread.start()
    asked = bench.puts.get(timeout=5)
    assert asked.value == 77.5
    asked.accept()
    time.sleep(0.1)
    assert done == []
    asked.finish()
    thread.join(5)
    assert len(done) == 1


def test_a_plain_put_ends_when_it_was_begun(bench: Bench) -> None:
    thread = threading.Thread(target=lambda: bench.client.put("S", {"value": 77.5}))
    thread.start()
    bench.puts.get(timeout=5).accept()
    thread.join(5)
    assert not thread.is_alive()


def test_a_refused_put_fails_with_the_reason(bench: Bench) -> None:
    threading.Thread(target=lambda: bench.puts.get(timeout=5).finish(BusyError("S: an exposure is running"))).start()
    with pytest.raises(RemoteError, match="BusyError: S: an exposure is running"):
        bench.client.put("S", {"value": 1.0}, wait=True)
    with pytest.raises(RemoteError, match="NotAllowedError: T is read-only"):
        bench.client.put("T", {"value": 1.0})
    with pytest.raises(RemoteError, match=r"RangeError: E = 20 is outside 0 \.\. 19"):
        bench.client.put("E", {"value.index": 20})
    bench.gate.access.rules = (Rule(network="10.0.0.0/8"),)
    with pytest.raises(RemoteError, match=r"NotAllowedError: S .* 127\.0\.0\.1"):
        bench.client.put("S", {"value": 1.0})


@pytest.mark.parametrize(
    ("name", "put", "value"),
    [
        ("E", {"value.index": 3}, 3),
        ("N", {"value": "x" * 4000}, "x" * 4000),
        ("W", {"value": np.array([1.5, 2.5])}, [1.5, 2.5]),
        ("L", {"value": ["a", "b"]}, ["a", "b"]),
        ("GO", {"value": 1}, 1),
    ],
)
def test_any_type_can_be_put(bench: Bench, name: str, put: dict[str, Any], value: Any) -> None:
    thread = threading.Thread(target=lambda: bench.client.put(name, put, wait=True))
    thread.start()
    asked = bench.puts.get(timeout=5)
    found = asked.value.tolist() if isinstance(asked.value, np.ndarray) else asked.value
    asked.finish()
    thread.join(5)
    assert found == value


def test_a_removed_record_disconnects_its_clients_and_can_come_back(bench: Bench) -> None:
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    subscription = bench.client.monitor("T", heard.put, notify_disconnect=True)
    until(lambda: not isinstance(heard.get(timeout=5), Exception), "the first value")
    bench.server.remove(["T"])
    until(lambda: isinstance(heard.get(timeout=5), Exception), "it is gone")
    bench.server.add(Record("T", Kind.INT32, value=7))
    until(lambda: getattr(heard.get(timeout=20), "value", None) == 7, "it is back", 20)
    subscription.close()


def test_a_pv_without_a_client_is_not_converted(bench: Bench) -> None:
    for number in range(1000):
        bench.publish("T", float(number))
    assert bench.server.updates == 0
    assert bench.client.get("T").value == 999.0


def test_a_taken_port_is_refused_with_who_has_it(bench: Bench) -> None:
    second = PvAccess(bench.gate, port=bench.server.port, broadcast_port=bench.server.broadcast_port)
    with pytest.raises(ConfigurationError, match=rf"port {bench.server.port} .* pid \d+ .*pva_port"):
        second.start()
    second.stop()


def test_a_clean_stop_leaves_no_port_and_no_thread() -> None:
    bench = Bench()
    bench.client.get("T")
    bench.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "epics-pva"]
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", bench.server.port))
    bench.publish("T", 1.0)  # what still publishes is not disturbed
    bench.close()


def test_a_client_that_acts_for_a_person_names_it_and_where_it_is(bench: Bench, tmp_path: Path) -> None:
    audit = bench.gate.audit = Audit(tmp_path / "audit.jsonl")
    bench.gate.access.rules = (Rule(user="anna"),)
    asked = "record[person=anna,address=10.1.2.3]"
    done = threading.Thread(target=lambda: bench.client.put("S", 3.5, request=asked))
    done.start()
    bench.puts.get(timeout=5.0).finish()
    done.join(5.0)
    (line,) = [json.loads(text) for text in (tmp_path / "audit.jsonl").read_text().splitlines() if '"done"' in text]
    assert (line["claimed_user"], line["claimed_host"], line["new"]) == ("anna", "10.1.2.3", 3.5)
    assert line["peer"].startswith("127.0.0.1:"), "the program that wrote for her"
    with pytest.raises(RemoteError, match="no access rule lets"):
        bench.client.put("S", 4.5, request="record[person=bert]")
    audit.close()
