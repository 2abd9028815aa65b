"""A foreign cryostat through the mirror: how a file wants it, and what it does while it runs."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import caproto as ca
import numpy as np
import pytest
import tango
from caproto import ChannelType
from p4p.client.thread import Context

from servers.epics.alarm import Severity, Status
from servers.epics.mirror import Mirror
from tests.epics.foreign_server import ForeignServer, config_from, foreign_server
from tests.epics.mirroring import mirror, until, until_equal
from tests.epics.raw_client import RawClient

WANTED = """
{address}:
  prefix: "LAB1:"
  pv_names: {{Limit: Quench, double: Twice}}
  mirror_commands: [Double, On, Off, Load, Purge]
  leave_out: ["SPARE_?"]
  period: 0.5
  periods: {{counter: 0.1}}
  text_limit: 300
"""


@pytest.fixture(scope="module")
def server() -> Iterator[ForeignServer]:
    with foreign_server() as running:
        yield running


@pytest.fixture(scope="module")
def mirrored(server: ForeignServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    path = tmp_path_factory.mktemp("mirror") / "lab.devices.yaml"
    with mirror(config_from(path, WANTED.format(address=server.address))) as running:
        yield running


@pytest.fixture
def cryostat(server: ForeignServer) -> tango.DeviceProxy:
    return server.proxy(server.device)


def _alarm(client: RawClient, channel: Any) -> tuple[int, int]:
    found = client.read(channel, ChannelType.STS_DOUBLE).metadata
    return int(found.severity), int(found.status)


def _bases(mirrored: Mirror) -> set[str]:
    return {entry.name for entry in mirrored.list_pvs() if entry.name.count(":") == 1}


# --- what the file says


def test_names_commands_and_what_is_left_out_are_as_the_file_says(mirrored: Mirror, pva: Context) -> None:
    assert _bases(mirrored) == {
        f"LAB1:{name}"
        for name in (
            "Pressure", "Heater", "Heater_RBV", "Mode", "Mode_RBV", "Drift", "Level", "Counter", "Quench", "Quench_RBV",
            "Key", "Profile", "Map", "Table", "Report", "Report_RBV", "Sensor", "Snapshot", "State", "Status",
            "Twice", "On", "Off",
        )
    }  # fmt: skip
    pva.put("LAB1:Twice", {"value": 21.5}, wait=True)
    assert pva.get("LAB1:Twice:Result").value == 43.0
    assert sorted(note.partition("#dbase=no: ")[2] for note in mirrored.notes) == [
        "command Load is not mirrored: EPICS has no place for DevVarLongStringArray",
        "there is no command Purge to mirror",
    ]


def test_commands_called_on_and_off_are_words_and_run(
    cryostat: tango.DeviceProxy, channels: RawClient, pva: Context
) -> None:
    state = channels.channel("LAB1:State")
    for command in ("Off", "On"):
        pva.put(f"LAB1:{command}", {"value": 1}, wait=True)
        assert str(cryostat.state()) == command.upper()
        until_equal(lambda: channels.read(state, ChannelType.STRING).data[0].decode(), command.upper())


def test_what_has_no_events_is_read_in_one_call_for_each_period(mirrored: Mirror, cryostat: tango.DeviceProxy) -> None:
    cryostat.Calls()
    calls: list[Any] = []
    until(lambda: calls.extend(json.loads(cryostat.Calls())) or sum(len(names) > 1 for _, names in calls) > 3, "reads")
    whole = ["counter", "drift", "level", "limit", "map", "profile", "report", "sensor", "snapshot", "table"]
    reads = [names for _, names in calls if "counter" in names]  # Tango itself reads what has events
    assert {tuple(names) for names in reads} == {("counter",), tuple(whole)}
    assert sum(len(names) == 1 for names in reads) > 6  # four of five times the counter alone
    assert cryostat.polling_status() == ()
    assert not cryostat.is_attribute_polled("counter")


def test_a_text_has_the_limit_of_the_file(cryostat: tango.DeviceProxy, channels: RawClient) -> None:
    long = "öl " * 103  # 309 characters, 412 bytes
    cryostat.report = long
    until(lambda: channels.read("LAB1:Report_RBV").data.tobytes().decode() == long, "all of it is shown")
    refused = channels.put("LAB1:Report", long.encode())
    assert b"309 characters of text, more than 300" in bytes(refused.error_message)


# --- events


def test_events_that_come_too_often_are_shown_once_in_a_period_and_an_alarm_at_once(
    server: ForeignServer, tmp_path: Path, cryostat: tango.DeviceProxy
) -> None:
    text = f'{server.address}: {{prefix: "SLOW:", periods: {{pressure: 60, heater: 60}}}}'
    with mirror(config_from(tmp_path / "slow.yaml", text)) as slow, RawClient(slow.ca.port) as client:
        source = next(iter(slow._devices.values())).records.attributes["pressure"]
        until(lambda: source.is_subscribed, "events flow")
        channel = client.channel("SLOW:Pressure")
        shown = [client.subscribe(channel).data[0]]
        cryostat.Push(json.dumps({"values": [n * 1e-6 for n in range(1, 101)]}))
        until(lambda: source.held and source.held[-1][0].value == pytest.approx(1e-4), "the last one has come")
        cryostat.Push(json.dumps({"values": [2e-3], "quality": "ALARM"}))
        while shown[-1] != 2e-3:
            shown.append(client.update().data[0])
        assert len(shown) <= 4  # at the start, the first event, maybe one read, the alarm
        assert _alarm(client, channel) == (Severity.MAJOR, Status.HIHI)
        client.put("SLOW:Heater", [33.0])
        until(lambda: client.read("SLOW:Heater_RBV").data[0] == 33.0, "who puts sees it at once")
    cryostat.Push(json.dumps({"values": [2.5e-6]}))


def test_what_has_archive_events_only_or_none_is_followed(cryostat: tango.DeviceProxy, channels: RawClient) -> None:
    assert channels.read("LAB1:Drift").data[0] == 0.25
    cryostat.SetLevel(17.25)
    until(lambda: channels.read("LAB1:Level").data[0] == 17.25, "by the next read")
    cryostat.limit = 250.0
    until(lambda: channels.read("LAB1:Quench_RBV").data[0] == 250.0)
    assert channels.read("LAB1:Quench").data[0] == 250.0
    assert channels.put("LAB1:Key", [4711]).status.success
    assert channels.read("LAB1:Key").data[0] == 4711
    assert channels.read("LAB1:Snapshot").data.tolist() == [1, 0, 255]
    assert channels.read("LAB1:Snapshot:Format").data.tobytes().startswith(b"TRACE")


def test_arrays_that_change_their_size_are_followed(
    cryostat: tango.DeviceProxy, channels: RawClient, pva: Context
) -> None:
    for rows, columns in ((2, 7), (9, 1), (3, 5)):
        cryostat.Resize([rows, columns])
        until(lambda columns=columns: len(channels.read("LAB1:Profile").data) == columns, "the spectrum")
        until(
            lambda rows=rows, columns=columns: [axis.size for axis in pva.get("LAB1:Map").dimension] == [columns, rows]
        )
        assert channels.read("LAB1:Map:Width").data[0] == columns
        assert channels.read("LAB1:Map:Height").data[0] == rows
        assert channels.read("LAB1:Map").data.tolist() == list(range(rows * columns))
    assert pva.get("LAB1:Table").value == ["valve", "open", "helium", "pump", "running", "vacuum"]
    assert (channels.read("LAB1:Table:Height").data[0], channels.read("LAB1:Table:Width").data[0]) == (2, 3)
    assert channels.read("LAB1:Table").data[3] == b"pump"


# --- attributes that come and go


def test_an_attribute_that_comes_and_goes_is_followed_and_disturbs_no_other_client(
    cryostat: tango.DeviceProxy, mirrored: Mirror, channels: RawClient
) -> None:
    pressure, level = channels.channel("LAB1:Pressure"), channels.channel("LAB1:Level")
    channels.subscribe(pressure)
    cryostat.AddSensor("temperature_9")
    until(lambda: "LAB1:Temperature9" in _bases(mirrored), "it is there")
    new = channels.channel("LAB1:Temperature9")
    until(lambda: channels.read(new).data[0] == 77.5, "it has a value")
    cryostat.AddSensor("spare_2")  # left out
    cryostat.RemoveSensor("temperature_9")
    assert channels.wait_for(ca.ServerDisconnResponse).cid == new.cid
    assert not {"LAB1:Temperature9", "LAB1:Spare2"} & _bases(mirrored)
    cryostat.Push(json.dumps({"values": [3.5e-6]}))
    until(lambda: channels.read(pressure).data[0] == 3.5e-6, "events flow as before")
    assert channels.read(level).data is not None
    assert not [message for message in channels.unread if isinstance(message, ca.ServerDisconnResponse)]


# --- configuration


def _configure(cryostat: tango.DeviceProxy, name: str, **settings: Any) -> None:
    info = cryostat.get_attribute_config(name)
    for key, value in settings.items():
        if key in ("max_alarm", "min_alarm", "max_warning", "min_warning"):
            setattr(info.alarms, key, value)
        else:
            setattr(info, key, value)
    cryostat.set_attribute_config(info)


def test_bounds_that_appear_where_there_were_none_are_followed_at_once(
    cryostat: tango.DeviceProxy, channels: RawClient
) -> None:
    cryostat.SetLevel(17.25)
    until(lambda: channels.read("LAB1:Level").data[0] == 17.25)
    level, bound = channels.channel("LAB1:Level"), channels.channel("LAB1:Level.HIHI")
    assert np.isnan(channels.read(bound).data[0])
    assert _alarm(channels, level) == (0, 0)
    _configure(cryostat, "level", max_alarm="15.5", unit="cm")
    until(lambda: channels.read(bound).data[0] == 15.5, "HIHI")
    until_equal(lambda: _alarm(channels, level), (Severity.MAJOR, Status.HIHI))
    assert channels.read(channels.channel("LAB1:Level.EGU")).data[0] == b"cm"
    _configure(cryostat, "level", max_alarm="Not specified")
    until_equal(lambda: _alarm(channels, level), (0, 0))


def test_other_bounds_and_the_severity_follow_where_there_are_events(
    cryostat: tango.DeviceProxy, channels: RawClient, pva: Context
) -> None:
    cryostat.Push(json.dumps({"values": [2.5e-6]}))
    pressure = channels.channel("LAB1:Pressure")
    until(lambda: channels.read(pressure).data[0] == 2.5e-6)
    until_equal(lambda: _alarm(channels, pressure), (0, 0))
    _configure(cryostat, "pressure", max_warning="2e-6")
    until_equal(lambda: _alarm(channels, pressure), (Severity.MINOR, Status.HIGH))
    assert pva.get("LAB1:Pressure").valueAlarm.highWarningLimit == 2e-6
    _configure(cryostat, "pressure", max_warning="1e-4")
    until_equal(lambda: _alarm(channels, pressure), (0, 0))


def test_other_labels_of_an_enumeration_are_followed(
    cryostat: tango.DeviceProxy, channels: RawClient, pva: Context
) -> None:
    _configure(cryostat, "mode", enum_labels=["warm", "cooling down", "cold"])
    mode = channels.channel("LAB1:Mode_RBV")
    until_equal(lambda: channels.read(mode, ChannelType.STRING).data[0], b"cooling down")
    assert list(pva.get("LAB1:Mode_RBV").value.choices) == ["warm", "cooling down", "cold"]
    assert channels.put("LAB1:Mode", [b"cold"], ChannelType.STRING).status.success
    assert cryostat.mode == 2
    cryostat.mode = 1
    # A label of over 25 bytes has no place in a CA ENUM: another type, so other PVs.
    _configure(cryostat, "mode", enum_labels=["warm", "cooling down with the valve shut", "cold"])
    assert channels.wait_for(ca.ServerDisconnResponse).cid == mode.cid

    def label() -> str:
        try:
            return channels.read("LAB1:Mode_RBV:Label").data.tobytes().decode().strip("\0")
        except LookupError:
            return ""

    until_equal(label, "cooling down with the valve shut")
    _configure(cryostat, "mode", enum_labels=["warm", "cooling", "cold"])
    until(lambda: label() == "", "an ENUM again")


# --- failures


def test_an_attribute_that_fails_is_told_once_and_its_neighbours_are_well(
    cryostat: tango.DeviceProxy, channels: RawClient, caplog: pytest.LogCaptureFixture
) -> None:
    sensor, counter = channels.channel("LAB1:Sensor"), channels.channel("LAB1:Counter")
    until_equal(lambda: _alarm(channels, sensor), (0, 0))

    def lines() -> list[str]:
        return [line.getMessage() for line in caplog.records if "no value of sensor" in line.getMessage()]

    with caplog.at_level(logging.INFO):
        cryostat.Fail("BrokenWire:lead 3 is open")
        until_equal(lambda: _alarm(channels, sensor), (Severity.INVALID, Status.READ))
        count = channels.read(counter).data[0]
        until(lambda: channels.read(counter).data[0] > count + 20, "twenty reads")
        assert _alarm(channels, counter) == (0, 0)
        assert len(lines()) == 1
        assert lines()[0].endswith("no value of sensor: BrokenWire: lead 3 is open")
        assert channels.read(channels.channel("LAB1:Sensor.AMSG")).data[0].startswith(b"BrokenWire: lead 3")
        cryostat.Fail("ShortCircuit:lead 3 to ground")
        until(lambda: len(lines()) == 2, "another failure is told")
        cryostat.Fail("")
        until_equal(lambda: _alarm(channels, sensor), (0, 0))
        cryostat.Fail("BrokenWire:lead 3 is open")
        until_equal(lambda: _alarm(channels, sensor), (Severity.INVALID, Status.READ))
        cryostat.Fail("")
        until_equal(lambda: _alarm(channels, sensor), (0, 0))
        assert len(lines()) == 2  # a wire that is loose does not fill the log
