from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import caproto as ca
import numpy as np
import pytest
from caproto import AccessRights, ChannelType
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.core.errors import BusyError, ConfigurationError
from servers.epics.access import Access, Client, Rule
from servers.epics.alarm import Alarm, Severity, Status
from servers.epics.audit import Audit
from servers.epics.ca import ChannelAccess
from servers.epics.gate import Gate
from servers.epics.records import Facts, Kind, Record
from tests.epics.ca_bench import NS, Bench
from tests.epics.mirroring import until
from tests.epics.raw_client import RawClient


@pytest.fixture
def bench() -> Iterator[Bench]:
    running = Bench()
    try:
        yield running
    finally:
        running.server.stop()


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Bench, RawClient]]:
    """A server and a client for all examples of one test."""
    running = Bench()
    with RawClient(running.server.port) as client:
        yield running, client
    running.server.stop()


def test_a_value_comes_with_its_time_severity_unit_and_bounds(bench: Bench) -> None:
    bench.publish("T", 320.5, Alarm(Severity.MINOR, Status.HIGH))
    with RawClient(bench.server.port) as client:
        channel = client.channel("T")
        timed = client.read(channel, ChannelType.TIME_DOUBLE)
        assert timed.data[0] == 320.5
        stamp = timed.metadata.stamp
        assert ((stamp.secondsSinceEpoch + 631_152_000) * 10**9 + stamp.nanoSeconds) == NS
        assert (timed.metadata.severity, timed.metadata.status) == (Severity.MINOR, Status.HIGH)
        shown = client.read(channel, ChannelType.CTRL_DOUBLE).metadata
        assert (shown.units, shown.precision) == (b"K", 3)
        assert (shown.lower_disp_limit, shown.upper_disp_limit) == (0.0, 400.0)
        assert (shown.lower_alarm_limit, shown.lower_warning_limit) == (2.0, 4.0)
        assert (shown.upper_warning_limit, shown.upper_alarm_limit) == (310.0, 350.0)
        assert (shown.lower_ctrl_limit, shown.upper_ctrl_limit) == (0.0, 0.0)  # nobody may write it
        assert client.read("S", ChannelType.CTRL_DOUBLE).metadata.upper_ctrl_limit == 400.0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("T.VAL", 77.0), ("T.NAME", b"T"), ("T.RTYP", b"ai"), ("T.DESC", b"Cold finger"), ("T.EGU", b"K"),
        ("T.PREC", 3), ("T.HOPR", 400.0), ("T.LOPR", 0.0), ("T.HIHI", 350.0), ("T.HIGH", 310.0), ("T.LOW", 4.0),
        ("T.LOLO", 2.0), ("T.HHSV", 2), ("T.HSV", 1), ("T.LSV", 1), ("T.LLSV", 2), ("T.STAT", b"LINK"),
        ("T.SEVR", 3), ("T.UDF", 0), ("T.DISP", 1), ("S.DISP", 0), ("S.RTYP", b"ao"), ("S.DRVH", 400.0),
        ("S.DRVL", 0.0), ("W.NELM", 500), ("W.NORD", 3), ("W.FTVL", b"FLOAT"), ("B.ZNAM", b"Off"), ("B.ONAM", b"On"),
        ("E.ZRST", b"open"), ("E.TWST", b"blue"), ("E.THST", b""), ("T.HYST", 0.0), ("T.PROC", 0),
    ],
)  # fmt: skip
def test_a_record_has_the_fields_of_an_ioc(bench: Bench, field: str, value: Any) -> None:
    bench.publish("T", 77.0, Alarm(Severity.INVALID, Status.LINK, "gone"))
    bench.publish("W", np.arange(3, dtype=np.float32))
    with RawClient(bench.server.port) as client:
        assert client.read(field).data[0] == value


def test_fields_cannot_be_written(bench: Bench) -> None:
    with RawClient(bench.server.port) as client:
        channel = client.channel("S.HIHI")
        assert channel.access_rights == AccessRights.READ
        answer = client.put(channel, [5.0])
        assert b"S.HIHI is read-only" in bytes(answer.error_message)


def test_text_is_whole_whatever_its_length(bench: Bench) -> None:
    text = "/data/2026/saxs/ägbh/" + "x" * 130
    bench.publish("N", text)
    with RawClient(bench.server.port) as client:
        channel = client.channel("N")
        assert (channel.native_data_type, channel.native_data_count) == (ChannelType.CHAR, 400)  # bytes of UTF-8
        assert client.read(channel).data.tobytes().decode() == text
        assert client.read("N$").data.tobytes().decode() == text
        assert client.read("N.VAL$").data.tobytes().decode() == text
        assert client.read(channel, ChannelType.STRING).data[0].decode() == text.encode()[:39].decode()
        bench.publish("N", "")
        assert client.read(channel).data.tobytes() == b"\0"  # an update without elements means something else


