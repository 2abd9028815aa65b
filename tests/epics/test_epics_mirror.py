"""A foreign Tango device through the mirror: the same value, unit, severity and time on Tango, CA and PVA."""

from __future__ import annotations

import json
import queue
import threading
import time
from pathlib import Path
from typing import Any

import caproto as ca
import numpy as np
import pytest
import tango
from caproto import ChannelType
from p4p.client.thread import Context, RemoteError

from servers.epics.alarm import Severity, Status
from servers.epics.mirror import Mirror
from tests.epics.mirroring import TangoServer, caproto, python, until
from tests.epics.raw_client import RawClient
from tests.epics.tango_devices import MANY, SCALARS, STAMP


@pytest.fixture
def plain(server: TangoServer) -> tango.DeviceProxy:
    return server.proxy(server.plain)


def _publish(plain: tango.DeviceProxy, value: float, quality: str = "VALID", stamp: float = STAMP) -> None:
    plain.Publish(json.dumps({"value": value, "quality": quality, "time": stamp}))


def _rest(plain: tango.DeviceProxy, channels: RawClient) -> None:
    """Have the device quiet at 77.25 K, whatever a test before did."""
    _publish(plain, 77.25)
    channel = channels.channel("PLAIN1:Temperature")
    until(lambda: channels.read(channel).data[0] == 77.25, "77.25 K")
    plain.SwitchTo("STANDBY")
    until(lambda: channels.read("PLAIN1:State", ChannelType.STRING).data[0] == b"STANDBY")


SEGMENTS = {name: name.title().replace("_", "") for name in SCALARS}


@pytest.mark.parametrize("name", SCALARS)
def test_a_scalar_is_the_same_everywhere(
    name: str, plain: tango.DeviceProxy, channels: RawClient, pva: Context
) -> None:
    value = plain.read_attribute(name).value
    assert value == SCALARS[name][1]
    assert pva.get(f"PLAIN1:{SEGMENTS[name]}").value == value
    channel = channels.channel(f"PLAIN1:{SEGMENTS[name]}")
    seen = channels.read(channel)
    if channel.native_data_type == ChannelType.CHAR and isinstance(value, str):
        assert seen.data.tobytes().decode() == value
    elif name in ("large", "ularge"):
        assert seen.data[0] == float(value)
        assert channels.read(f"PLAIN1:{SEGMENTS[name]}:Text").data[0].decode() == str(value)
    else:
        assert seen.data[0] == value


@pytest.mark.parametrize(
    ("quality", "kelvin", "severity", "status"),
    [
        ("VALID", 77.25, Severity.NO_ALARM, Status.NO_ALARM),
        ("WARNING", 320.0, Severity.MINOR, Status.HIGH),
        ("WARNING", 3.0, Severity.MINOR, Status.LOW),
        ("ALARM", 360.0, Severity.MAJOR, Status.HIHI),
        ("ALARM", 1.0, Severity.MAJOR, Status.LOLO),
        ("CHANGING", 77.5, Severity.NO_ALARM, Status.NO_ALARM),
    ],
)
def test_a_reading_keeps_its_value_time_and_quality(
    quality: str, kelvin: float, severity: Severity, status: Status, plain: tango.DeviceProxy, channels: RawClient,
    pva: Context, server: TangoServer,
) -> None:  # fmt: skip
    stamp = STAMP + kelvin  # another one each time
    _publish(plain, kelvin, quality, stamp)
    channel = channels.channel("PLAIN1:Temperature")

    def arrived() -> bool:
        found = channels.read(channel, ChannelType.TIME_DOUBLE)
        seconds = found.metadata.stamp.secondsSinceEpoch + 631_152_000 + found.metadata.stamp.nanoSeconds / 1e9
        return bool(found.data[0] == kelvin and abs(seconds - stamp) < 2e-6)

    until(arrived, "the reading on Channel Access")
    found = channels.read(channel, ChannelType.TIME_DOUBLE).metadata
    assert (found.severity, found.status) == (severity, status)
    until(lambda: pva.get("PLAIN1:Temperature").value == kelvin, "the reading on PVAccess")
    value = pva.get("PLAIN1:Temperature")
    assert value.alarm.severity == severity
    assert value.timeStamp.secondsPastEpoch + value.timeStamp.nanoseconds / 1e9 == pytest.approx(stamp, abs=2e-6)


