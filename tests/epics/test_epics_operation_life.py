"""Operations of a camera that outlive timeouts, clients, servers and the mirror itself."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import caproto as ca
import pytest
from caproto import ChannelType
from p4p.client.thread import Context, RemoteError
from p4p.nt import NTURI

from servers.epics.circuit import Circuit
from servers.epics.configuration import MirroredDevice
from servers.epics.mirror import Mirror
from servers.epics.readings import Readings
from servers.epics.records import Put
from tests.epics.mirroring import config_of, environment, mirror, pva_conf, until, until_equal
from tests.epics.raw_client import RawClient
from tests.support.serving import ROOT, Server, serving

SAVE = NTURI([("seconds", "d")])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with serving("tests.support.camera:Camera", "test/camera/1", {"pv_prefix": "CCD9:"}, folder=folder) as running:
        yield running


@pytest.fixture(scope="module")
def mirrored(server: Server) -> Iterator[Mirror]:
    with mirror(config_of((MirroredDevice(server.address),))) as running:
        yield running


def status(channels: RawClient, pv: str) -> str:
    return channels.read(f"{pv}:Status", ChannelType.STRING).data[0].decode()


def text(channels: RawClient, pv: str) -> str:
    return channels.read(pv).data.tobytes().decode().rstrip("\0")


def begin(channels: RawClient, pv: str, data: Any) -> Any:
    """Put with completion and do not wait; returns the request."""
    request = channels.channel(pv).write(data, notify=True)
    channels.send(request)
    return request


def begin_exposure(channels: RawClient, seconds: float) -> None:
    channels.put("CCD9:Expose:Seconds", [seconds])
    begin(channels, "CCD9:Expose", b"1")


def watchers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("epics-follow")]


def last_for(seconds: float, server: Server, mirrored: Mirror) -> None:
    """Save for so long by three ways at once: a put over CA, a put over PVA, a call; each ends when the work does."""
    context = Context("pva", conf=pva_conf(mirrored), useenv=False, nt=False)
    took: dict[str, float] = {}

    def timed(way: str, work: Callable[[], Any]) -> threading.Thread:
        def run() -> None:
            begun = time.monotonic()
            work()
            took[way] = time.monotonic() - begun

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    with RawClient(mirrored.ca.port) as client:
        client.socket.settimeout(seconds + 10)

        def over_ca() -> None:
            answer = client.put("CCD9:Save", [seconds], seconds=seconds + 10)
            assert answer.status.success, answer

        script = (
            "import epics; pv = epics.PV('CCD9:Save'); pv.wait_for_connection(5);"
            f"assert pv.put({seconds}, wait=True, timeout={seconds + 10}) == 1"
        )
        libca = subprocess.Popen([sys.executable, "-c", script], env=environment(mirrored))
        uri = SAVE.wrap("CCD9:Save", kws={"seconds": seconds})
        threads = [
            timed("CA", over_ca),
            timed("PVA", lambda: context.put("CCD9:Save", seconds, wait=True, timeout=seconds + 10)),
            timed("RPC", lambda: context.rpc("CCD9:Save", uri, timeout=seconds + 10)),
        ]
        for thread in threads:
            thread.join(seconds + 20)
        assert libca.wait(20) == 0
    context.close()
    assert sorted(took) == ["CA", "PVA", "RPC"]
    assert min(took.values()) >= seconds
    assert json.loads(server.proxy().operations())[0]["state"] == "DONE"


@pytest.mark.long
def test_no_put_ends_before_its_operation_however_long_that_takes(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """13 s is longer than what Tango, PyTango and the device give a call (3, 10 and 2.5 s); every time limit of the
    mirror itself is a fiftieth, so to the mirror it is as if it were 650 s."""
    mirror_modules = [module for name, module in sys.modules.items() if name.startswith("servers.epics.")]
    scaled = {
        (module, name)
        for module in mirror_modules
        for name, value in vars(module).items()
        if name.isupper() and name.endswith(("PERIOD", "PATIENCE", "_TIME")) and isinstance(value, float)
    }
    for module, name in scaled:
        monkeypatch.setattr(module, name, getattr(module, name) / 50)
    assert {name for _, name in scaled} >= {"ASK_PERIOD", "PATIENCE", "REFUSED_PATIENCE", "PING_PERIOD", "SETTLE_TIME"}
    with mirror(config_of((MirroredDevice(server.address),))) as mirrored:
        last_for(13.0, server, mirrored)


@pytest.mark.slow
@pytest.mark.timeout(700)
def test_an_operation_of_ten_minutes_completes_its_puts(server: Server, mirrored: Mirror) -> None:
    last_for(605.0, server, mirrored)


def test_an_operation_that_waits_for_its_turn_is_queued(mirrored: Mirror, channels: RawClient) -> None:
    begin_exposure(channels, 0.8)
    until(lambda: status(channels, "CCD9:Expose") == "RUNNING")
    with RawClient(mirrored.ca.port) as first, RawClient(mirrored.ca.port) as second:
        begin(first, "CCD9:ReadOut", [1.0])
        until(lambda: status(channels, "CCD9:ReadOut") == "QUEUED", "the first waits for the exposure")
        begin(second, "CCD9:ReadOut", [0.2])
        assert status(channels, "CCD9:ReadOut") in ("RUNNING", "QUEUED")  # RUNNING until the device is asked first
        assert channels.wait_for(ca.WriteNotifyResponse).status.success
        until(lambda: status(channels, "CCD9:ReadOut") == "QUEUED", "the second waits for the first")
        assert first.wait_for(ca.WriteNotifyResponse).status.success
        assert second.wait_for(ca.WriteNotifyResponse).status.success
    assert status(channels, "CCD9:ReadOut") == "DONE"
    assert channels.read("CCD9:ReadOut:Result").data[0] == 0.2  # of the newest run


def test_an_abort_ends_the_operation_it_names_and_no_other(
    mirrored: Mirror, channels: RawClient, server: Server
) -> None:
    ids = [text(channels, "CCD9:OperationId")]
    with RawClient(mirrored.ca.port) as first, RawClient(mirrored.ca.port) as second:
        for client in (first, second):
            begin(client, "CCD9:Save", [1.2])
            ids.append(until(lambda: (found := text(channels, "CCD9:OperationId")) not in ids and found, "its id"))
        assert channels.put("CCD9:Abort", ids[1].encode()).status.success
        answer = first.wait_for(ca.ErrorResponse)
        assert b"AbortedError" in bytes(answer.error_message)
        assert second.wait_for(ca.WriteNotifyResponse).status.success
        assert text(channels, "CCD9:Save:Result") == "saved after 1.2 s"
    answer = channels.put("CCD9:Abort", b"20261121T000000-00000000")
    assert b"UnknownNameError" in bytes(answer.error_message)


def test_an_abort_of_all_ends_what_runs_and_what_waits(mirrored: Mirror, channels: RawClient) -> None:
    with RawClient(mirrored.ca.port) as first, RawClient(mirrored.ca.port) as second:
        begin(first, "CCD9:Save", [60.0])
        begin(second, "CCD9:ReadOut", [60.0])
        until(lambda: (status(channels, "CCD9:Save"), status(channels, "CCD9:ReadOut")) == ("RUNNING", "RUNNING"))
        assert channels.put("CCD9:Abort", b"1").status.success
        for client in (first, second):
            assert b"AbortedError" in bytes(client.wait_for(ca.ErrorResponse).error_message)
    until(lambda: status(channels, "CCD9:ReadOut") == "ABORTED")


def test_what_is_read_after_a_put_has_ended_is_as_new_as_its_end(
    mirrored: Mirror, channels: RawClient, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it events would bring the values a moment later; here they never do."""
    monkeypatch.setattr(Readings, "show_event", lambda *_: None)
    for _ in range(3):
        assert channels.put("CCD9:Expose", b'{"seconds": 0.1}').status.success
        assert channels.read("CCD9:Exposures").data[0] == server.proxy().exposures


