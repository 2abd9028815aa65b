"""A device made from the model through its own Tango server and the mirror: one of everything, and what is special."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tango
from caproto import ChannelType
from p4p.client.thread import Context, RemoteError

from servers.epics.alarm import Severity, Status
from servers.epics.configuration import MirroredDevice
from servers.epics.mirror import Mirror
from servers.epics.names import device_pvs
from tests.epics.mirroring import config_of, mirror, until, until_equal
from tests.epics.raw_client import RawClient
from tests.support.everything import SCALARS
from tests.support.serving import Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    properties = {"pv_prefix": "ALL1:"}
    folder = tmp_path_factory.mktemp("server")
    with serving("tests.support.everything:Everything", "test/everything/1", properties, folder=folder) as running:
        yield running


@pytest.fixture(scope="module")
def mirrored(server: Server) -> Iterator[Mirror]:
    with mirror(config_of((MirroredDevice(server.address),))) as running:
        yield running


@pytest.fixture
def device(server: Server) -> tango.DeviceProxy:
    return server.proxy()


def test_its_description_foretells_every_pv(mirrored: Mirror, device: tango.DeviceProxy) -> None:
    assert set(device_pvs(json.loads(device.describe()))) == {entry.name for entry in mirrored.list_pvs()}


def test_only_what_runs_a_dangerous_command_is_listed_as_dangerous(mirrored: Mirror) -> None:
    assert {entry.name for entry in mirrored.list_pvs() if entry.is_dangerous} == {"ALL1:Fail"}


@pytest.mark.parametrize("name", SCALARS)
def test_a_put_of_each_scalar_type_is_read_back_everywhere(
    name: str, device: tango.DeviceProxy, channels: RawClient, pva: Context
) -> None:
    value = SCALARS[name][1]
    base = "ALL1:" + "".join(part[:1].upper() + part[1:] for part in name.split("_"))
    if name == "an_enum":
        value = 2  # blue
        pva.put(base, {"value.index": value}, wait=True)
    else:
        pva.put(base, {"value": value}, wait=True)
    assert device.read_attribute(name).value == value

    def back() -> Any:
        found = pva.get(f"{base}_RBV").value
        return found.index if name == "an_enum" else found

    until(lambda: back() == value, "the read-back on PVAccess")
    until(lambda: pva.get(f"{base}_RBV").alarm.severity == 0)
    channel = channels.channel(base)
    if channel.native_data_type == ChannelType.CHAR and isinstance(value, str):
        other: Any = "anders"
        assert channels.put(channel, other.encode()).status.success
    else:
        other = 1 if name == "an_enum" else type(value)(0)
        assert channels.put(channel, [other]).status.success
    assert device.read_attribute(name).value == other
    if name in ("an_int64", "a_uint64"):
        pva.put(base, {"value": value}, wait=True)
        until(lambda: channels.read(f"{base}_RBV:Text").data[0].decode() == str(value), "every digit")


@pytest.mark.parametrize(
    ("kelvin", "severity", "status"),
    [
        (100.0, Severity.NO_ALARM, Status.NO_ALARM),
        (110.0, Severity.MINOR, Status.HIGH),
        (120.0, Severity.MAJOR, Status.HIHI),
        (70.0, Severity.MAJOR, Status.LOLO),
        (79.0, Severity.MINOR, Status.LOW),
        (95.0, Severity.NO_ALARM, Status.NO_ALARM),
    ],
)
def test_the_judgement_of_the_device_is_the_severity_of_the_pv(
    kelvin: float, severity: Severity, status: Status, channels: RawClient, pva: Context, device: tango.DeviceProxy
) -> None:
    assert channels.put("ALL1:Temperature", [90.0]).status.success
    put_at = time.time()
    assert channels.put("ALL1:Temperature", [kelvin]).status.success
    channel = channels.channel("ALL1:Temperature_RBV")

    def seen() -> tuple[float, int, int]:
        found = channels.read(channel, ChannelType.TIME_DOUBLE)
        return float(found.data[0]), int(found.metadata.severity), int(found.metadata.status)

    until_equal(seen, (kelvin, severity, status))
    until(lambda: pva.get("ALL1:Temperature_RBV").alarm.severity == severity)
    stamp = channels.read(channel, ChannelType.TIME_DOUBLE).metadata.stamp
    measured_at = stamp.secondsSinceEpoch + 631_152_000 + stamp.nanoSeconds * 1e-9
    # It is polled: the device has the time of the last poll, the PV that of the event that brought the value.
    assert put_at <= measured_at + 1e-5 <= device.read_attribute("temperature").time.totime() + 2e-5


def test_dead_bands_and_hysteresis_are_those_of_the_declaration(channels: RawClient) -> None:
    assert channels.read("ALL1:Counter.MDEL").data[0] == 10.0
    assert channels.read("ALL1:Counter.ADEL").data[0] == 100.0
    assert channels.read("ALL1:Temperature_RBV.HYST").data[0] == 2.0
    assert channels.put("ALL1:Temperature", [120.0]).status.success
    assert channels.put("ALL1:Temperature", [118.5]).status.success  # not yet 2 K below the bound
    channel = channels.channel("ALL1:Temperature_RBV")
    until(lambda: channels.read(channel).data[0] == 118.5)
    held = channels.read(channel, ChannelType.STS_DOUBLE).metadata
    assert (held.severity, held.status) == (Severity.MAJOR, Status.HIHI)
    channels.put("ALL1:Temperature", [100.0])


def test_the_front_panel_moves_the_setpoint_and_the_readback(channels: RawClient, pva: Context) -> None:
    assert channels.put("ALL1:TurnFrontPanel", [88.0]).status.success
    until(lambda: channels.read("ALL1:Temperature").data[0] == 88.0, "the set point")
    until(lambda: pva.get("ALL1:Temperature_RBV").value == 88.0, "the read-back")
    assert channels.read("ALL1:Position").data[0] == 3.0  # as the hardware had it when it was connected


def test_bounds_changed_in_tango_are_judged_by_at_once(channels: RawClient, device: tango.DeviceProxy) -> None:
    channels.put("ALL1:Temperature", [100.0])
    severity = channels.channel("ALL1:Temperature_RBV.SEVR")
    until(lambda: channels.read(severity).data[0] == 0)
    config = device.get_attribute_config("temperature")
    config.alarms.max_alarm, config.alarms.max_warning = "99", "98"
    device.set_attribute_config(config)
    begun = time.monotonic()
    until(lambda: channels.read(severity).data[0] == 2, "MAJOR")
    assert channels.read("ALL1:Temperature_RBV.HIHI").data[0] == 99.0
    assert time.monotonic() - begun < 1.0
    config.alarms.max_alarm, config.alarms.max_warning = "120", "110"
    device.set_attribute_config(config)
    until(lambda: channels.read(severity).data[0] == 0, "good again")


def test_a_bound_set_where_there_was_none_is_found_out(channels: RawClient, device: tango.DeviceProxy) -> None:
    config = device.get_attribute_config("fast")
    config.alarms.max_alarm = "5"
    device.set_attribute_config(config)
    time.sleep(0.2)  # the device adopts it within 0.1 s
    channels.put("ALL1:PublishValue", json.dumps({"name": "fast", "value": 6.5}).encode())
    channel = channels.channel("ALL1:Fast")

    def seen() -> tuple[int, int]:
        found = channels.read(channel, ChannelType.STS_DOUBLE).metadata
        return int(found.severity), int(found.status)

    until_equal(seen, (Severity.MAJOR, Status.HIHI))
    assert channels.read("ALL1:Fast.HIHI").data[0] == 5.0
    config.alarms.max_alarm = "Not specified"
    device.set_attribute_config(config)
    channels.put("ALL1:PublishValue", json.dumps({"name": "fast", "value": 7.5}).encode())
    until_equal(seen, (Severity.NO_ALARM, Status.NO_ALARM))


def test_an_operation_of_the_model_completes_its_put(channels: RawClient, pva: Context) -> None:
    begun = time.monotonic()
    assert channels.put("ALL1:Expose", [0.5]).status.success
    assert 0.5 <= time.monotonic() - begun < 1.5
    assert json.loads(channels.read("ALL1:Expose:Result").data.tobytes()) == {"seconds": 0.5}
    with pytest.raises(RemoteError, match=r"RangeError: .*seconds"):
        pva.put("ALL1:Expose", {"value": 101.0}, wait=True)
    assert channels.read("ALL1:Expose:Status", ChannelType.STRING).data[0] == b"REFUSED"


@pytest.mark.parametrize(
    ("pv", "put", "result"),
    [
        ("ALL1:Reverse", "lager", "regal"),
        ("ALL1:Total", np.array([1.5, 2.5]), 4.0),
        ("ALL1:Add", '{"first": 40, "second": 2}', 42.0),
        ("ALL1:PublishState", "FAULT", ""),
    ],
)
def test_commands_take_their_arguments_and_give_their_results(
    pv: str, put: Any, result: Any, pva: Context, channels: RawClient
) -> None:
    if pv == "ALL1:PublishState":
        assert channels.put(pv, [put.encode()], ChannelType.STRING).status.success
        until(lambda: channels.read("ALL1:AState", ChannelType.STRING).data[0] == b"FAULT")
    else:
        pva.put(pv, {"value": put}, wait=True)
    assert pva.get(f"{pv}:Result").value == result


def test_enumerated_arguments_and_results_have_labels(channels: RawClient) -> None:
    assert channels.put("ALL1:Opposite", [b"blue"], ChannelType.STRING).status.success
    assert channels.read("ALL1:Opposite:Result", ChannelType.STRING).data[0] == b"red"


def test_a_command_that_fails_or_is_not_allowed_says_so(channels: RawClient) -> None:
    answer = channels.put("ALL1:Fail", [1], ChannelType.LONG)
    assert b"no such luck" in bytes(answer.error_message)
    assert channels.read("ALL1:Fail:Status", ChannelType.STRING).data[0] == b"FAILED"
    answer = channels.put("ALL1:OnlyWhenOff", [1], ChannelType.LONG)
    assert b"NotAllowedError" in bytes(answer.error_message)
    assert channels.read("ALL1:OnlyWhenOff:Status", ChannelType.STRING).data[0] == b"REFUSED"
    answer = channels.put("ALL1:Sleep", [60.0])
    assert b"TimeoutError" in bytes(answer.error_message)


def test_an_invalid_value_and_nan_are_invalid_everywhere(channels: RawClient, pva: Context) -> None:
    channels.put("ALL1:PublishValue", json.dumps({"name": "fast", "value": 5.5}).encode())
    until(lambda: pva.get("ALL1:Fast").value == 5.5)
    channels.put("ALL1:PublishNan", b"fast")
    until(lambda: pva.get("ALL1:Fast").alarm.severity == 3)
    channels.put("ALL1:PublishValue", json.dumps({"name": "fast", "value": 6.5}).encode())
    until(lambda: pva.get("ALL1:Fast").value == 6.5 and pva.get("ALL1:Fast").alarm.severity == 0)
    channels.put("ALL1:MakeInvalid", b"fast")
    until(lambda: pva.get("ALL1:Fast").alarm.severity == 3)
    assert pva.get("ALL1:Fast").value == 6.5


def test_spectra_images_and_texts_arrive_whole(channels: RawClient, pva: Context, device: tango.DeviceProxy) -> None:
    pva.put("ALL1:Numbers", {"value": np.array([0.5, 1.5, 2.5])}, wait=True)
    until(lambda: channels.read("ALL1:Numbers_RBV").data.tolist() == [0.5, 1.5, 2.5])
    pva.put("ALL1:Texts", {"value": ["first", "zweiter"]}, wait=True)
    until(lambda: pva.get("ALL1:Texts_RBV").value == ["first", "zweiter"])
    frame = np.arange(15, dtype=np.uint16).reshape(3, 5)
    device.write_attribute("frame", frame)
    until(lambda: channels.read("ALL1:Frame:Width").data[0] == 5)
    assert channels.read("ALL1:Frame:Height").data[0] == 3
    assert channels.read("ALL1:Frame").data.tolist() == list(range(15))
    assert [dimension.size for dimension in pva.get("ALL1:Frame").dimension] == [5, 3]


def test_expert_attributes_and_commands_are_told_from_operator_ones(mirrored: Mirror) -> None:
    assert mirrored._pvs._records["ALL1:Fail"].level == "expert"
    assert mirrored._pvs._records["ALL1:Add"].level == "operator"


def test_the_last_of_many_values_arrives(channels: RawClient, pva: Context) -> None:
    pva.put("ALL1:Flood", {"value": '{"count": 3000, "period": 0.0001}'}, wait=True)
    until(lambda: pva.get("ALL1:Fast").value == 2999.0, "PVAccess", 3.0)
    assert channels.read("ALL1:Fast").data[0] == 2999.0
