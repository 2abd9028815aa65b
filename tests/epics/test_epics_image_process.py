"""Large attributes have a process of their own: found by every client, written, killed, orphaned, and slow clients."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from caproto import ChannelType
from p4p.client.thread import Context, RemoteError

from servers.epics.access import Access, Rule
from servers.epics.alarm import Severity, Status
from servers.epics.audit import Audit
from servers.epics.gate import Gate
from servers.epics.image_process import Report
from servers.epics.mirror import Mirror
from servers.epics.pva import PvAccess
from servers.epics.records import Kind, Reading, Record
from tests.epics.camera import Camera, camera_server
from tests.epics.mirroring import caproto, config_of, environment, mirror, pva_conf, until, until_equal
from tests.epics.raw_client import RawClient


@pytest.fixture(scope="module")
def camera() -> Iterator[Camera]:
    with camera_server() as running:
        yield running


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit") / "audit.jsonl"


@pytest.fixture(scope="module")
def mirrored(camera: Camera, audit: Path) -> Iterator[Mirror]:
    with mirror(config_of((camera.mirrored,), image_process=True, audit_path=audit)) as running:
        yield running


@pytest.fixture
def pva(mirrored: Mirror) -> Iterator[Context]:
    context = Context("pva", conf=pva_conf(mirrored), useenv=False, nt=False)
    yield context
    context.close()


def image_pid(mirrored: Mirror) -> int:
    process = mirrored.images._process
    assert process is not None
    return process.pid


def frame_of(value: Any) -> tuple[int, ...]:
    return tuple(dimension.size for dimension in value.dimension)


def test_both_protocols_find_small_and_large_at_one_address(camera: Camera, mirrored: Mirror, pva: Context) -> None:
    camera.publish("large", 300, 200)
    until(lambda: frame_of(pva.get("CAM:Large")) == (200, 300), "the frame on PVAccess")
    assert pva.get("CAM:Temperature").value == 77.25
    by_udp = pva_conf(mirrored) | {"EPICS_PVA_NAME_SERVERS": ""}
    with Context("pva", conf=by_udp, useenv=False, nt=False) as client:
        assert frame_of(client.get("CAM:Large")) == (200, 300)
        assert client.get("CAM:Temperature").value == 77.25
    answer = caproto(mirrored, "get", "-t", "CAM:Large:Width", "CAM:Large:Height", "CAM:Large.NORD", "CAM:Temperature")
    assert answer.stdout.split() == ["200", "300", "60000", "77.25"], answer.stderr
    # By TCP, as through a tunnel: the main process names the port of the other one.
    with RawClient(mirrored.ca.port) as main, RawClient(mirrored.images.report.ca_port) as images:
        with pytest.raises(LookupError):
            main.channel("CAM:Large")
        with pytest.raises(LookupError):
            images.channel("CAM:Temperature")
        np.testing.assert_array_equal(images.read("CAM:Large").data, np.arange(60_000) % 65536)


def test_only_what_may_be_large_is_elsewhere_and_the_list_has_both(mirrored: Mirror) -> None:
    listed = {entry.name: entry for entry in mirrored.list_pvs()}
    large = {"CAM:Large", "CAM:Huge", "CAM:Mask", "CAM:Encoded"}
    companions = {"CAM:Mask_RBV", "CAM:Mask:Error", "CAM:Encoded:Format", "CAM:Encoded:Image"}
    companions |= {f"CAM:{name}:{side}" for name in ("Large", "Huge") for side in ("Width", "Height")}
    assert mirrored.images.report.served == large | companions
    assert large | companions | {"CAM:FrameUint16", "CAM:State"} <= set(listed)
    assert not mirrored.served & (large | companions)
    assert (listed["CAM:Large"].part, listed["CAM:Large"].rank, listed["CAM:Mask"].is_writable) == ("large", 2, True)
    found = mirrored.statistics()
    assert found["pvs"] == len(listed)
    assert found["memory_bytes"] > 1.5 * psutil.Process().memory_info().rss or found["memory_bytes"] > 100e6


def test_a_put_to_a_large_array_follows_the_rules_and_is_audited(mirrored: Mirror, pva: Context, audit: Path) -> None:
    mask = np.linspace(0.0, 1.0, 40_000)
    pva.put("CAM:Mask", {"value": mask}, wait=True)
    until(lambda: np.array_equal(pva.get("CAM:Mask_RBV").value, mask), "the read-back")
    with pytest.raises(RemoteError, match=r"RangeError: .*13 numbers"):
        pva.put("CAM:Mask", {"value": np.zeros(13)}, wait=True)
    until(lambda: "bad luck" in pva.get("CAM:Mask:Error").value, "the reason stays")
    before = mirrored.config
    mirrored.reload(replace(before, access=(Rule(network="10.0.0.0/8"),)))
    try:

        def refused() -> bool:
            try:
                pva.put("CAM:Mask", {"value": mask[:5]}, wait=True)
            except RemoteError as error:
                return "NotAllowedError" in str(error)
            return False

        until(refused, "the new rules hold in both processes")
        with RawClient(mirrored.images.report.ca_port) as client:
            assert b"NotAllowedError" in bytes(client.put("CAM:Mask", [1.0]).error_message)
    finally:
        mirrored.reload(before)
    until(lambda: audit.exists() and "NotAllowedError" in audit.read_text(), "the audit")
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    results = [(line["protocol"], line["result"]) for line in lines if line["pv"] == "CAM:Mask"]
    assert results[0] == ("pva", "done")
    assert lines[0]["new"][-1] == "... 40000 elements"
    assert any(protocol == "ca" and "NotAllowedError" in result for protocol, result in results)
    until(lambda: mirrored.statistics()["refused_puts"] >= 3, "they are counted")


@pytest.mark.long
def test_a_killed_process_is_back_and_nothing_else_notices(camera: Camera, mirrored: Mirror, pva: Context) -> None:
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    camera.publish("large", 30, 20)
    subscription = pva.monitor("CAM:Large", lambda value: heard.put(frame_of(value)))
    until_equal(lambda: heard.get(timeout=5), (20, 30), "the frame")
    lost: list[Any] = []
    others = pva.monitor(
        "CAM:Temperature", lambda value: lost.append(isinstance(value, Exception)), notify_disconnect=True
    )
    until(lambda: lost and not lost[-1], "the scalar is there")
    lost.clear()
    starts, pid, port = mirrored.images.starts, image_pid(mirrored), mirrored.images.report.pva_port
    os.kill(pid, signal.SIGKILL)
    until(lambda: not mirrored.images.report.served, "it is missed")
    assert "large attributes" in mirrored.statistics()["devices"][camera.name]
    began = time.monotonic()
    until(lambda: mirrored.images.report.served, "it is back", 30.0)
    assert image_pid(mirrored) != pid
    assert (mirrored.images.starts, mirrored.images.report.pva_port) == (starts + 1, port)
    print(f"back after {time.monotonic() - began:.1f} s")
    until(lambda: not mirrored.statistics()["devices"][camera.name], "all is well")
    camera.publish("large", 31, 21)
    until_equal(lambda: heard.get(timeout=30), (21, 31), "the client has found it again")
    assert not any(lost)
    subscription.close()
    others.close()


@pytest.mark.long
def test_a_process_that_hangs_is_replaced(mirrored: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    starts, pid = mirrored.images.starts, image_pid(mirrored)
    until(lambda: mirrored.images.report.served, "it is up", 30.0)
    monkeypatch.setattr("servers.epics.image_process.SILENCE", 3.0)
    report = mirrored.images.report
    until(lambda: mirrored.images.report not in (report, Report()), "it is waited for so long only")
    os.kill(pid, signal.SIGSTOP)
    until(lambda: mirrored.images.starts > starts, "a new one is started", 30.0)
    monkeypatch.undo()
    until(lambda: mirrored.images.report.served, "it is up again", 30.0)
    assert not psutil.pid_exists(pid)


def test_a_camera_that_is_away_is_marked_by_the_process_too(camera: Camera, mirrored: Mirror, pva: Context) -> None:
    camera.publish("large", 30, 20)
    until(lambda: frame_of(pva.get("CAM:Large")) == (20, 30), "the frame", 20.0)
    camera.kill()
    until(lambda: pva.get("CAM:Large").alarm.severity == Severity.INVALID, "INVALID", 5.0)
    value = pva.get("CAM:Large")
    assert (value.alarm.status, frame_of(value)) == (2, (20, 30))  # the last frame stays
    with RawClient(mirrored.images.report.ca_port) as client:
        assert client.read("CAM:Large:Width", ChannelType.STS_LONG).metadata.status == Status.LINK
    camera.start()
    until(lambda: pva.get("CAM:Mask_RBV").alarm.severity == 0, "it is back", 20.0)


@pytest.mark.long
def test_the_process_ends_with_a_mirror_that_was_killed(camera: Camera) -> None:
    script = f"""