def test_an_invalid_reading_keeps_the_last_value(plain: tango.DeviceProxy, channels: RawClient) -> None:
    _publish(plain, 80.5)
    channel = channels.channel("PLAIN1:Temperature")
    until(lambda: channels.read(channel).data[0] == 80.5)
    _publish(plain, 0.0, "INVALID", STAMP + 9)
    until(lambda: channels.read(channel, ChannelType.STS_DOUBLE).metadata.severity == Severity.INVALID)
    found = channels.read(channel, ChannelType.TIME_DOUBLE)
    assert (found.data[0], found.metadata.status) == (80.5, Status.READ)
    _rest(plain, channels)


def test_units_bounds_and_the_rest_are_those_of_the_tango_attribute(channels: RawClient, pva: Context) -> None:
    shown = channels.read("PLAIN1:Temperature", ChannelType.CTRL_DOUBLE).metadata
    assert (shown.units, shown.precision) == (b"K", 3)
    assert (shown.lower_alarm_limit, shown.lower_warning_limit) == (2.0, 4.0)
    assert (shown.upper_warning_limit, shown.upper_alarm_limit) == (310.0, 350.0)
    display = pva.get("PLAIN1:Temperature").display
    assert (display.units, display.description, display.limitHigh) == ("K", "Cold finger", 400.0)
    fields = {"DESC": b"Cold finger", "MDEL": 0.5, "ADEL": 1.5, "HOPR": 400.0}
    for field, value in fields.items():
        assert channels.read(f"PLAIN1:Temperature.{field}").data[0] == value


def test_bounds_changed_in_tango_change_at_once(plain: tango.DeviceProxy, channels: RawClient, pva: Context) -> None:
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    subscription = pva.monitor("PLAIN1:Temperature", heard.put)
    heard.get(timeout=5)
    field = channels.channel("PLAIN1:Temperature.HIHI")
    assert channels.subscribe(field).data[0] == 350.0
    try:
        config = plain.get_attribute_config("temperature")
        config.alarms.max_alarm = "340"
        plain.set_attribute_config(config)
        assert channels.update().data[0] == 340.0
        until(lambda: heard.get(timeout=5).valueAlarm.highAlarmLimit == 340.0)
    finally:
        config.alarms.max_alarm = "350"
        plain.set_attribute_config(config)
        subscription.close()
    assert channels.update().data[0] == 350.0


def test_spectra_images_texts_and_bytes_arrive_whole(channels: RawClient, pva: Context) -> None:
    np.testing.assert_allclose(channels.read("PLAIN1:Curve").data, np.linspace(0, 3, 7))
    np.testing.assert_allclose(pva.get("PLAIN1:Curve").value, np.linspace(0, 3, 7))
    assert channels.read("PLAIN1:Frame").data.tolist() == list(range(24))
    assert channels.read("PLAIN1:Frame:Width").data[0] == 6
    assert channels.read("PLAIN1:Frame:Height").data[0] == 4
    assert [dimension.size for dimension in pva.get("PLAIN1:Frame").dimension] == [6, 4]
    texts = pva.get("PLAIN1:Names").value
    assert texts[2] == "a text of more than forty characters, which a CA STRING cannot hold"
    assert channels.read("PLAIN1:Names").data[2] == texts[2].encode()[:39]
    assert channels.read("PLAIN1:Blob").data.tobytes() == bytes(range(5))
    assert channels.read("PLAIN1:Blob:Format").data[0] == b"GREY8"


def test_enumerations_and_states_have_their_labels(plain: tango.DeviceProxy, channels: RawClient, pva: Context) -> None:
    shown = channels.read("PLAIN1:Mode_RBV", ChannelType.CTRL_ENUM)
    assert shown.metadata.enum_strings == (b"standby", b"cool down", b"regulate")
    wheel = channels.channel("PLAIN1:Wheel_RBV")
    assert wheel.native_data_type == ChannelType.LONG  # 20 labels do not fit an ENUM
    index = plain.read_attribute("wheel").value
    assert channels.read("PLAIN1:Wheel_RBV:Label").data[0].decode() == MANY[index]
    value = pva.get("PLAIN1:Wheel_RBV").value
    assert (value.choices[value.index], len(value.choices)) == (MANY[index], 20)
    for state, severity in (("FAULT", 2), ("ALARM", 1), ("UNKNOWN", 3), ("STANDBY", 0)):
        plain.SwitchTo(state)
        until(lambda state=state: channels.read("PLAIN1:State", ChannelType.STRING).data[0].decode() == state)
        assert channels.read("PLAIN1:State", ChannelType.STS_ENUM).metadata.severity == severity
        until(lambda severity=severity: pva.get("PLAIN1:State").alarm.severity == severity, "the same on PVAccess")


