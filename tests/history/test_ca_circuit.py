"""Servers that are no good: the recorder says so once, and has the values as soon as there is a good one."""

from __future__ import annotations

import logging
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from servers.history import ca_circuit
from tests.epics.mirroring import free_port
from tests.facility.running import wait_for
from tests.history.recording import Recording, pv

HEADER = ">HHHHII"
VERSION = struct.pack(HEADER, 0, 0, 0, 13, 0, 0)
ECHO = struct.pack(HEADER, 23, 0, 0, 0, 0, 0)


def created(number: int, sid: int) -> bytes:
    rights = struct.pack(HEADER, 22, 0, 0, 0, number, 1)
    return rights + struct.pack(HEADER, 18, 0, 6, 1, number, sid)


def update(number: int, value: float) -> bytes:
    return struct.pack(HEADER, 1, 24, 20, 1, 1, number) + struct.pack(">HHIIId", 0, 0, 1_164_110_400, 0, 0, value)


def requests(connection: socket.socket) -> Iterator[tuple[int, int, int, bytes]]:
    """Command, both parameters and text of each message of the recorder, until it hangs up."""
    with closing(connection), connection.makefile("rb") as stream, suppress(ConnectionError):
        while len(head := stream.read(16)) == 16:
            command, size, _, _, first, second = struct.unpack(HEADER, head)
            yield command, first, second, stream.read(size).rstrip(b"\0")


def good(connection: socket.socket) -> None:
    """Serves 77.5 under any name, until it is asked no more."""
    connection.sendall(VERSION)
    for command, first, second, _ in requests(connection):
        if command == 18:
            connection.sendall(created(first, first + 1000))
        elif command == 1:
            connection.sendall(update(second, 77.5))
        elif command == 23:
            connection.sendall(ECHO)


def garbage(connection: socket.socket) -> None:
    with closing(connection):
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nServer: something else\r\n\r\n")


def half_a_message(connection: socket.socket) -> None:
    connection.sendall(VERSION)
    for command, first, second, _ in requests(connection):
        if command == 18:
            connection.sendall(created(first, 1))
        elif command == 1:
            connection.sendall(update(second, 4.2)[:27])
            return


def enormous(connection: socket.socket) -> None:
    with closing(connection):
        connection.sendall(struct.pack(HEADER + "II", 1, 0xFFFF, 20, 0, 1, 1, 1 << 31, 1 << 28))


@contextmanager
def serving(*turns: Callable[[socket.socket], None], port: int = 0) -> Iterator[int]:
    """Servers one after another, one for each connection; the last one for all that follow."""
    left, connections = list(turns), list[socket.socket]()
    with socket.create_server(("127.0.0.1", port)) as listening:

        def serve() -> None:
            with suppress(OSError):  # closed
                while True:
                    connection, _ = listening.accept()
                    connections.append(connection)
                    turn = left.pop(0) if len(left) > 1 else left[0]
                    with suppress(ConnectionError):
                        turn(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            for each in (listening, *connections):
                with suppress(OSError):  # closed before
                    each.shutdown(socket.SHUT_RDWR)
    thread.join(10.0)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ca_circuit, "BACK_OFF_S", (0.01, 0.02))
    monkeypatch.setattr(ca_circuit, "QUIET_S", 1.0)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (garbage, "no message of Channel Access: 4854 5450"),
        (enormous, "no message of Channel Access: 0001 ffff"),
        (lambda connection: connection.close(), "hung up|reset"),
    ],
)
def test_a_server_that_is_none_is_told_once_and_left_until_there_is_a_good_one(
    bad: Callable[[socket.socket], None], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO, "servers.history"),
        serving(bad, bad, bad, good) as port,
        Recording(port) as recording,
    ):
        recording.follow([pv("T1"), pv("T2")])
        for name in ("T1", "T2"):
            assert recording.until(name, lambda newest: newest.is_connected, "a value").value == 77.5
    first, *others = [record.getMessage() for record in caplog.records]
    assert first.startswith(f"Channel Access 127.0.0.1:{port}: ")
    assert re.search(reason, first)
    assert others == [f"Channel Access 127.0.0.1:{port}: connected again"]
    assert {sample.value for sample in recording.samples} == {77.5}


def test_half_a_message_is_no_value() -> None:
    with serving(half_a_message, half_a_message, good) as port, Recording(port) as recording:
        recording.follow([pv("T1")])
        recording.until("T1", lambda newest: newest.is_connected, "a value")
        assert [sample.value for sample in recording.of("T1")] == [77.5]