def test_short_text_is_a_string_and_never_overruns_it(bench: Bench) -> None:
    bench.publish("SHORT", "y" * 60)
    with RawClient(bench.server.port) as client:
        channel = client.channel("SHORT")
        assert channel.native_data_type == ChannelType.STRING
        answer = client.read(channel)
        assert (answer.payload_size, answer.data[0]) == (40, b"y" * 39)
        assert client.read("SHORT$").data.tobytes() == b"y" * 60


def test_arrays_have_their_true_length(bench: Bench) -> None:
    bench.publish("W", np.array([0.5, 1.5, 2.5], np.float32))
    bench.publish("L", ("first", "zweites Öl"))
    bench.publish("I", np.arange(12, dtype=np.uint16).reshape(3, 4))
    with RawClient(bench.server.port) as client:
        assert client.read("W").data.tolist() == [0.5, 1.5, 2.5]
        assert client.read("W", count=2).data.tolist() == [0.5, 1.5]
        assert [text.decode() for text in client.read("L").data] == ["first", "zweites Öl"]
        assert client.read("I").data.tolist() == list(range(12))
        with pytest.raises(LookupError):
            client.channel("BIG")  # over the limit for images


def test_a_monitor_hears_values_alarms_and_bounds_as_it_asked(bench: Bench) -> None:
    bench.publish("T", 77.0)
    with RawClient(bench.server.port) as values, RawClient(bench.server.port) as bounds:
        channel = values.channel("T")
        assert values.subscribe(channel, ChannelType.TIME_DOUBLE, mask=5).data[0] == 77.0
        assert bounds.subscribe(bounds.channel("T.HIHI")).data[0] == 350.0
        bench.publish("T", 78.0)
        assert values.update().data[0] == 78.0
        bench.records["T"].mark(Alarm(Severity.INVALID, Status.LINK, "gone"))
        gone = values.update()
        assert (gone.data[0], gone.metadata.status) == (78.0, Status.LINK)
        bench.records["T"].configure(Facts(unit="K", alarm=(2.0, 300.0)))
        assert bounds.update().data[0] == 300.0
        assert values.unread == bounds.unread == []


def test_a_put_is_answered_when_the_device_took_it(bench: Bench) -> None:
    with RawClient(bench.server.port) as client:
        channel = client.channel("S")
        client.send(channel.write([77.5], notify=True))
        until(lambda: bench.puts, "the put arrives")
        with pytest.raises(TimeoutError):
            client.socket.settimeout(0.2)
            client.wait_for(ca.WriteNotifyResponse)
        client.socket.settimeout(5.0)
        assert bench.puts[0].value == 77.5
        assert client.read("T").data is not None  # other requests are not held up
        bench.puts[0].finish()
        assert client.wait_for(ca.WriteNotifyResponse).status.success


def test_a_put_may_be_text_a_label_or_another_number_type(bench: Bench) -> None:
    with RawClient(bench.server.port) as client:
        client.send(client.channel("S").write([b"77.25"], data_type=ChannelType.STRING))
        client.send(client.channel("S").write([3], data_type=ChannelType.INT))
        client.send(client.channel("E").write([b"blue"], data_type=ChannelType.STRING))
        client.send(client.channel("E").write([1], data_type=ChannelType.ENUM))
        client.send(client.channel("N").write("größer".encode() + b"\0rest", data_type=ChannelType.CHAR))
        client.send(client.channel("N").write([b"short"], data_type=ChannelType.STRING))
        client.send(client.channel("W").write([1.5, 2.5], data_type=ChannelType.DOUBLE))
        until(lambda: len(bench.puts) == 7, "all puts arrive")
    values = [put.value.tolist() if isinstance(put.value, np.ndarray) else put.value for put in bench.puts]
    assert values == [77.25, 3.0, 2, 1, "größer", "short", [1.5, 2.5]]


