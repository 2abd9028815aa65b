"""TangoTest, the C++ server that belongs to Tango, through the mirror: every type, and no events at all."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tango
from caproto import ChannelType
from p4p.client.thread import Context, RemoteError

from servers.epics.alarm import Severity, Status
from servers.epics.mirror import Mirror
from servers.epics.names import segment
from tests.epics.foreign_server import ForeignServer, config_from, foreign_server
from tests.epics.mirroring import mirror, until, until_equal
from tests.epics.raw_client import RawClient
from tests.support.debian import program
from tests.support.demo_facility import Facility, free_offset, started, stopped
from tests.support.serving import ROOT

# Tango's word for a type: on Channel Access, and on PVAccess.
TYPES = {
    "boolean": (ChannelType.ENUM, "?"), "uchar": (ChannelType.CHAR, "B"), "short": (ChannelType.INT, "h"),
    "ushort": (ChannelType.LONG, "H"), "long": (ChannelType.LONG, "i"), "ulong": (ChannelType.DOUBLE, "I"),
    "long64": (ChannelType.DOUBLE, "l"), "ulong64": (ChannelType.DOUBLE, "L"), "float": (ChannelType.FLOAT, "f"),
    "double": (ChannelType.DOUBLE, "d"), "string": (ChannelType.CHAR, "s"),
}  # fmt: skip
SCALARS = {f"{word}_scalar": word for word in TYPES} | {
    "ampli": "double", "double_scalar_rww": "double", "double_scalar_w": "double", "long_scalar_rww": "long",
    "long_scalar_w": "long", "short_scalar_ro": "short", "short_scalar_rww": "short", "short_scalar_w": "short",
}  # fmt: skip
READ_WRITE = ("boolean", "double", "float", "long", "short", "string", "uchar", "ushort")
SPECTRA = {f"{word}_spectrum_ro": word for word in TYPES} | {f"{word}_spectrum": word for word in READ_WRITE}
IMAGES = {f"{word}_image_ro": word for word in TYPES} | {f"{word}_image": word for word in READ_WRITE}
COMMANDS = [
    "DevVoid", "DevBoolean", "DevDouble", "DevFloat", "DevLong", "DevLong64", "DevShort", "DevString", "DevULong",
    "DevULong64", "DevUShort", "DevVarCharArray", "DevVarDoubleArray", "DevVarFloatArray", "DevVarLongArray",
    "DevVarLong64Array", "DevVarShortArray", "DevVarStringArray", "DevVarULongArray", "DevVarULong64Array",
    "DevVarUShortArray", "DevVarLongStringArray", "DevVarDoubleStringArray", "SwitchStates",
]  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[ForeignServer]:
    with foreign_server((program("TangoTest", "tango-test"), "test"), "sys/tg_test/1") as running:
        yield running


@pytest.fixture(scope="module")
def mirrored(server: ForeignServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    path = tmp_path_factory.mktemp("mirror") / "tangotest.devices.yaml"
    text = f"""
{server.address}:
  prefix: "TEST1:"
  mirror_commands: [{", ".join(COMMANDS)}]
  period: 0.2
  periods: {{"*_image*": 1.0}}