def test_who_answers_is_not_left_however_long_nothing_changes(caplog: pytest.LogCaptureFixture) -> None:
    asked = 0

    def patient(connection: socket.socket) -> None:
        nonlocal asked
        connection.sendall(VERSION)
        for command, first, second, _ in requests(connection):
            if command == 18:
                connection.sendall(created(first, 1))
            elif command == 1:
                connection.sendall(update(second, 4.2))
            elif command == 23:
                asked += 1
                connection.sendall(ECHO)

    with serving(patient) as port, Recording(port) as recording:
        recording.follow([pv("T1")])
        wait_for(lambda: recording.of("T1") and asked >= 2, 20.0, "two questions whether it lives")
        assert [sample.is_connected for sample in recording.of("T1")] == [True]
    assert not caplog.records


def test_a_server_that_answers_no_more_is_a_gap(caplog: pytest.LogCaptureFixture) -> None:
    def hanging(connection: socket.socket) -> None:
        for command, first, second, _ in requests(connection):
            if command == 18:
                connection.sendall(created(first, 1))
            elif command == 1:
                connection.sendall(update(second, 4.2))

    with serving(hanging) as port, Recording(port) as recording:
        recording.follow([pv("T1")])
        recording.until("T1", lambda newest: newest.is_connected, "a value")
        recording.until("T1", lambda newest: not newest.is_connected, "a gap")
        recording.until("T1", lambda newest: newest.is_connected, "a value of the next connection")
    assert "no answer within 1 s" in caplog.records[0].getMessage()


def test_a_pv_that_is_refused_is_sought_and_asked_for_again_while_others_are_recorded() -> None:
    sought: list[bytes] = []

    def without_t2(connection: socket.socket) -> None:
        connection.sendall(VERSION)
        for command, first, second, text in requests(connection):
            if command == 18 and text == b"T2" and len(sought) < 3:
                connection.sendall(struct.pack(HEADER, 26, 0, 0, 0, first, 0))
            elif command == 6:
                sought.append(text)
                connection.sendall(struct.pack(HEADER, 14, 0, 10, 13, first, first))
            elif command == 18:
                connection.sendall(created(first, first))
            elif command == 1:
                connection.sendall(update(second, float(second)))
            elif command == 23:
                connection.sendall(ECHO)

    with serving(without_t2) as port, Recording(port) as recording:
        recording.follow([pv("T1"), pv("T2")])
        assert recording.until("T1", lambda newest: newest.is_connected, "a value").value == 1.0
        assert recording.until("T2", lambda newest: newest.is_connected, "a value after all").value == 2.0
        assert sought == [b"T2"] * 3
        assert len(recording.of("T1")) == 1


def test_nobody_is_asked_before_there_is_something_to_record() -> None:
    with serving(good) as port, Recording(port) as recording:
        recording.follow([pv("Name", "string")])
        for _ in range(3):
            recording.of("Name")
        assert recording.recorder.names == []
        recording.follow([pv("T1")])
        recording.until("T1", lambda newest: newest.is_connected, "a value")


def test_a_server_that_comes_later_is_found(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    with Recording(port) as recording:
        recording.follow([pv("T1")])
        wait_for(lambda: recording.of("T1") == [] and caplog.records, 10.0, "a line in the log")
        assert "onnection refused" in caplog.records[0].getMessage()
        with serving(good, port=port):
            recording.until("T1", lambda newest: newest.is_connected, "a value")


def test_ten_thousand_pvs_are_all_recorded_and_in_order() -> None:
    count = 10_000

    def many(connection: socket.socket) -> None:
        connection.sendall(VERSION)
        for command, first, second, _ in requests(connection):
            if command == 18:
                connection.sendall(created(first, first))
            elif command == 1:
                connection.sendall(update(second, float(second)) + update(second, second + 0.5))

    with serving(many) as port, Recording(port) as recording:
        recording.follow([pv(f"R{number}") for number in range(count)])

        def all_came() -> bool:
            recording.of("R0")
            return len(recording.samples) >= 2 * count

        wait_for(all_came, 60.0, "two values of each")
    values: dict[str, list[float]] = {}
    for sample in recording.samples:
        values.setdefault(sample.pv, []).append(sample.value)
    assert {name: found[:2] for name, found in values.items()} == {
        f"R{number}": [number + 1.0, number + 1.5] for number in range(count)
    }