def test_of_clients_that_put_at_once_one_is_served(mirrored: Mirror, pva: Context, server: Server) -> None:
    uri = NTURI([("seconds", "d")]).wrap("CCD9:Expose", kws={"seconds": 0.1})
    with RawClient(mirrored.ca.port) as client:
        client.put("CCD9:Expose:Seconds", [0.1])

        def over_ca() -> None:
            answer = client.put("CCD9:Expose", b"1")
            if isinstance(answer, ca.ErrorResponse):
                raise RemoteError(bytes(answer.error_message).decode())

        ways: list[Callable[[], Any]] = [
            over_ca,
            lambda: pva.put("CCD9:Expose", {"value": "1"}, wait=True),
            lambda: pva.rpc("CCD9:Expose", uri),
        ]
        for _ in range(8):
            before, start = server.proxy().exposures, threading.Barrier(len(ways))
            refused: list[str] = []

            def attempt(way: Callable[[], Any], start: threading.Barrier = start, refused: list[str] = refused) -> None:
                start.wait()
                try:
                    way()
                except RemoteError as error:
                    refused.append(str(error))

            threads = [threading.Thread(target=attempt, args=(way,)) for way in ways]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(10)
            assert len(refused) == 2
            assert all("BusyError" in why for why in refused), refused
            assert server.proxy().exposures == before + 1