def test_what_has_no_events_is_read_in_its_period(plain: tango.DeviceProxy, channels: RawClient) -> None:
    counter = channels.channel("PLAIN1:Counter")
    first = channels.read(counter).data[0]
    until(lambda: channels.read(counter).data[0] > first + 2, "the counter goes on", 3.0)
    broken = channels.read("PLAIN1:Broken", ChannelType.STS_DOUBLE).metadata
    assert (broken.severity, broken.status) == (Severity.INVALID, Status.READ)
    assert b"not plugged in" in channels.read("PLAIN1:Broken.AMSG$").data.tobytes()
    assert not plain.is_attribute_polled("counter")  # nobody else's device was changed


def test_a_put_moves_the_device_and_the_setpoint_stays(
    plain: tango.DeviceProxy, channels: RawClient, pva: Context, audit: Path
) -> None:
    channel = channels.channel("PLAIN1:Setpoint")
    assert channels.put(channel, [77.5]).status.success
    assert plain.read_attribute("setpoint").value == 77.5
    assert channels.read(channel).data[0] == 77.5
    until(lambda: channels.read("PLAIN1:Setpoint_RBV").data[0] == 77.5, "the read-back")
    deadline = time.monotonic() + 1.0  # this device pushes an event with the former set value
    while time.monotonic() < deadline:
        last = channels.read(channel).data[0]
        time.sleep(0.02)
    assert last == 77.5
    pva.put("PLAIN1:Setpoint", {"value": 78.5}, wait=True)
    assert plain.read_attribute("setpoint").value == 78.5
    line = json.loads(audit.read_text().splitlines()[-1])
    assert (line["protocol"], line["pv"], line["new"], line["result"]) == ("pva", "PLAIN1:Setpoint", 78.5, "done")


def test_a_setpoint_changed_by_somebody_else_moves_too(
    plain: tango.DeviceProxy, channels: RawClient, pva: Context
) -> None:
    plain.write_attribute("wheel", 11)
    until(lambda: channels.read("PLAIN1:Wheel_RBV").data[0] == 11, "the read-back")
    channels.put("PLAIN1:Wheel", [b"filter position 05"], ChannelType.STRING)
    assert plain.read_attribute("wheel").value == 5
    until(lambda: channels.read("PLAIN1:Wheel:Label").data[0] == b"filter position 05")


def test_every_writable_type_takes_a_put(plain: tango.DeviceProxy, channels: RawClient, pva: Context) -> None:
    text = "/a/path/of/more/than/forty/characters/ägypten.tif"
    assert channels.put("PLAIN1:Note", text.encode()).status.success
    assert plain.read_attribute("note").value == text
    assert channels.put("PLAIN1:List", [0.25, 0.5]).status.success
    assert plain.read_attribute("list").value.tolist() == [0.25, 0.5]
    assert channels.put("PLAIN1:Secret", [4711.0]).status.success
    assert plain.read_attribute("secret").w_value == 4711
    pva.put("PLAIN1:Mode", {"value.index": 2}, wait=True)
    assert plain.read_attribute("mode").value == 2
    with pytest.raises(LookupError):
        channels.channel("PLAIN1:Secret_RBV")


def test_a_refused_put_fails_and_says_why(channels: RawClient, pva: Context, audit: Path) -> None:
    error = channels.channel("PLAIN1:Setpoint:Error")
    answer = channels.put("PLAIN1:Setpoint", [13.0])
    assert b"RangeError: setpoint = 13.0 K brings bad luck" in bytes(answer.error_message)
    assert channels.read(error).data.tobytes() == b"RangeError: setpoint = 13.0 K brings bad luck"
    with pytest.raises(RemoteError, match=r"RangeError: PLAIN1:Setpoint = 1000\.0 K is outside \[1\.0, 325\.0\] K"):
        pva.put("PLAIN1:Setpoint", {"value": 1000.0}, wait=True)
    assert json.loads(audit.read_text().splitlines()[-1])["result"].startswith("RangeError")
    with pytest.raises(RemoteError, match="BadValueError"):  # Tango's text is latin-1
        pva.put("PLAIN1:Note", {"value": "Ω"}, wait=True)
    assert channels.put("PLAIN1:Setpoint", [80.0]).status.success
    assert channels.read(error).data.tobytes() == b"\0"


def test_puts_of_one_pv_arrive_in_order(plain: tango.DeviceProxy, channels: RawClient) -> None:
    channel = channels.channel("PLAIN1:Setpoint")
    for kelvin in range(20, 60):
        channels.send(channel.write([float(kelvin)], notify=False))
    assert channels.put(channel, [60.0]).status.success
    assert plain.read_attribute("setpoint").value == 60.0
    assert not [answer for answer in channels.unread if isinstance(answer, ca.ErrorResponse)]


