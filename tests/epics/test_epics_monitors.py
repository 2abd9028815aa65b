"""Which changes a Channel Access subscription hears, how many elements it gets, and channel filters."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from caproto import ChannelType

from servers.epics.alarm import GOOD, Alarm, Severity, Status
from servers.epics.fields import view
from servers.epics.filters import Filter, filter_of
from tests.epics.ca_bench import FACTS, Bench
from tests.epics.raw_client import RawClient

VALUE, LOG, ALARM, PROPERTY = 1, 2, 4, 8
HIGH = Alarm(Severity.MINOR, Status.HIGH, "HIGH")


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    running = Bench()
    yield running
    running.server.stop()


@pytest.fixture
def client(bench: Bench) -> Iterator[RawClient]:
    with RawClient(bench.server.port) as connected:
        yield connected


def subscribe(client: RawClient, pv: str, mask: int, data_type: Any = None) -> int:
    request = client.channel(pv).subscribe(data_type=data_type, data_count=0, mask=mask)
    client.send(request)
    client.update()
    return int(request.subscriptionid)


def test_each_kind_of_change_is_heard_by_those_who_asked_for_it(bench: Bench, client: RawClient) -> None:
    bench.records["T"].configure(replace(FACTS, archive_deadband=2.0))
    bench.publish("T", 0.0)
    channel = client.channel("T")
    kinds = {}
    for name, mask in {"value": VALUE, "log": LOG, "alarm": ALARM, "property": PROPERTY}.items():
        request = channel.subscribe(data_type=ChannelType.CTRL_DOUBLE, data_count=0, mask=mask)
        client.send(request)
        client.update()
        kinds[request.subscriptionid] = name
    got: dict[str, list[float]] = {name: [] for name in kinds.values()}
    logged = [2.5, 4.75, 9.0]  # further than 2.0 from the one before

    def listen(until: float) -> None:
        wanted = ("value", "log") if until in logged else ("value",)
        while not all(until in got[name] for name in wanted):
            update = client.update()
            got[kinds[update.subscriptionid]].append(float(update.data[0]))

    for value, alarm in ((1.0, GOOD), (2.0, GOOD), (2.5, GOOD), (4.0, HIGH), (4.75, HIGH), (5.0, GOOD)):
        bench.publish("T", value, alarm)
        listen(value)
    bench.records["T"].configure(replace(FACTS, limits=(0.0, 500.0)))
    bench.publish("T", 9.0)
    listen(9.0)
    assert got == {
        "value": [1.0, 2.0, 2.5, 4.0, 4.75, 5.0, 9.0],
        "log": logged,
        "alarm": [4.0, 5.0],
        "property": [5.0],  # the value as it was when the limits changed
    }


def test_changed_units_limits_and_labels_are_property_events(bench: Bench, client: RawClient) -> None:
    bench.records["T"].configure(FACTS)
    channel, choice = client.channel("T"), client.channel("E")
    client.subscribe(channel, ChannelType.CTRL_DOUBLE, PROPERTY)
    for changed in ({"unit": "mK"}, {"limits": (0.0, 77.0)}, {"alarm": (1.0, 70.0)}, {"precision": 5}):
        facts = replace(bench.records["T"].facts, **changed)  # type: ignore[arg-type]
        bench.records["T"].configure(facts)
        shown = client.update().metadata
        assert (shown.units.decode(), shown.upper_disp_limit, shown.upper_alarm_limit, shown.precision) == (
            facts.unit, facts.limits[1], facts.alarm[1], facts.precision
        )  # fmt: skip
    client.subscribe(choice, ChannelType.CTRL_ENUM, PROPERTY)
    bench.records["E"].configure(replace(bench.records["E"].facts, labels=("shut", "green")))
    assert client.update().metadata.enum_strings == (b"shut", b"green")
    bench.records["T"].configure(FACTS)


def test_a_field_is_heard_when_it_changes_and_only_then(bench: Bench, client: RawClient) -> None:
    bench.records["T"].configure(FACTS)
    bench.publish("T", 5.0)
    assert client.subscribe(client.channel("T.HIHI"), mask=VALUE).data[0] == 350.0
    bench.publish("T", 6.0)
    bench.records["T"].configure(replace(FACTS, unit="mK"))
    bench.records["T"].configure(replace(FACTS, alarm=(2.0, 300.0)))
    assert client.update().data[0] == 300.0
    bench.records["T"].configure(FACTS)


@pytest.mark.parametrize(
    ("asked", "given"),
    [(0, [0.5, 1.5, 2.5]), (1, [0.5]), (2, [0.5, 1.5]), (3, [0.5, 1.5, 2.5]), (500, [0.5, 1.5, 2.5])],
)
def test_a_client_gets_as_many_elements_as_it_asks_for_and_there_are(
    bench: Bench, client: RawClient, asked: int, given: list[float]
) -> None:
    bench.publish("W", np.array([0.5, 1.5, 2.5], np.float32))
    channel = client.channel("W")
    assert channel.native_data_count == 500
    found = client.read(channel, count=asked)
    assert (found.data.tolist(), found.data_count) == (given, len(given))


def test_an_array_that_becomes_shorter_or_empty_goes_on_being_heard(bench: Bench, client: RawClient) -> None:
    bench.publish("W", np.array([0.5, 1.5, 2.5], np.float32))
    assert client.subscribe(client.channel("W")).data.tolist() == [0.5, 1.5, 2.5]
    for values in ([7.5], [], [8.5, 9.5]):
        bench.publish("W", np.array(values, np.float32))
        assert client.update().data.tolist() == values


def test_libca_is_given_what_there_is_when_it_asks_for_more(bench: Bench) -> None:
    bench.publish("W", np.array([0.5, 1.5, 2.5], np.float32))
    script = """