def test_clients_that_vanish_leave_nothing_behind(mirrored: Mirror, channels: RawClient) -> None:
    former = kept(Circuit, Put)  # also of mirrors of other tests, whose failures may keep them
    context = Context("pva", conf=pva_conf(mirrored), useenv=False, nt=False)
    for _ in range(10):
        leaving = RawClient(mirrored.ca.port)
        begin(leaving, "CCD9:Save", [2.0])
        until(lambda: status(channels, "CCD9:Save") == "RUNNING")
        leaving.socket.close()
        with pytest.raises(TimeoutError):
            context.rpc("CCD9:Save", SAVE.wrap("CCD9:Save", kws={"seconds": 2.0}), timeout=0.05)
    context.close()
    until(lambda: not watchers(), "all operations are over", 60.0)
    until(lambda: len(mirrored.ca.circuits) == 1, "only this test's own connection is left", 30.0)

    def new() -> list[Any]:
        return [found for found in kept(Circuit, Put) if not any(found is each for each in former)]

    until_equal(new, [], "no connection and no put is kept", 30.0)


def kept(*kinds: type) -> list[Any]:
    """What this process has of these classes."""
    gc.collect()
    return [found for found in gc.get_objects() if type(found) in kinds]


def test_many_operations_need_no_more_threads_than_one(mirrored: Mirror, channels: RawClient) -> None:
    channels.put("CCD9:Save", [0.0])
    until(lambda: not watchers())
    before = threading.active_count()
    channel, most = channels.channel("CCD9:Save"), 0
    for _ in range(150):  # more than are remembered anywhere
        assert channels.put(channel, [0.0]).status.success
        most = max(most, len(watchers()))
    assert most <= 1
    until(lambda: not watchers(), "nobody follows what has ended")
    assert threading.active_count() <= before
    assert status(channels, "CCD9:Save") == "DONE"