import sys, time
from servers.epics.mirror import Mirror
from tests.epics.mirroring import config_of
from servers.epics.configuration import MirroredDevice
mirror = Mirror(config_of((MirroredDevice({camera.name!r}),), image_process=True))
mirror.start()
while not mirror.images.report.served:
    time.sleep(0.05)
print(mirror.images._process.pid, flush=True)
time.sleep(100)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    child.wait(10.0)


def test_a_name_that_a_scalar_has_is_not_served_by_the_process(camera: Camera, mirrored: Mirror) -> None:
    clashing = replace(camera.mirrored, pv_names={"large": "Temperature"})
    with mirror(config_of((clashing,), image_process=True)) as other:
        assert "CAM:Temperature" not in other.images.report.served
        assert [clash.pv for clash in other.clashes] == ["CAM:Temperature"]
        with RawClient(other.ca.port) as client:
            assert client.read("CAM:Temperature").data[0] == 77.25


SUBSCRIBER = """
import sys, time
from p4p.client.thread import Context
port, search = sys.argv[1:]
conf = {"EPICS_PVA_AUTO_ADDR_LIST": "NO", "EPICS_PVA_NAME_SERVERS": f"127.0.0.1:{port}"}
conf["EPICS_PVA_BROADCAST_PORT"] = search
context = Context("pva", conf=conf, useenv=False, nt=False)
subscription = context.monitor("I", lambda value: print(value.uniqueId, flush=True), request="record[queueSize=100]")
time.sleep(1000)
"""


