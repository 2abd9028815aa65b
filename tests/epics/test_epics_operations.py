"""Commands and operations of a device that describes itself, run by puts."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import caproto as ca
import pytest
from caproto import ChannelType
from p4p.client.thread import Context, RemoteError

from servers.epics import commands, follower
from servers.epics.mirror import Mirror
from tests.epics.mirroring import TangoServer, caproto, config_for, mirror, pva_conf, python, tango_server, until
from tests.epics.raw_client import RawClient

LONG_NAME = "/data/2026-11/saxs/silver-behenate/a-name-longer-than-forty-characters.tif"


@pytest.fixture
def status(channels: RawClient) -> Callable[[], str]:
    channel = channels.channel("SAXS9:IntegrateFile:Status")
    return lambda: channels.read(channel, ChannelType.STRING).data[0].decode()


def _text(channels: RawClient, pv: str) -> str:
    return channels.read(pv).data.tobytes().decode().rstrip("\0")


def test_a_put_is_over_when_the_operation_is(channels: RawClient, status: Callable[[], str]) -> None:
    begun = time.monotonic()
    answer = channels.put("SAXS9:IntegrateFile", f"{LONG_NAME}#0.8".encode())
    assert answer.status.success
    assert 0.75 < time.monotonic() - begun < 1.6
    assert status() == "DONE"
    assert _text(channels, "SAXS9:IntegrateFile:Result") == f"{len(LONG_NAME) + 4} characters"
    assert _text(channels, "SAXS9:IntegrateFile:Error") == ""
    assert channels.read("SAXS9:IntegrateFile:Progress").data[0] == 100.0


def test_an_argument_is_put_first_and_run_separately(channels: RawClient, status: Callable[[], str]) -> None:
    channels.put("SAXS9:IntegrateFile:Path", b"/data/calm.tif#0.1")
    assert status() != "RUNNING", "putting an argument runs nothing"
    assert channels.put("SAXS9:IntegrateFile:Run", 1).status.success
    assert status() == "DONE"
    assert _text(channels, "SAXS9:IntegrateFile") == "/data/calm.tif#0.1"
    assert _text(channels, "SAXS9:IntegrateFile:Result") == "18 characters"
    assert channels.read("SAXS9:IntegrateFile:Run").data[0] == 0
    channels.put("SAXS9:IntegrateFile:Path", b"/data/bad.tif")
    answer = channels.put("SAXS9:IntegrateFile:Run", 1)
    assert b"ProtocolError: /data/bad.tif is no image" in bytes(answer.error_message)


def test_the_progress_is_shown_on_the_way(pva: Context, channels: RawClient) -> None:
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    subscription = pva.monitor("SAXS9:IntegrateFile:Progress", lambda value: heard.put(value.value))
    channels.put("SAXS9:IntegrateFile", f"{LONG_NAME}#0.6".encode())
    seen = [heard.get(timeout=5)]
    until(lambda: (seen.append(heard.get(timeout=5)), seen[-1] == 100.0 and len(seen) > 4)[1])
    subscription.close()
    between = [percent for percent in seen[1:] if 0 < percent < 100]  # the first one is what there was before
    assert len(between) >= 3
    assert between == sorted(between)


def test_a_put_fails_when_the_operation_does(channels: RawClient, status: Callable[[], str], pva: Context) -> None:
    answer = channels.put("SAXS9:IntegrateFile", b"/data/bad.tif")
    assert b"ProtocolError: /data/bad.tif is no image" in bytes(answer.error_message)
    assert status() == "FAILED"
    assert _text(channels, "SAXS9:IntegrateFile:Error") == "ProtocolError: /data/bad.tif is no image"
    with pytest.raises(RemoteError, match=r"ProtocolError: /data/bad\.tif is no image"):
        pva.put("SAXS9:IntegrateFile", {"value": "/data/bad.tif"}, wait=True)


def test_a_second_put_while_one_runs_is_refused_at_once(
    channels: RawClient, mirrored: Mirror, status: Callable[[], str]
) -> None:
    channel = channels.channel("SAXS9:IntegrateFile")
    channels.send(channel.write(f"{LONG_NAME}#1".encode(), notify=True))
    until(lambda: status() == "RUNNING", "it runs")
    with RawClient(mirrored.ca.port) as second:
        begun = time.monotonic()
        answer = second.put("SAXS9:IntegrateFile", b"/data/other.tif")
        assert time.monotonic() - begun < 0.3
        assert b"BusyError: SAXS9:IntegrateFile: integrate_file is running already" in bytes(answer.error_message)
    assert status() == "RUNNING"
    assert channels.wait_for(ca.WriteNotifyResponse).status.success
    assert _text(channels, "SAXS9:IntegrateFile") == f"{LONG_NAME}#1"


def test_an_operation_that_the_device_refuses_never_ran(channels: RawClient, status: Callable[[], str]) -> None:
    answer = channels.put("SAXS9:IntegrateFile", b"")
    assert b"BadValueError: path = '' is no file" in bytes(answer.error_message)
    assert status() == "REFUSED"


def test_a_plain_put_is_over_when_the_operation_began(pva: Context, status: Callable[[], str]) -> None:
    begun = time.monotonic()
    pva.put("SAXS9:IntegrateFile", {"value": f"{LONG_NAME}#0.8"})
    assert time.monotonic() - begun < 0.5
    assert status() == "RUNNING"
    until(lambda: status() == "DONE")


def test_an_abort_ends_the_operation_and_fails_its_put(channels: RawClient, mirrored: Mirror) -> None:
    channels.send(channels.channel("SAXS9:IntegrateFile").write(f"{LONG_NAME}#20".encode(), notify=True))
    with RawClient(mirrored.ca.port) as other:
        running = other.channel("SAXS9:IntegrateFile:Status")
        until(lambda: other.read(running).data[0] == commands.STATUS_LABELS.index("RUNNING"))
        assert other.put("SAXS9:Abort", b"").status.success
    answer = channels.wait_for(ca.ErrorResponse)
    assert b"AbortedError" in bytes(answer.error_message)
    assert channels.read("SAXS9:IntegrateFile:Status", ChannelType.STRING).data[0] == b"ABORTED"


def test_an_operation_started_by_somebody_else_is_shown(
    server: TangoServer, channels: RawClient, status: Callable[[], str]
) -> None:
    server.proxy(server.described).integrate_file(f"{LONG_NAME}#0.7")
    until(lambda: status() == "RUNNING", "it is seen")
    answer = channels.put("SAXS9:IntegrateFile", b"/data/other.tif")
    assert b"BusyError" in bytes(answer.error_message)
    until(lambda: status() == "DONE", "its end is seen")
    assert channels.put("SAXS9:IntegrateFile", b"/data/other.tif").status.success


def test_the_client_that_goes_away_does_not_end_the_operation(mirrored: Mirror, status: Callable[[], str]) -> None:
    with RawClient(mirrored.ca.port) as leaving:
        leaving.send(leaving.channel("SAXS9:IntegrateFile").write(f"{LONG_NAME}#0.8".encode(), notify=True))
        until(lambda: status() == "RUNNING")
    until(lambda: status() == "DONE")


def test_a_put_of_anything_runs_a_command_without_arguments(channels: RawClient, server: TangoServer) -> None:
    for data, data_type in ([b"go"], ChannelType.STRING), ([0], ChannelType.LONG), ([1.5], ChannelType.DOUBLE):
        begun = time.monotonic()
        assert channels.put("SAXS9:ControlOn", data, data_type).status.success
        assert time.monotonic() - begun >= 0.3  # as long as it takes
        assert channels.read("SAXS9:ControlOn:Status", ChannelType.STRING).data[0] == b"DONE"
    device = server.proxy(server.described)
    device.gain = 0
    answer = channels.put("SAXS9:ControlOn", [1], ChannelType.LONG)
    device.gain = 2
    assert b"NotAllowedError: control_on is not allowed with gain 0" in bytes(answer.error_message)
    assert channels.read("SAXS9:ControlOn:Status", ChannelType.STRING).data[0] == b"REFUSED"


def test_an_enumerated_argument_takes_labels_and_numbers(channels: RawClient) -> None:
    channel = channels.channel("SAXS9:SetSpeed")
    assert channels.read(channel, ChannelType.CTRL_ENUM).metadata.enum_strings == (b"slow", b"fast")
    assert channels.put(channel, [b"fast"], ChannelType.STRING).status.success
    assert _text(channels, "SAXS9:SetSpeed:Result") == "now fast"
    assert channels.put(channel, [0], ChannelType.ENUM).status.success
    assert _text(channels, "SAXS9:SetSpeed:Result") == "now slow"


def test_several_arguments_have_a_pv_each(channels: RawClient, pva: Context) -> None:
    assert channels.read("SAXS9:Add:Right").data[0] == 5.0  # the default
    channels.put("SAXS9:Add:Left", [37.0])
    assert channels.put("SAXS9:Add", [1], ChannelType.LONG).status.success
    assert channels.read("SAXS9:Add:Result").data[0] == 42.0
    assert channels.put("SAXS9:Add", json.dumps({"left": 1, "right": 2}).encode()).status.success
    assert channels.read("SAXS9:Add:Result").data[0] == 3.0
    for wrong in (b'{"up": 1}', b"2", b"{left"):
        assert b"neither 1 nor a JSON object of left, right" in bytes(channels.put("SAXS9:Add", wrong).error_message)
    pva.put("SAXS9:Add", {"value": "1"}, wait=True)
    assert channels.read("SAXS9:Add:Result").data[0] == 42.0, "what stands in the PVs is as it was put there"
    channels.put("SAXS9:Add:Right", [100.0])
    assert channels.put("SAXS9:Add", b'{"left": 1}').status.success
    assert channels.read("SAXS9:Add:Result").data[0] == 6.0, "what is left out has its default, 5"
    assert b"left is missing" in bytes(channels.put("SAXS9:Add", b"{}").error_message)


def test_what_a_device_hides_or_names_itself(mirrored: Mirror, channels: RawClient) -> None:
    served = {entry.name for entry in mirrored.list_pvs() if entry.name.startswith("SAXS9:")}
    assert {"SAXS9:AmpGain", "SAXS9:AmpGain_RBV", "SAXS9:State", "SAXS9:Status"} <= served
    assert not {"SAXS9:OperationError", "SAXS9:Describe", "SAXS9:OperationStatus", "SAXS9:Gain"} & served
    assert channels.read("SAXS9:IntegrateFile.DESC").data[0] == b"About integrate_file"


def test_caproto_waits_for_the_end_of_an_operation(mirrored: Mirror) -> None:
    done = caproto(mirrored, "put", "-c", "-w", "30", "-S", "SAXS9:IntegrateFile", LONG_NAME)
    assert "New : SAXS9:IntegrateFile" in done.stdout
    assert "DONE" in caproto(mirrored, "get", "SAXS9:IntegrateFile:Status").stdout
    failed = caproto(mirrored, "put", "-c", "-w", "30", "-S", "SAXS9:IntegrateFile", "/data/bad.tif")
    assert "ECA_PUTFAIL" in failed.stdout
    assert "is no image" in failed.stdout


def test_pyepics_waits_for_the_end_of_an_operation(mirrored: Mirror) -> None:
    out = python(
        mirrored,
        f"""