def test_a_refused_put_fails_with_the_reason(bench: Bench) -> None:
    with RawClient(bench.server.port) as client:
        channel = client.channel("S")
        client.send(channel.write([1.0], notify=True))
        until(lambda: bench.puts, "the put arrives")
        bench.puts[0].finish(BusyError("S: an exposure is running"))
        answer = client.wait_for(ca.ErrorResponse)
        assert b"BusyError: S: an exposure is running" in bytes(answer.error_message)
        assert answer.status.name == "ECA_PUTFAIL"
        assert client.wait_for(ca.WriteNotifyResponse).status.name == "ECA_PUTFAIL"  # some clients look at this alone
        assert b"BadValueError" in bytes(client.put(channel, [b"warm"], ChannelType.STRING).error_message)
        # so does one without completion, as soon as it is refused
        client.send(channel.write([b"warm"], data_type=ChannelType.STRING))
        assert b"BadValueError" in bytes(client.wait_for(ca.ErrorResponse).error_message)


def test_a_client_that_may_not_write_is_told_before_it_tries(bench: Bench) -> None:
    bench.gate.access.rules = (Rule(user="bob"), Rule(level="operator"))
    with RawClient(bench.server.port, user="anna") as anna, RawClient(bench.server.port, user="bob") as bob:
        assert bob.channel("E").access_rights == AccessRights.READ | AccessRights.WRITE
        expert, operator = anna.channel("E"), anna.channel("S")
        assert expert.access_rights == AccessRights.READ
        assert operator.access_rights == AccessRights.READ | AccessRights.WRITE
        answer = anna.put(expert, [1], ChannelType.ENUM)
        assert answer.status.name == "ECA_NOWTACCESS"
        bench.gate.access.rules = (Rule(user="anna", pv="E"),)
        bench.server.refresh_rights()
        changes = [anna.wait_for(ca.AccessRightsResponse) for _ in range(2)]
        assert {change.cid: change.access_rights for change in changes} == {
            expert.cid: AccessRights.READ | AccessRights.WRITE,
            operator.cid: AccessRights.READ,
        }
    assert bench.puts == []


def test_a_slow_client_gets_the_last_value_and_costs_no_memory(bench: Bench) -> None:
    with RawClient(bench.server.port, receive_buffer=4096) as slow, RawClient(bench.server.port) as quick:
        slow.subscribe(slow.channel("STREAM"))
        quick.subscribe(quick.channel("T"))
        number = 0.0

        def stream() -> None:
            nonlocal number
            number += 1
            bench.publish("STREAM", np.full(20_000, number))  # 160 kB each

        until(
            lambda: (stream(), any(circuit._paused for circuit in bench.server.circuits))[1], "the client is too slow"
        )
        for _ in range(500):
            stream()
        bench.publish("T", number)
        assert quick.update(seconds=2.0).data[0] == number  # nobody else waits
        assert max(circuit.transport.get_write_buffer_size() for circuit in bench.server.circuits) < 4_000_000
        while slow.update().data[0] != number:
            pass


def test_events_off_holds_updates_back_until_events_on(bench: Bench) -> None:
    with RawClient(bench.server.port) as client:
        client.subscribe(client.channel("T"))
        client.send(ca.EventsOffRequest())
        client.read("S")  # it has been heard
        for kelvin in (1.0, 2.0, 3.0):
            bench.publish("T", kelvin)
        time.sleep(0.05)
        client.send(ca.EventsOnRequest())
        assert client.update().data[0] == 3.0
        client.read("S")
        assert client.unread == []


def test_unsubscribing_ends_the_updates_and_the_listening(bench: Bench) -> None:
    with RawClient(bench.server.port) as client:
        channel = client.channel("T")
        request = channel.subscribe(data_count=0)
        client.send(request)
        client.update()
        client.send(channel.unsubscribe(request.subscriptionid))
        client.wait_for(ca.EventCancelResponse, ca.EventAddResponse)
        bench.publish("T", 5.0)
        client.read("S")
        assert client.unread == []
        assert bench.records["T"]._listeners == ()
        client.subscribe(channel)
    until(lambda: bench.records["T"]._listeners == (), "a client that left is forgotten")


def test_a_removed_record_disconnects_its_channels_only(bench: Bench) -> None:
    with RawClient(bench.server.port) as client:
        gone, unit, stays = client.channel("T"), client.channel("T.EGU"), client.channel("S")
        client.subscribe(gone)
        del bench.records["T"]
        bench.server.remove(["T"])
        told = {client.wait_for(ca.ServerDisconnResponse).cid for _ in range(2)}
        assert told == {gone.cid, unit.cid}
        client.read(stays)
        with pytest.raises(LookupError):
            client.channel("T")
        bench.records["T"] = Record("T", Kind.INT32, value=7)
        assert client.read("T").data[0] == 7


