"""Commands called by name over PVAccess (RPC)."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from caproto import ChannelType
from p4p import Type, Value
from p4p.client.thread import Context, RemoteError
from p4p.nt import NTURI
from p4p.rpc import rpccall, rpcproxy

from servers.epics.access import Rule
from servers.epics.configuration import MirroredDevice
from servers.epics.mirror import Mirror
from tests.epics.mirroring import config_of, mirror, until
from tests.epics.raw_client import RawClient
from tests.support.serving import Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with serving("tests.support.camera:Camera", "test/camera/1", {"pv_prefix": "CCD9:"}, folder=folder) as running:
        yield running


@pytest.fixture(scope="module")
def mirrored(server: Server, audit: Path) -> Iterator[Mirror]:
    with mirror(config_of((MirroredDevice(server.address),), audit_path=audit)) as running:
        yield running


def call(pva: Context, pv: str, types: dict[str, str] | None = None, /, timeout: float = 10.0, **arguments: Any) -> Any:
    """Call a command with arguments of these PVAccess types; those not named are texts, as ``pvcall`` sends them."""
    codes = types or {}
    uri = NTURI([(name, codes.get(name, "s")) for name in arguments])
    return pva.rpc(pv, uri.wrap(pv, kws=arguments, scheme="pva"), timeout=timeout)


def refusal(pva: Context, pv: str, types: dict[str, str] | None = None, /, **arguments: Any) -> str:
    with pytest.raises(RemoteError) as refused:
        call(pva, pv, types, **arguments)
    return str(refused.value)


def status(channels: RawClient, pv: str) -> str:
    return channels.read(f"{pv}:Status", ChannelType.STRING).data[0].decode()


def test_a_command_without_arguments_is_called(pva: Context, server: Server, channels: RawClient) -> None:
    before = server.proxy().homed
    assert call(pva, "CCD9:Home").value == ""
    assert pva.rpc("CCD9:Home", None).value == ""  # without an NTURI at all
    assert server.proxy().homed == before + 2
    assert status(channels, "CCD9:Home") == "DONE"


@pytest.mark.parametrize(("code", "given"), [("d", 12.25), ("f", 12.25), ("s", "12.25"), ("s", " 1225e-2 ")])
def test_an_argument_may_be_a_number_or_its_text(pva: Context, channels: RawClient, code: str, given: Any) -> None:
    answer = call(pva, "CCD9:Move", {"millimetres": code}, millimetres=given)
    assert (answer.getID(), answer.value) == ("epics:nt/NTScalar:1.0", 12.25)
    assert answer.timeStamp.secondsPastEpoch == pytest.approx(time.time(), abs=5)
    assert answer.alarm.severity == 0
    assert channels.read("CCD9:Move").data[0] == 12.25  # shown as if it had been put
    assert channels.read("CCD9:Move:Result").data[0] == 12.25


def test_arguments_left_out_have_their_defaults(pva: Context, channels: RawClient) -> None:
    channels.put("CCD9:Ramp:Last", [2.0])
    answer = call(pva, "CCD9:Ramp", {"first": "i"}, first=3)
    assert answer.getID() == "epics:nt/NTScalarArray:1.0"
    assert answer.value.tolist() == [9.0, 16.0]
    assert call(pva, "CCD9:Ramp", first="1", last="3").value.tolist() == [1.0, 4.0, 9.0]
    assert channels.read("CCD9:Ramp:Last").data[0] == 2.0  # what others prepared there stays
    assert channels.read("CCD9:Ramp:Result").data.tolist() == [1.0, 4.0, 9.0]


@pytest.mark.parametrize(
    ("code", "given"), [("ai", np.array([5, -2, 9])), ("s", "[5, -2, 9]"), ("as", ["5", "-2", "9"])]
)
def test_a_list_may_be_an_array_or_its_text(pva: Context, code: str, given: Any) -> None:
    assert call(pva, "CCD9:Total", {"counts": code}, counts=given).value == 12


@pytest.mark.parametrize(("code", "given"), [("s", "open"), ("s", "1"), ("i", 1)])
def test_an_enumeration_takes_label_or_index_and_gives_both(pva: Context, code: str, given: Any) -> None:
    answer = call(pva, "CCD9:Other", {"shutter": code}, shutter=given)
    assert answer.getID() == "epics:nt/NTEnum:1.0"
    assert (answer.value.index, answer.value.choices) == (2, ["closed", "open", "synchronous"])


def test_a_result_with_names_is_a_json_text(pva: Context, channels: RawClient) -> None:
    answer = call(pva, "CCD9:Label", text='a "quoted" text, 20 % grün')
    assert json.loads(answer.value) == {"label": 'a "quoted" text, 20 % grün', "gain": 1.5}
    assert json.loads(channels.read("CCD9:Label:Result").data.tobytes()) == json.loads(answer.value)


def test_an_operation_is_answered_at_its_end(pva: Context, channels: RawClient) -> None:
    answers: list[Any] = []
    begun = time.monotonic()
    thread = threading.Thread(target=lambda: answers.append(call(pva, "CCD9:Expose", seconds="0.4", frames="2")))
    thread.start()
    until(lambda: status(channels, "CCD9:Expose") == "RUNNING", "it is seen to run")
    until(lambda: 20 < channels.read("CCD9:Expose:Progress").data[0] < 100, "its progress is seen")
    assert not answers
    thread.join(5)
    assert 0.8 <= time.monotonic() - begun < 3.0
    assert json.loads(answers[0].value) == {"seconds": 0.4, "frames": 2, "shutter": "open"}
    assert status(channels, "CCD9:Expose") == "DONE"
    assert json.loads(channels.read("CCD9:Expose:Result").data.tobytes()) == json.loads(answers[0].value)


def test_an_operation_longer_than_the_call_goes_on(pva: Context, channels: RawClient, server: Server) -> None:
    with pytest.raises(TimeoutError):
        call(pva, "CCD9:Expose", seconds="0.6", timeout=0.2)
    assert status(channels, "CCD9:Expose") == "RUNNING"
    until(lambda: status(channels, "CCD9:Expose") == "DONE")
    assert server.proxy().operation_error == ""


def test_an_operation_that_fails_fails_the_call(pva: Context, channels: RawClient) -> None:
    why = refusal(pva, "CCD9:Expose", seconds="0.05", shutter="synchronous")
    assert why == "ProtocolError: the shutter does not answer"
    assert status(channels, "CCD9:Expose") == "FAILED"
    assert channels.read("CCD9:Expose:Error").data.tobytes().decode() == why


@pytest.mark.parametrize(
    ("pv", "arguments", "why"),
    [
        ("CCD9:Move", {"millimetres": "40"}, "RangeError: millimetres = 40.0 mm is outside [-5.0, 25.0] mm"),
        (
            "CCD9:Move",
            {"millimetres": "far"},
            "BadValueError: CCD9:Move:Millimetres = 'far' is not a value of type float64",
        ),
        ("CCD9:Move", {}, "BadValueError: CCD9:Move(millimetres): millimetres is missing"),
        (
            "CCD9:Move",
            {"Millimetres": "4", "speed": "1"},
            "BadValueError: CCD9:Move(millimetres): unknown argument Millimetres, unknown argument speed, "
            "millimetres is missing",
        ),
        (
            "CCD9:Expose",
            {"seconds": "7200"},
            "RangeError: seconds = 7200.0 s is outside [0.0, 3600.0] s",
        ),
        ("CCD9:Expose", {"seconds": "1", "frames": "1.5"}, "BadValueError: CCD9:Expose:Frames = 1.5 is not a whole"),
        (
            "CCD9:Other",
            {"shutter": "ajar"},
            "BadValueError: CCD9:Other:Shutter = 'ajar' is not a value of type enum; the labels are closed, open, "
            "synchronous",
        ),
        ("CCD9:Total", {"counts": "[1, 2"}, "BadValueError: '[1, 2' is not a list"),
        ("CCD9:Home", {"how": "fast"}, "BadValueError: CCD9:Home(): unknown argument how"),
        ("CCD9:Service", {}, "NotAllowedError: service is not allowed in state ON, only in OFF"),
        ("CCD9:Exposures", {}, "NotAllowedError: CCD9:Exposures is not a command"),
        ("CCD9:Expose:Seconds", {}, "NotAllowedError: CCD9:Expose:Seconds is not a command"),
    ],
)  # fmt: skip
def test_a_refused_call_says_why(
    pva: Context, channels: RawClient, server: Server, pv: str, arguments: dict[str, str], why: str
) -> None:
    before = server.proxy().exposures
    assert refusal(pva, pv, **arguments).startswith(why)
    assert server.proxy().exposures == before
    if pv in ("CCD9:Move", "CCD9:Expose"):
        assert channels.read(f"{pv}:Error").data.tobytes().decode().startswith(why)


def test_a_structure_where_a_number_belongs_is_refused(pva: Context) -> None:
    position = ("millimetres", ("S", None, [("x", "d")]))
    nested = Value(Type([("path", "s"), ("query", ("S", None, [position]))], "epics:nt/NTURI:1.0"))
    nested["query.millimetres.x"] = 1.5
    with pytest.raises(RemoteError, match="BadValueError: CCD9:Move"):
        pva.rpc("CCD9:Move", nested)


def test_a_call_while_one_runs_is_refused_at_once(pva: Context, channels: RawClient) -> None:
    channels.send(channels.channel("CCD9:Expose:Seconds").write([0.8], notify=False))
    channels.send(channels.channel("CCD9:Expose").write(b"1", notify=True))
    until(lambda: status(channels, "CCD9:Expose") == "RUNNING")
    begun = time.monotonic()
    assert refusal(pva, "CCD9:Expose", seconds="0.1").startswith("BusyError: CCD9:Expose: expose is running already")
    assert time.monotonic() - begun < 0.5
    until(lambda: status(channels, "CCD9:Expose") == "DONE")


def test_a_client_without_access_is_refused_and_on_record(
    pva: Context, mirrored: Mirror, server: Server, audit: Path
) -> None:
    def last() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(audit.read_text().splitlines()[-1])
        return found

    call(pva, "CCD9:Move", millimetres="3.5")
    line = last()
    assert (line["protocol"], line["pv"], line["new"], line["result"]) == (
        "pva", "CCD9:Move", {"millimetres": "3.5"}, "done"
    )  # fmt: skip
    before = mirrored.access.rules
    mirrored.access.rules = (Rule(level="operator"),)
    try:
        assert refusal(pva, "CCD9:Calibrate").startswith(
            "NotAllowedError: CCD9:Calibrate (level expert): no access rule"
        )
        assert last()["result"].startswith("NotAllowedError")
        assert call(pva, "CCD9:Move", millimetres="4.5").value == 4.5
    finally:
        mirrored.access.rules = before
    assert call(pva, "CCD9:Calibrate").value == "calibrated"


def test_any_structure_will_do(pva: Context) -> None:
    plain = Value(Type([("first", "l"), ("last", "l")]), {"first": 2, "last": 3})
    assert pva.rpc("CCD9:Ramp", plain).value.tolist() == [4.0, 9.0]


def test_the_proxies_of_p4p_call_commands(pva: Context) -> None:
    @rpcproxy
    class Stage:
        @rpccall("CCD9:Move")
        def move(millimetres="d"):  # type: ignore[no-untyped-def]  # p4p reads the types from the defaults
            pass

    assert Stage(context=pva).move(-4.5).value == -4.5


def test_clients_that_only_ask_something_wait_for_each_other(pva: Context) -> None:
    """Pages that show the same ask the same command, all at once: none is told that it is busy."""
    answers: dict[str, list[str]] = {}

    def ask(name: str) -> None:
        texts = [f"{name}{index}" for index in range(10)]
        answers[name] = [json.loads(call(pva, "CCD9:Label", text=text).value)["label"] for text in texts]

    threads = [threading.Thread(target=ask, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == {name: [f"{name}{index}" for index in range(10)] for name in "abcd"}


def test_calls_of_two_clients_have_each_their_own_answer(pva: Context) -> None:
    """Two read-outs, of which the second waits for the first: neither gets the other's result."""
    answers: dict[str, float] = {}

    def read_out(seconds: str) -> None:
        answers[seconds] = call(pva, "CCD9:ReadOut", seconds=seconds).value

    threads = [threading.Thread(target=read_out, args=(seconds,)) for seconds in ("0.3", "0.1", "0.2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert answers == {"0.3": 0.3, "0.1": 0.1, "0.2": 0.2}