import asyncio, aioca, json
async def main():
    got = [[float(each) for each in await aioca.caget("W", count=count)] for count in (0, 1, 2, 500)]
    heard = asyncio.Queue()
    monitors = [aioca.camonitor("W", heard.put, count=count, all_updates=True) for count in (2, 400)]
    got += sorted([[float(each) for each in await heard.get()] for _ in monitors])
    print(json.dumps(got))
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=bench.environment(), capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    whole = [0.5, 1.5, 2.5]
    assert json.loads(done.stdout) == [whole, whole[:1], whole[:2], whole, whole[:2], whole]


def test_a_text_longer_than_its_channel_says_so(bench: Bench, client: RawClient) -> None:
    bench.publish("N", "ä" * 200)  # 400 bytes, as long as can be
    whole = client.read("N")
    assert whole.data.tobytes().decode() == "ä" * 200
    bench.publish("N", "x" * 1000)
    cut = client.read("N").data.tobytes().decode()
    assert len(cut) == 400
    assert cut.endswith("xxx... (1000 bytes)")
    assert client.read("N", ChannelType.STRING).data[0] == b"x" * 39


NUMBERS = list(range(10))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('{"arr":{"s":2,"i":2,"e":8}}', [2, 4, 6, 8]),
        ("{arr:{s:2,i:2,e:8}}", [2, 4, 6, 8]),
        ("[3:5]", [3, 4, 5]),
        ("[3:2:-3]", [3, 5, 7]),
        ("[-1]", [9]),
        ("[4]", [4]),
        ("[:]", NUMBERS),
        ("[7:]", [7, 8, 9]),
        ("[::3]", [0, 1, 2, 3]),
        ("[:3:]", [0, 3, 6, 9]),
        ("[5:2]", []),
        ("[8:99]", [8, 9]),
        ('{"arr":{}}', NUMBERS),
    ],
)
def test_a_part_of_an_array_is_served_under_its_own_name(bench: Bench, text: str, part: list[int]) -> None:
    bench.publish("W", np.array(NUMBERS, np.float32))
    bench.publish("L", tuple("abcdefghij"))
    for name, record, native, shown in (
        (f"W.{text}", "W", ChannelType.FLOAT, np.array(part, ">f4").tobytes()),
        (f"W.VAL{text}", "W", ChannelType.FLOAT, np.array(part, ">f4").tobytes()),
        (f"L.{text}", "L", ChannelType.STRING, b"".join(b"abcdefghij"[n : n + 1].ljust(40, b"\0") for n in part)),
    ):
        found = view(name, bench.records.get)
        assert found is not None
        assert found.native == native
        assert found.payload(native, 0, bench.records[record].reading) == (shown, len(part))


def test_a_subscription_to_a_part_hears_that_part(bench: Bench, client: RawClient) -> None:
    bench.publish("W", np.array(NUMBERS, np.float32))
    assert client.subscribe(client.channel("W.[1:3]")).data.tolist() == [1, 2, 3]
    bench.publish("W", np.array(NUMBERS, np.float32) * 2)
    assert client.update().data.tolist() == [2, 4, 6]


def test_a_dead_band_holds_back_what_is_too_near_but_no_alarm(bench: Bench, client: RawClient) -> None:
    bench.records["T"].configure(FACTS)
    bench.publish("T", 1.0)
    names = {
        subscribe(client, 'T.{"dbnd":{"abs":1.5}}', VALUE | ALARM): "absolute",
        subscribe(client, 'T.{"dbnd":{"rel":50}}', VALUE | ALARM): "relative",
        subscribe(client, "T", VALUE): "all",
    }
    got: dict[str, list[float]] = {name: [] for name in names.values()}
    published = [1.25, 1.75, 2.0, 2.75, 3.25, 7.0]
    for value in published:
        bench.publish("T", value)
        while value not in got["all"]:
            update = client.update()
            got[names[update.subscriptionid]].append(float(update.data[0]))
    bench.publish("T", 7.5, HIGH)
    while not all(7.5 in values for values in got.values()):
        update = client.update()
        got[names[update.subscriptionid]].append(float(update.data[0]))
    assert got == {"absolute": [2.75, 7.0, 7.5], "relative": [1.75, 2.75, 7.0, 7.5], "all": [*published, 7.5]}


@pytest.mark.parametrize(
    ("text", "is_relative"),
    [('{"dbnd":{"d":1.5}}', False), ("{dbnd:{abs:1.5}}", False), ("{'dbnd':{'rel':1.5}}", True)],
)
def test_a_dead_band_has_several_spellings(text: str, is_relative: bool) -> None:
    assert filter_of(text) == Filter(deadband=1.5, is_relative=is_relative)


@pytest.mark.parametrize(
    "text",
    ['{"sync":{"while":"blue"}}', '{"ts":{}}', "{", "[1:2:3:4]", '{"arr":{"i":0}}', '{"arr":5}', "[x]", '{"dbnd":5}'],
)
def test_a_filter_that_is_not_there_is_not_found_and_logged_once(
    bench: Bench, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    filter_of.cache_clear()
    with caplog.at_level(logging.WARNING, "servers.epics.filters"):
        for _ in range(3):
            assert view(f"W.{text}", bench.records.get) is None
    assert len(caplog.records) == 1
    assert "there are arr and dbnd" in caplog.text


def test_a_filter_changes_nothing_for_others(bench: Bench, client: RawClient) -> None:
    assert filter_of("[:]") == Filter()
    bench.publish("T", 7.5)
    assert client.read("T.[0:3]").data[0] == 7.5  # a scalar has no parts
    with pytest.raises(LookupError):
        client.channel("NOBODY.[0:3]")