def test_a_client_that_was_refused_may_ask_for_the_same_channel_again(bench: Bench) -> None:
    with RawClient(bench.server.port) as client:
        stays = client.channel("S")
        create = ca.ClientChannel("LATER", client.circuit, 4711).create()
        for _ in range(2):
            client.socket.sendall(bytes(create))
            head = client.socket.recv(16, socket.MSG_WAITALL)
            assert struct.unpack(">HHHHII", head) == (26, 0, 0, 0, 4711, 0)
        bench.records["LATER"] = Record("LATER", Kind.INT32, value=7)
        client.socket.sendall(bytes(create))
        head = client.socket.recv(32, socket.MSG_WAITALL)[16:]  # access rights come first
        assert struct.unpack(">HHHHI", head[:12]) == (18, 0, 5, 1, 4711)
        assert client.read(stays).data.size


def test_a_question_to_a_channel_that_was_just_disconnected_costs_no_other_channel(bench: Bench) -> None:
    bench.publish("T", 320.5)
    with RawClient(bench.server.port) as client:
        gone, stays = client.channel("T"), client.channel("S")
        bench.server.remove(["T"])
        assert client.wait_for(ca.ServerDisconnResponse).cid == gone.cid
        # As they would have been on their way: a read, a put, a subscription, its end, the end of the channel.
        for command, size in ((15, 0), (19, 8), (1, 16), (2, 0), (12, 0)):
            client.socket.sendall(struct.pack(">HHHHII", command, size, 6, 1, gone.sid, 7) + bytes(size))
        assert client.read(stays).data.size
        client.socket.sendall(struct.pack(">HHHHII", 15, 0, 6, 1, 99_999, 7))  # one that never was
        with pytest.raises(ConnectionError):
            client.read(stays)


def test_a_client_of_epics_base_finds_names_by_tcp_alone(bench: Bench) -> None:
    """As through a firewall that lets no UDP pass: EPICS_CA_NAME_SERVERS."""
    bench.publish("T", 320.5)
    nobody = {"EPICS_CA_AUTO_ADDR_LIST": "NO", "EPICS_CA_ADDR_LIST": "", "EPICS_CA_SERVER_PORT": "1"}
    others = {name: text for name, text in os.environ.items() if not name.startswith("EPICS_")}
    client = "import epics, os; print(epics.caget('T', connection_timeout=40.0), flush=True); os._exit(0)"
    done = subprocess.run(
        [sys.executable, "-c", client],
        env={**others, **nobody, "EPICS_CA_NAME_SERVERS": f"127.0.0.1:{bench.server.port}"},
        capture_output=True, text=True, check=False, timeout=60.0,
    )  # fmt: skip
    assert done.stdout.split() == ["320.5"], done.stderr


def test_a_client_of_epics_base_that_finds_names_by_tcp_finds_them_again_after_a_restart() -> None:
    """It asks again after 0.5, 1, 2, 4 s; without the server's version it would ask for nothing, for minutes."""
    first = Bench()
    first.publish("T", 320.5)
    nobody = {"EPICS_CA_AUTO_ADDR_LIST": "NO", "EPICS_CA_ADDR_LIST": "", "EPICS_CA_SERVER_PORT": "1"}
    environment = first.environment() | nobody | {"EPICS_CA_NAME_SERVERS": f"127.0.0.1:{first.server.port}"}
    told = "callback=lambda value, **_: print(value, flush=True)"
    script = f"import epics, sys; pv = epics.PV('T', {told}); sys.stdin.read()"
    client = subprocess.Popen(
        [sys.executable, "-c", script], env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    heard = Heard(client)
    try:
        heard.wait_for("320.5", 40.0)
        first.server.stop()
        second = ChannelAccess(first.gate, first.records.get, port=first.server.port)
        second.start()
        second.open()
        first.publish("T", 77.25)
        heard.wait_for("77.25", 30.0)
        second.stop()
    finally:
        client.kill()
        client.wait()


@pytest.mark.parametrize("message", [bytes(ca.ReadSyncRequest()), bytes(ca.EchoRequest())])
def test_the_version_comes_first_and_an_echo_comes_back(bench: Bench, message: bytes) -> None:
    with socket.create_connection(("127.0.0.1", bench.server.port), 5.0) as client:
        client.settimeout(5.0)
        assert received(client, 16) == bytes(ca.VersionResponse(13))
        client.sendall(bytes(ca.VersionRequest(priority=0, version=13)) + message)
        assert received(client, 32)[16:] == message


def received(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := connection.recv(size - len(data))):
        data += more
    return data


class Heard:
    """The lines that a program says."""

    def __init__(self, program: subprocess.Popen[str]) -> None:
        self._lines: list[str] = []
        self._program = program
        threading.Thread(target=self._read, daemon=True).start()

    def wait_for(self, line: str, seconds: float) -> None:
        until(lambda: line in self._lines, line, seconds)

    def _read(self) -> None:
        assert self._program.stdout is not None
        for line in self._program.stdout:
            self._lines.append(line.strip())


@pytest.mark.parametrize(
    "rubbish",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        bytes(reversed(range(256))),
        b"\x00\x04\xff\xff\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x7f\xff\xff\xff\x7f\xff\xff\xff",
        b"\x00\x0f\x00\x00\x00\x06\x00\x01\x00\x00\x00\x63\x00\x00\x00\x01",  # reads a channel that it never made
    ],
    ids=["http", "any bytes", "2 GB announced", "unknown channel"],
)
def test_rubbish_ends_its_own_connection_only(bench: Bench, rubbish: bytes) -> None:
    with RawClient(bench.server.port) as client, socket.create_connection(("127.0.0.1", bench.server.port)) as bad:
        bad.settimeout(5.0)
        bad.sendall(rubbish)
        with contextlib.suppress(ConnectionResetError):
            while bad.recv(4096):
                pass
        assert client.read("T.EGU").data[0] == b"K"