"""
    with mirror(config_from(path, text)) as running:
        yield running


@pytest.fixture
def device(server: ForeignServer) -> tango.DeviceProxy:
    return server.proxy(server.device)


def _pv(attribute: str) -> str:
    """The PV that shows what was read; an image is not for writing."""
    writable = (*READ_WRITE, "long64", "ulong", "ulong64")
    is_both = attribute.removesuffix("_scalar").removesuffix("_spectrum") in writable
    return f"TEST1:{segment(attribute)}{'_RBV' if is_both else ''}"


def test_all_62_attributes_are_mirrored_and_nothing_else(mirrored: Mirror, device: tango.DeviceProxy) -> None:
    names = {info.name for info in device.attribute_list_query()}
    always = {"State", "Status", "no_value", "throw_exception", "wave"}
    assert len(names) == 62
    assert names >= set(SCALARS) | always
    assert set(SPECTRA) & names and set(IMAGES) & names
    parts = {entry.part for entry in mirrored.list_pvs()}
    assert {part for part in parts if not part.endswith("()")} == names
    assert device.polling_status() == ()  # somebody else's device is never told to poll


def test_every_scalar_has_the_type_and_value_of_the_device(
    device: tango.DeviceProxy, channels: RawClient, pva: Context
) -> None:
    for name, word in SCALARS.items():
        ca_type, code = TYPES[word]
        channel = channels.channel(_pv(name))
        assert channel.native_data_type == ca_type, name
        assert pva.get(_pv(name)).type()["value"] == code, name
        until(lambda name=name: pva.get(_pv(name)).value == device.read_attribute(name).value, f"{name} on PVAccess")
        if ca_type is not ChannelType.CHAR or word == "uchar":
            until(
                lambda channel=channel, name=name: channels.read(channel).data[0] == device.read_attribute(name).value,
                f"{name} on Channel Access",
            )
        else:
            assert channels.read(channel).data.tobytes().decode() == device.read_attribute(name).value


def test_every_spectrum_has_the_type_length_and_values_of_the_device(
    device: tango.DeviceProxy, channels: RawClient, pva: Context
) -> None:
    present = {info.name for info in device.attribute_list_query()}
    spectra = {name: word for name, word in SPECTRA.items() if name in present}
    assert len(spectra) == 19
    for name, word in (spectra | {"wave": "double"}).items():
        channel = channels.channel(_pv(name))
        expected = {"string": ChannelType.STRING, "boolean": ChannelType.CHAR}.get(word, TYPES[word][0])
        assert channel.native_data_type == expected, name
        assert pva.get(_pv(name)).type()["value"] == "a" + TYPES[word][1], name

        def same(name: str = name) -> bool:
            return np.array_equal(pva.get(_pv(name)).value, device.read_attribute(name).value)

        until(same, f"{name} on PVAccess")
        assert len(channels.read(channel).data) == len(device.read_attribute(name).value)


def test_every_image_keeps_its_rows_and_columns(
    device: tango.DeviceProxy, channels: RawClient, pva: Context, mirrored: Mirror
) -> None:
    present = {info.name for info in device.attribute_list_query()}
    images = {name: word for name, word in IMAGES.items() if name in present}
    assert len(images) == 19
    for name in images:
        assert [channels.read(f"{_pv(name)}:{side}").data[0] for side in ("Height", "Width")] == [251, 251], name
    assert [axis.size for axis in pva.get("TEST1:DoubleImage").dimension] == [251, 251]
    random = ["boolean_image_ro", "double_image_ro", "string_image_ro", "uchar_image_ro", "ushort_image_ro"]
    there: dict[str, set[str]] = {name: set() for name in random}
    here: dict[str, set[str]] = {name: set() for name in random}

    def all_seen() -> bool:
        """New images come about once a second: some of them are seen at both ends."""
        for answer in device.read_attributes([name for name in random if not there[name] & here[name]]):
            there[answer.name].add(str(np.ravel(answer.value).tolist()))
            here[answer.name].add(str(np.ravel(pva.get(_pv(answer.name)).value).tolist()))
        return all(there[name] & here[name] for name in random)

    until(all_seen, "random images on PVAccess", 30.0)
    pixels = channels.read("TEST1:UcharImageRo").data
    assert len(pixels) == 251 * 251
    texts = channels.read("TEST1:StringImageRo", count=300).data  # row by row; caproto needs 10 s to read them all
    assert texts[252].startswith(b"[01][01]::hello world")


PUTS: dict[str, Any] = {
    "double_scalar": 3.5, "float_scalar": -0.25, "long_scalar": -77, "long64_scalar": 2**40, "short_scalar": -5,
    "uchar_scalar": 200, "ushort_scalar": 60_000, "ulong_scalar": 4_000_000_000, "ulong64_scalar": 2**41 + 1,
    "boolean_scalar": False, "string_scalar": "eine Länge", "ampli": 2.0, "double_scalar_w": 1.5,
    "double_spectrum": [1.5, 2.5, 4.0], "long_spectrum": [7, -8], "boolean_spectrum": [True, False, True],
    "string_spectrum": ["one", "two", "three"],
}  # fmt: skip


def test_what_is_put_arrives_at_the_device(device: tango.DeviceProxy, pva: Context) -> None:
    for name, value in PUTS.items():
        pva.put(f"TEST1:{segment(name)}", {"value": value}, wait=True)
        arrived = device.read_attribute(name).w_value
        assert np.array_equal(arrived, value), name
        # A read that was on its way shows what was there before, for a moment.
        until(lambda: np.array_equal(pva.get(f"TEST1:{segment(name)}").value, value))  # noqa: B023


def test_what_is_put_over_channel_access_arrives_at_the_device(device: tango.DeviceProxy, channels: RawClient) -> None:
    assert channels.put("TEST1:LongScalar", [1234]).status.success
    assert device.read_attribute("long_scalar").w_value == 1234
    assert channels.put("TEST1:ShortSpectrum", [3, -2, 1]).status.success
    assert device.read_attribute("short_spectrum").w_value.tolist() == [3, -2, 1]
    assert channels.put("TEST1:StringSpectrum", [b"red", b"green"]).status.success
    assert device.read_attribute("string_spectrum").w_value == ("red", "green")
    refused = channels.put("TEST1:UcharScalar", [300], ChannelType.LONG)
    assert b"300 is outside 0 .. 255" in bytes(refused.error_message)
    assert b"read-only" in bytes(channels.put("TEST1:ShortScalarRo", [1]).error_message)


def test_an_attribute_that_always_fails_is_invalid_and_logged_once(
    server: ForeignServer, channels: RawClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for pv in ("TEST1:ThrowException", "TEST1:NoValue"):
        seen = channels.read(pv, ChannelType.STS_LONG).metadata
        assert (seen.severity, seen.status) == (Severity.INVALID, Status.READ)
    text = f'{server.address}: {{prefix: "TEST2:", period: 0.05, leave_out: ["*_image*"]}}'
    with caplog.at_level(logging.INFO), mirror(config_from(tmp_path / "again.yaml", text)) as again:
        source = next(iter(again._devices.values()))
        counter = source.records.attributes["throw_exception"]
        times = set()
        until(lambda: times.add(counter.next_time) or len(times) > 10, "ten reads")
    lines = [record.getMessage() for record in caplog.records if "no value of" in record.getMessage()]
    assert len(lines) == 2
    assert any("no value of throw_exception: exception test: " in line for line in lines)
    assert any("no value of no_value: API_AttrValueNotSet: " in line for line in lines)


@pytest.mark.parametrize(
    ("command", "argument", "result"),
    [
        ("DevDouble", 2.5, 2.5),
        ("DevLong", -70_000, -70_000),
        ("DevULong64", 2**63 + 1, 2**63 + 1),
        ("DevBoolean", True, True),
        ("DevString", "eine Länge", "eine Länge"),
        ("DevVarDoubleArray", [1.5, 2.5, 4.0], [1.5, 2.5, 4.0]),
        ("DevVarCharArray", [1, 0, 255], [1, 0, 255]),
        ("DevVarStringArray", ["cold", "warm"], ["cold", "warm"]),
    ],
)
def test_a_command_that_is_allowed_runs(command: str, argument: Any, result: Any, pva: Context) -> None:
    pva.put(f"TEST1:{command}", {"value": argument}, wait=True)
    assert pva.get(f"TEST1:{command}:Status").value.index == 3  # DONE
    assert np.array_equal(pva.get(f"TEST1:{command}:Result").value, result)


def test_a_command_without_argument_switches_the_state(
    device: tango.DeviceProxy, channels: RawClient, pva: Context
) -> None:
    state = channels.channel("TEST1:State")
    until(lambda: channels.read(state, ChannelType.STRING).data[0] == b"RUNNING", "the state at rest")
    pva.put("TEST1:SwitchStates", {"value": 1}, wait=True)
    assert device.state() == tango.DevState.FAULT
    until(lambda: channels.read(state, ChannelType.STRING).data[0] == b"FAULT", "the state after the command")
    assert channels.read(state, ChannelType.STS_ENUM).metadata.severity == Severity.MAJOR
    pva.put("TEST1:SwitchStates", {"value": 1}, wait=True)
    until(lambda: channels.read(state, ChannelType.STRING).data[0] == b"RUNNING", "the state as before")


def test_commands_that_epics_has_no_type_for_are_refused_by_name(mirrored: Mirror, channels: RawClient) -> None:
    for command in ("DevVarLongStringArray", "DevVarDoubleStringArray"):
        assert any(
            f"command {command} is not mirrored: EPICS has no place for {command}" in note for note in mirrored.notes
        )
        with pytest.raises(LookupError):
            channels.channel(f"TEST1:{command}")
    for command in ("CrashFromOmniThread", "Init", "DumpExecutionState"):  # nobody allowed them
        with pytest.raises(LookupError):
            channels.channel(f"TEST1:{command}")


def test_a_put_of_the_wrong_type_is_refused(pva: Context) -> None:
    with pytest.raises((RemoteError, ValueError)):
        pva.put("TEST1:DoubleScalar", {"value": "warm"}, wait=True)


def test_it_is_mirrored_again_after_a_restart(server: ForeignServer, mirrored: Mirror, channels: RawClient) -> None:
    wave = channels.channel("TEST1:Wave")

    def alarm() -> tuple[int, int]:
        found = channels.read(wave, ChannelType.STS_DOUBLE).metadata
        return int(found.severity), int(found.status)

    until_equal(alarm, (0, 0), "at rest")
    server.kill()
    until_equal(alarm, (Severity.INVALID, Status.LINK), "gone")
    assert len(channels.read(wave).data) == 256  # the last values stay
    server.start()
    until_equal(alarm, (0, 0), "back")
    assert channels.put("TEST1:DoubleScalar", [4.5]).status.success
    assert server.proxy(server.device).read_attribute("double_scalar").w_value == 4.5


@pytest.fixture
def facility(tmp_path: Path) -> Iterator[Facility]:
    """``diptych up`` of a copy of the shipped files."""
    program("TangoTest", "tango-test")
    for file in (ROOT / "dbconfig").glob("tangotest.*"):
        shutil.copy(file, tmp_path)
    running = started(tmp_path / "state", free_offset(), file=tmp_path / "tangotest.json")
    yield running
    stopped(running)


@pytest.mark.long
def test_the_shipped_facility_runs_and_its_file_is_read_again(facility: Facility, tmp_path: Path) -> None:
    ready = next(line for line in facility.output.read_text().splitlines() if "sys/tg_test/1" in line)
    assert ready.split() == ["sys/tg_test/1", "TEST1:", "server", "TangoTest/test,", "RUNNING"]
    assert facility.run("caproto-put", "-c", "TEST1:Amplitude", "2.5").returncode == 0
    assert facility.get("TEST1:Amplitude") == "2.5"
    assert facility.get("TEST1:Amplitude.RTYP") == "ao"
    assert facility.run("diptych", "get", "sys/tg_test/1/ampli").stdout.strip() == "2.5"
    served = facility.run("diptych", "ls", "--pvs").stdout.split()
    assert "TEST1:DevDouble" in served
    assert not {"TEST1:NoValue", "TEST1:ThrowException", "TEST1:DevVarLongArray"} & set(served)

    path = tmp_path / "tangotest.devices.yaml"
    text = path.read_text()
    path.write_text(text.replace("ampli: Amplitude", "ampli: Swing"))
    assert facility.run("caproto-put", "-c", "MIRROR1:Reload", "1").returncode == 0
    until(lambda: "TEST1:Swing" in facility.run("diptych", "ls", "--pvs").stdout, "the new name")
    path.write_text(text.replace("prefix:", "prefx:"))
    mistake = f"{path}: sys/tg_test/1: unknown key prefx; did you mean prefix?"
    assert mistake in facility.run("caproto-put", "-c", "MIRROR1:Reload", "1").stdout
    assert mistake in facility.get("MIRROR1:Reload:Error")
    assert facility.get("TEST1:Swing") == "2.5"  # as before