@pytest.mark.long
def test_a_new_mirror_shows_what_ran_under_the_former(server: Server, tmp_path: Path) -> None:
    """The first mirror is a process that is killed."""
    config = config_of((MirroredDevice(server.address),))
    port_file = tmp_path / "port"
    script = f"""
import pathlib, time
from servers.epics.configuration import MirrorConfig, MirroredDevice
from servers.epics.mirror import Mirror
mirror = Mirror(MirrorConfig(devices=(MirroredDevice({server.address!r}),), ca_port=0, pva_port=0,
    ca_repeater_port={config.ca_repeater_port}, pva_broadcast_port={config.pva_broadcast_port}))
mirror.start()
while any(mirror.statistics()["devices"].values()) or not mirror.list_pvs():
    time.sleep(0.01)
pathlib.Path({str(port_file)!r}).write_text(str(mirror.ca.port))
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    try:
        port = int(until(lambda: port_file.exists() and port_file.read_text(), "the first mirror serves", 20.0))
        with RawClient(port) as client:
            begin_exposure(client, 6.0)
            until(lambda: status(client, "CCD9:Expose") == "RUNNING")
            process.kill()
            process.wait()
            with pytest.raises(ConnectionError):
                client.wait_for(ca.WriteNotifyResponse)
    finally:
        process.kill()
        process.wait()
    begun = time.monotonic()
    with mirror(config) as second, RawClient(second.ca.port) as client:
        until(lambda: status(client, "CCD9:Expose") == "RUNNING", "the new mirror shows it")
        assert b"BusyError" in bytes(client.put("CCD9:Expose", b"1").error_message)
        until(lambda: status(client, "CCD9:Expose") == "DONE", "its end is shown", 15.0)
        assert json.loads(text(client, "CCD9:Expose:Result"))["seconds"] == 6.0
    with mirror(config) as third, RawClient(third.ca.port) as client:  # one that only saw the end has its result, too
        until(lambda: status(client, "CCD9:Expose") == "DONE")
        assert json.loads(text(client, "CCD9:Expose:Result"))["seconds"] == 6.0
    assert time.monotonic() - begun < 60


def test_an_operation_begun_over_tango_while_a_put_is_refused_is_shown(
    server: Server, channels: RawClient, mirrored: Mirror
) -> None:
    server.proxy().save(0.7)  # excludes an exposure, and the mirror did not begin it
    answer = channels.put("CCD9:Expose", b'{"seconds": 0.1}')
    assert b"BusyError: expose is refused: save runs" in bytes(answer.error_message)
    assert status(channels, "CCD9:Expose") == "REFUSED"
    assert text(channels, "CCD9:Expose:Error").startswith("BusyError")
    until(lambda: status(channels, "CCD9:Save") == "RUNNING")
    until(lambda: status(channels, "CCD9:Save") == "DONE")
    assert channels.put("CCD9:Expose", b"1").status.success
    assert text(channels, "CCD9:Expose:Error") == ""


def test_an_argument_outside_its_limits_is_refused_where_it_is_put(channels: RawClient, server: Server) -> None:
    assert channels.put("CCD9:Expose:Seconds", [0.25]).status.success
    why = "RangeError: CCD9:Expose:Seconds = 7200.0 s is outside [0.0, 3600.0] s"
    assert why.encode() in bytes(channels.put("CCD9:Expose:Seconds", [7200.0]).error_message)
    assert text(channels, "CCD9:Expose:Error") == why
    assert channels.read("CCD9:Expose:Seconds").data[0] == 0.25
    assert channels.put("CCD9:Expose:Seconds", [0.05]).status.success
    assert text(channels, "CCD9:Expose:Error") == ""
    before = server.proxy().exposures
    assert channels.put("CCD9:Expose:Run", [1]).status.success
    assert server.proxy().exposures == before + 1
    assert json.loads(text(channels, "CCD9:Expose:Result"))["seconds"] == 0.05


def test_results_are_json_on_tango_and_on_epics(server: Server, channels: RawClient) -> None:
    assert channels.put("CCD9:Expose", b'{"seconds": 0.05, "frames": 2}').status.success
    expected = {"seconds": 0.05, "frames": 2, "shutter": "open"}
    device = server.proxy()
    assert json.loads(text(channels, "CCD9:Expose:Result")) == expected
    assert json.loads(device.operation_status(device.operation_id))["result"] == expected
    assert json.loads(device.operation_result) == expected
    assert channels.put("CCD9:Label", b"AgBe").status.success
    assert json.loads(text(channels, "CCD9:Label:Result")) == json.loads(device.label("AgBe"))