import epics, json, time
pv = epics.PV("SAXS9:IntegrateFile"); pv.wait_for_connection(5)
begun = time.time(); done = pv.put("{LONG_NAME}#0.6", wait=True, timeout=20); took = time.time() - begun
print(json.dumps([done, 0.5 < took < 3, epics.caget("SAXS9:IntegrateFile:Status", as_string=True),
    epics.caget("SAXS9:IntegrateFile", as_string=True)]))
""",
    )
    assert json.loads(out.splitlines()[-1]) == [1, True, "DONE", f"{LONG_NAME}#0.6"]


@pytest.mark.long
def test_a_server_killed_in_mid_operation_fails_the_put() -> None:
    with tango_server() as server, mirror(config_for(server)) as mirrored, RawClient(mirrored.ca.port) as client:
        channel, status = client.channel("SAXS9:IntegrateFile"), client.channel("SAXS9:IntegrateFile:Status")

        def run() -> None:
            client.send(channel.write(f"{LONG_NAME}#60".encode(), notify=True))
            until(lambda: client.read(status, ChannelType.STRING).data[0] == b"RUNNING")

        run()
        server.kill()
        server.start()
        answer = client.wait_for(ca.ErrorResponse, seconds=12.0)
        assert b"lost in restart" in bytes(answer.error_message)
        until(lambda: not any(mirrored.statistics()["devices"].values()), "the link is back")
        assert client.read(status, ChannelType.STRING).data[0] == b"FAILED"

        run()
        begun = time.monotonic()
        server.kill()
        client.socket.settimeout(15.0)
        answer = client.wait_for(ca.ErrorResponse, seconds=15.0)
        assert time.monotonic() - begun < follower.PATIENCE  # its connections are refused, so nobody is there
        assert b"NotConnectedError: integrate_file" in bytes(answer.error_message)
        answer = client.put(channel, b"/data/other.tif")
        assert b"does not answer" in bytes(answer.error_message)


@pytest.mark.long
def test_an_operation_goes_on_when_its_server_hangs_for_a_while(server: TangoServer, channels: RawClient) -> None:
    channels.send(channels.channel("SAXS9:IntegrateFile").write(f"{LONG_NAME}#6".encode(), notify=True))
    running = channels.channel("SAXS9:IntegrateFile:Status")
    until(lambda: channels.read(running, ChannelType.STRING).data[0] == b"RUNNING")
    server.hang(hanging=True)
    try:
        until(lambda: channels.read(running, ChannelType.STS_STRING).metadata.severity == 3, "the link is lost")
        assert channels.read(running, ChannelType.STRING).data[0] == b"RUNNING"
    finally:
        server.hang(hanging=False)
    channels.socket.settimeout(25.0)
    assert channels.wait_for(ca.WriteNotifyResponse, seconds=25.0).status.success
    until(lambda: channels.read(running, ChannelType.STS_STRING).metadata.severity == 0)
    assert channels.read(running, ChannelType.STRING).data[0] == b"DONE"


def test_stopping_the_mirror_waits_for_no_operation() -> None:
    before = {thread.name for thread in threading.enumerate()}
    with tango_server() as server, mirror(config_for(server)) as mirrored:
        context = Context("pva", conf=pva_conf(mirrored), useenv=False, nt=False)
        context.put("SAXS9:IntegrateFile", {"value": f"{LONG_NAME}#30"})
        context.close()
        begun = time.monotonic()
        mirrored.stop()
        assert time.monotonic() - begun < 4.0
        after = {thread.name for thread in threading.enumerate()} - before
        assert not [name for name in after if name.startswith("epics-")]
        assert json.loads(server.proxy(server.described).operation_status(
            server.proxy(server.described).operation_id))["state"] == "RUNNING"  # it goes on  # fmt: skip