def test_a_client_that_stops_reading_costs_no_memory_and_nobody_else_a_frame(tmp_path: Path) -> None:
    server = PvAccess(Gate(Access(), Audit(None)), port=0, broadcast_port=0)
    record = Record("I", Kind.UINT16, rank=2, max_length=1 << 22)
    server.add(record)
    server.start()
    server.open()
    logs = [tmp_path / "stopped", tmp_path / "reading"]
    clients = []
    try:
        for path in logs:
            command = [sys.executable, "-c", SUBSCRIBER, str(server.port), str(server.broadcast_port)]
            clients.append(subprocess.Popen(command, stdout=path.open("w")))
        record.publish(Reading(np.zeros((2048, 2048), np.uint16), time.time_ns()))
        until(lambda: all("1" in path.read_text().split() for path in logs), "both subscribed", 30.0)
        clients[0].send_signal(signal.SIGSTOP)
        before = psutil.Process().memory_info().rss
        for number in range(2, 62):  # 480 MB
            record.publish(Reading(np.full((2048, 2048), number, np.uint16), time.time_ns()))
            until(lambda number=number: str(number) in logs[1].read_text().split(), "the other client", 20.0)
        assert psutil.Process().memory_info().rss - before < 200e6
        clients[0].send_signal(signal.SIGCONT)
        until(lambda: logs[0].read_text().split()[-1] == "61", "the newest value", 20.0)
        assert len(logs[0].read_text().split()) < 30
    finally:
        for client in clients:
            client.kill()
            client.wait()
        server.stop()


def test_a_channel_access_client_that_stops_reading_gets_the_newest_frame_later(
    camera: Camera, mirrored: Mirror
) -> None:
    camera.publish("large", 512, 640)
    with mirror(config_of((camera.mirrored,))) as alone, RawClient(alone.ca.port, receive_buffer=1 << 17) as client:
        camera.publish("large", 512, 640, first=1)
        channel = client.channel("CAM:Large")
        until(lambda: len(client.read(channel).data) == 512 * 640, "the frame")
        client.subscribe(channel, ChannelType.LONG)
        camera.flood("large", 50, 200.0)
        circuit = next(iter(alone.ca.circuits))
        source = next(iter(alone._devices.values())).records.attributes["large"].readback
        waiting = []
        until(lambda: waiting.append(circuit.transport.get_write_buffer_size()) or source.reading.value[0, 0] == 50)
        assert max(waiting) < 4 * 512 * 640 * 4  # CA has 4 bytes for each pixel
        until(lambda: client.update().data[0] == 50, "the newest frame", 20.0)


def test_environment_names_both_servers(mirrored: Mirror) -> None:
    servers = environment(mirrored)["EPICS_PVA_NAME_SERVERS"].split()
    assert servers == [f"127.0.0.1:{port}" for port in (mirrored.pva.port, mirrored.images.report.pva_port)]