@settings(max_examples=40, deadline=None)
@given(
    messages=st.lists(
        st.tuples(
            st.integers(0, 28), st.integers(0, 64), st.integers(0, 40), st.integers(0, 5), st.binary(max_size=64)
        ),
        max_size=6,
    )
)
def test_no_message_whatever_harms_another_client(
    shared: tuple[Bench, RawClient], messages: list[tuple[int, int, int, int, bytes]]
) -> None:
    server, other = shared
    with socket.create_connection(("127.0.0.1", server.server.port)) as bad:
        for command, size, data_type, number, payload in messages:
            header = struct.pack(">HHHHII", command, size, data_type, 1, number, number)
            with contextlib.suppress(ConnectionError):
                bad.sendall(header + payload[:size].ljust(size, b"\0"))
        assert other.read("T.EGU").data[0] == b"K"


def test_rubbish_by_udp_is_ignored(bench: Bench) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(5.0)
        for rubbish in (b"", b"\x00", b"\xff" * 70, b"\x00\x06\x00\x20\x00\x05\x00\x0d" + b"\x00" * 8 + b"\xff" * 32):
            sender.sendto(rubbish, ("127.0.0.1", bench.server.port))
        broadcaster = ca.Broadcaster(ca.CLIENT)
        search = broadcaster.send(ca.VersionRequest(0, 13), ca.SearchRequest("T", 7, 13))
        sender.sendto(search, ("127.0.0.1", bench.server.port))
        answer = broadcaster.recv(sender.recv(4096), ("127.0.0.1", bench.server.port))
        assert [reply.port for reply in answer if isinstance(reply, ca.SearchResponse)] == [bench.server.port]


def test_a_server_tells_the_repeater_that_it_is_there() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as repeater:
        repeater.bind(("127.0.0.1", 0))
        repeater.settimeout(5.0)
        server = ChannelAccess(Gate(Access(), Audit(None)), {}.get, port=0, repeater_port=repeater.getsockname()[1])
        server.start()
        server.open()
        try:
            (beacon,) = ca.Broadcaster(ca.CLIENT).recv(repeater.recv(4096), ("127.0.0.1", 0))
            assert (beacon.server_port, beacon.address) == (server.port, "127.0.0.1")
        finally:
            server.stop()


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["TCP", "UDP"])
def test_a_taken_port_is_refused_with_who_has_it(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            holder.listen()
        port = holder.getsockname()[1]
        server = ChannelAccess(Gate(Access(), Audit(None)), {}.get, port=port)
        with pytest.raises(ConfigurationError, match=rf"port {port} .* pid \d+ .*ca_port"):
            server.start()


def test_a_clean_stop_leaves_no_port_and_no_thread() -> None:
    before = set(threading.enumerate())
    bench = Bench()
    port = bench.server.port
    with RawClient(port) as client:
        client.subscribe(client.channel("T"))
        bench.server.stop()
        with pytest.raises(OSError):
            client.wait_for(ca.EventAddResponse)
    assert set(threading.enumerate()) == before
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", port))
    bench.publish("T", 1.0)  # what still publishes is not disturbed
    assert bench.gate.put(bench.records["S"], 1.0, Client("ca", "127.0.0.1")) is not None