def test_a_flood_of_events_ends_with_the_last_value(
    plain: tango.DeviceProxy, channels: RawClient, mirrored: Mirror
) -> None:
    channel, other = channels.channel("PLAIN1:Temperature"), channels.channel("PLAIN1:Setpoint")
    channels.subscribe(channel)
    plain.Flood(20_000)
    worst, deadline = 0.0, time.monotonic() + 20
    while channels.read(channel).data[0] != 20_000.0:
        begun = time.monotonic()
        channels.read(other)
        worst = max(worst, time.monotonic() - begun)
        assert time.monotonic() < deadline, "the last value did not come"
        channels.unread.clear()
    assert worst < 1.0
    _rest(plain, channels)


def test_caproto_gets_puts_and_monitors(mirrored: Mirror, plain: tango.DeviceProxy, channels: RawClient) -> None:
    _rest(plain, channels)
    assert "77.25" in caproto(mirrored, "get", "PLAIN1:Temperature").stdout
    assert "77.5" in caproto(mirrored, "put", "-c", "PLAIN1:Setpoint", "77.5").stdout
    assert plain.read_attribute("setpoint").value == 77.5
    assert "RangeError" in caproto(mirrored, "put", "-c", "PLAIN1:Setpoint", "13").stdout
    assert "brings bad luck" in caproto(mirrored, "get", "-S", "PLAIN1:Setpoint:Error").stdout
    seen = caproto(mirrored, "monitor", "--maximum", "1", "PLAIN1:Temperature")
    assert "77.25" in seen.stdout


def test_pyepics_gets_puts_and_monitors(mirrored: Mirror, plain: tango.DeviceProxy, channels: RawClient) -> None:
    _rest(plain, channels)
    out = python(
        mirrored,
        """
import epics, json, time
t, s = epics.PV("PLAIN1:Temperature", form="ctrl"), epics.PV("PLAIN1:Setpoint")
assert t.wait_for_connection(5) and s.wait_for_connection(5)
put = s.put(79.5, wait=True, timeout=10)
heard = []
monitor = epics.PV("PLAIN1:Setpoint_RBV", callback=lambda value=None, **_: heard.append(value), auto_monitor=True)
deadline = time.time() + 10
while 79.5 not in heard and time.time() < deadline: time.sleep(0.01)
print(json.dumps([t.get(), t.units, t.upper_alarm_limit, t.precision, put, 79.5 in heard, s.write_access,
    t.write_access, epics.caget("PLAIN1:Curve").tolist(), epics.caget("PLAIN1:Status", as_string=True),
    epics.caget("PLAIN1:State", as_string=True), epics.caget("PLAIN1:Temperature.DESC")]))
""",
    )
    assert json.loads(out.splitlines()[-1]) == [
        77.25, "K", 350.0, 3, 1, True, True, False, [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0], "cold and quiet", "STANDBY",
        "Cold finger",
    ]  # fmt: skip


def test_a_foreign_command_has_to_be_allowed(plain: tango.DeviceProxy, channels: RawClient, mirrored: Mirror) -> None:
    assert channels.put("PLAIN1:Double", [10.5]).status.success
    assert channels.read("PLAIN1:Double:Result").data[0] == 21.0
    assert channels.read("PLAIN1:Double:Status", ChannelType.STRING).data[0] == b"DONE"
    until(lambda: plain.read_attribute("counter").value > 10)
    assert channels.put("PLAIN1:Reset", [b"whatever"], ChannelType.STRING).status.success
    assert plain.read_attribute("counter").value < 10
    with pytest.raises(LookupError):
        channels.channel("PLAIN1:Publish")
    with pytest.raises(LookupError):
        channels.channel("PLAIN1:Init")


def test_the_list_of_pvs_and_the_statistics_tell_what_is_served(mirrored: Mirror, server: TangoServer) -> None:
    pvs = {entry.name: entry for entry in mirrored.list_pvs()}
    setpoint = pvs["PLAIN1:Setpoint"]
    assert (setpoint.kind, setpoint.is_writable, setpoint.part) == ("float64", True, "setpoint")
    assert setpoint.device == server.name(server.plain)
    assert not pvs["PLAIN1:Setpoint_RBV"].is_writable
    found = mirrored.statistics()
    assert found["pvs"] == len(pvs)
    assert found["clashes"] == 0
    assert set(found["devices"].values()) == {""}
    assert found["events"] > 0
    assert threading.active_count() < 60
