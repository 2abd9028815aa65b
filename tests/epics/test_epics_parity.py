"""One attribute of every type has one value, time, severity, unit and bounds: on Tango, Channel Access, PVAccess."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tango
from caproto import AccessRights, ChannelType
from p4p.client.thread import Context

from servers.epics.alarm import Status
from servers.epics.configuration import MirroredDevice
from servers.epics.mirror import Mirror
from tests.epics.mirroring import config_of, mirror, until_equal
from tests.epics.raw_client import RawClient
from tests.support.every_type import JUDGED, ROWS, STAMP, Row, publication
from tests.support.serving import Server, serving

EPICS_EPOCH = 631_152_000
ALL = {row.name: row for row in (*ROWS, *JUDGED)}
NATIVE, STS, TIME, GR, CTRL = range(5)
STATE_SEVERITIES = {8: 2, 11: 1, 13: 3}  # FAULT, ALARM, UNKNOWN
LABEL_FIELDS = "ZRST ONST TWST THST FRST FVST SXST SVST EIST NIST TEST ELST TVST TTST FTST FFST".split()
WIRE = {"INT": ">i2", "FLOAT": ">f4", "ENUM": ">u2", "CHAR": "u1", "LONG": ">i4", "DOUBLE": ">f8"}
_numbers = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    device, folder = "tests.support.every_type:EveryType", tmp_path_factory.mktemp("server")
    with serving(device, "test/everytype/1", {"pv_prefix": "ALL9:"}, folder=folder) as running:
        yield running


@pytest.fixture(scope="module")
def mirrored(server: Server) -> Iterator[Mirror]:
    with mirror(config_of((MirroredDevice(server.address),))) as running:
        yield running


@pytest.fixture(scope="module")
def device(server: Server) -> tango.DeviceProxy:
    return server.proxy()


def readback(row: Row) -> str:
    return f"ALL9:{row.segment}" + ("_RBV" if row.words.get("access") == "read_write" else "")


def form(native: ChannelType, category: int) -> ChannelType:
    """The structure of a native type: a DBR type is 7 times its category and its native type."""
    return ChannelType(7 * category + native)


def tango_ns(reading: Any) -> int:
    return int(reading.time.tv_sec) * 10**9 + int(reading.time.tv_usec) * 1000 + int(reading.time.tv_nsec)


def ca_ns(metadata: Any) -> int:
    return (metadata.stamp.secondsSinceEpoch + EPICS_EPOCH) * 10**9 + int(metadata.stamp.nanoSeconds)


def pva_ns(value: Any) -> int:
    return int(value.timeStamp.secondsPastEpoch) * 10**9 + int(value.timeStamp.nanoseconds)


def publish(device: tango.DeviceProxy, row: Row, value: Any, quality: str = "VALID") -> Any:
    """Publish with a time stamp never used before, and return what Tango has then."""
    device.publish(publication(row, value, STAMP + next(_numbers), quality))
    return device.read_attribute(row.name)


def arrived(channels: RawClient, pva: Context, row: Row, reading: Any) -> tuple[Any, Any]:
    """Wait until both protocols show a reading; returns them, CA with its time stamp."""
    channel = channels.channel(readback(row))
    timed = form(channel.native_data_type, TIME)
    until_equal(lambda: ca_ns(channels.read(channel, timed).metadata), tango_ns(reading), "the time stamp on CA")
    until_equal(lambda: pva_ns(pva.get(readback(row))), tango_ns(reading), "the time stamp on PVA")
    return channels.read(channel, timed), pva.get(readback(row))


def cut(text: str) -> bytes:
    """What a DBR_STRING holds of a text: 39 bytes, whole characters."""
    return text.encode()[:39].decode("utf-8", "ignore").encode()


def on_the_wire(row: Row, value: Any) -> Any:
    """A Tango value as Channel Access has it in the native type: bytes, or texts."""
    if row.tango == "DevEncoded":
        return value[1].encode("latin-1") if isinstance(value[1], str) else bytes(value[1])
    if row.tango == "DevString":
        if row.ca == "CHAR":
            return value.encode() or b"\0"  # no element at all would mean something else
        return [cut(text) for text in ((value,) if row.rank == 0 else value or ())]
    numbers = np.asarray([] if value is None else value)
    if row.tango == "DevState" and numbers.size:
        numbers = np.vectorize(int)(numbers)
    with np.errstate(over="ignore"):
        return numbers.astype(WIRE[row.ca]).tobytes()


def same(one: Any, other: Any) -> bool:
    return bool(one == other) or (one != one and other != other)


def check_tango(reading: Any, row: Row, value: Any) -> None:
    """What was published is what Tango has."""
    assert reading.quality == tango.AttrQuality.ATTR_VALID
    if row.tango == "DevEncoded":
        assert (reading.value[0], on_the_wire(row, reading.value).hex()) == value
    elif row.tango == "DevString" or row.tango in ("DevEnum", "DevState"):
        found = reading.value if row.rank == 0 else [] if reading.value is None else list(reading.value)
        assert found == value
    else:
        np.testing.assert_array_equal(reading.value, np.asarray(value, row.kind))


def check_ca(channels: RawClient, row: Row, reading: Any) -> None:
    """The bytes of the native type and of all its structures."""
    channel = channels.channel(readback(row))
    expected = on_the_wire(row, reading.value)
    native = channel.native_data_type
    assert native.name == row.ca
    categories = (NATIVE, STS, TIME, GR, CTRL)
    if native == ChannelType.STRING:
        categories = (NATIVE, STS, TIME)  # caproto reads the others as if they had units; libca and the server do not
    for data_type in (form(native, category) for category in categories):
        found = channels.read(channel, data_type)
        data = [bytes(text) for text in found.data] if native == ChannelType.STRING else found.data.tobytes()
        assert data == expected, data_type.name


def check_pva(found: Any, row: Row, reading: Any) -> None:
    value = reading.value
    if row.pva == "enum":
        assert found.getID() == "epics:nt/NTEnum:1.0"
        assert found.value.index == int(value)
        return
    if row.pva == "image":
        assert found.getID() == "epics:nt/NTNDArray:1.0"
        assert [dimension.size for dimension in found.dimension] == list(reversed(value.shape))
        assert found.value.dtype == value.dtype
        np.testing.assert_array_equal(found.value, value.ravel())
        return
    assert found.getID() == f"epics:nt/NTScalar{'Array' if row.pva[0] == 'a' else ''}:1.0"
    assert found.type()["value"] == row.pva
    if row.tango == "DevEncoded":
        assert found.value.tobytes() == on_the_wire(row, value)
    elif row.pva == "as":
        assert found.value == list(value or ())
    elif row.rank:
        numbers = np.asarray([] if value is None else value)
        np.testing.assert_array_equal(
            found.value, np.vectorize(int)(numbers) if row.pva == "ai" and numbers.size else numbers
        )
    else:
        assert same(found.value, value)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_attribute_is_the_same_everywhere(
    row: Row, device: tango.DeviceProxy, channels: RawClient, pva: Context
) -> None:
    assert tango.CmdArgType(device.get_attribute_config(row.name).data_type).name == row.tango
    for index, value in enumerate(row.values):
        reading = publish(device, row, value)
        check_tango(reading, row, value)
        on_ca, on_pva = arrived(channels, pva, row, reading)
        check_ca(channels, row, reading)
        check_pva(on_pva, row, reading)
        severity = STATE_SEVERITIES.get(value, 0) if row.name == "state_value" else 0
        assert (on_ca.metadata.severity, on_pva.alarm.severity) == (severity, severity)
        for suffix, shown in row.companions.items():
            found = channels.read(f"{readback(row)}{suffix}")
            text = found.data.tobytes().decode().rstrip("\0") if found.data_type == ChannelType.CHAR else found.data[0]
            shown_there = text.decode() if isinstance(text, bytes) else text
            assert shown_there == shown[index]
            assert pva.get(f"{readback(row)}{suffix}").value == shown[index]
            assert pva_ns(pva.get(f"{readback(row)}{suffix}")) == tango_ns(reading)


@pytest.mark.parametrize("row", [row for row in ROWS if row.pva == "enum"], ids=lambda row: row.name)
def test_labels_are_the_same_everywhere(row: Row, device: tango.DeviceProxy, channels: RawClient, pva: Context) -> None:
    publish(device, row, 0 if row.values[0] else 1)  # a value that is not new has no event
    reading = publish(device, row, row.values[0])
    arrived(channels, pva, row, reading)
    labels = list(device.get_attribute_config(row.name).enum_labels) or [str(tango.DevState(i)) for i in range(14)]
    assert pva.get(readback(row)).value.choices == labels
    channel = channels.channel(readback(row))
    assert channels.read(channel, ChannelType.STRING).data[0] == cut(labels[int(reading.value)])
    if row.ca == "ENUM":
        shown = channels.read(channel, ChannelType.CTRL_ENUM).metadata.enum_strings
        assert [bytes(label).decode() for label in shown] == labels
        for field, label in itertools.zip_longest(LABEL_FIELDS, labels, fillvalue=""):
            assert channels.read(f"{readback(row)}.{field}").data[0].decode() == label


@pytest.mark.parametrize(
    "row", [row for row in ALL.values() if row.is_number and row.rank == 0], ids=lambda row: row.name
)
def test_units_and_bounds_are_the_same_everywhere(
    row: Row, device: tango.DeviceProxy, channels: RawClient, pva: Context
) -> None:
    config = device.get_attribute_config(row.name)
    found = pva.get(f"ALL9:{row.segment}")
    channel = channels.channel(f"ALL9:{row.segment}")
    control = channels.read(channel, form(channel.native_data_type, CTRL)).metadata
    graphic = channels.read(channel, form(channel.native_data_type, GR)).metadata
    assert config.unit == found.display.units == control.units.decode() == graphic.units.decode() == "µm"
    assert config.description == found.display.description == f"The {row.name}"
    if row.ca in ("DOUBLE", "FLOAT"):
        digits = int(config.format.rstrip("f").partition(".")[2] or 0)
        assert control.precision == graphic.precision == found.display.precision == digits

    def number(text: str, unset: float) -> float:
        return unset if text == "Not specified" else float(text)

    # a bound that is not set: NaN where there is one, 0 in an integer type
    ca_unset = math.nan if row.ca in ("DOUBLE", "FLOAT") else 0
    pva_unset = math.nan if row.pva in "df" else 0
    pairs = [
        (config.min_value, 0, "lower_ctrl_limit", "DRVL", found.control.limitLow),
        (config.max_value, 0, "upper_ctrl_limit", "DRVH", found.control.limitHigh),
        (config.min_value, 0, "lower_disp_limit", "LOPR", found.display.limitLow),
        (config.max_value, 0, "upper_disp_limit", "HOPR", found.display.limitHigh),
        (config.alarms.min_alarm, ca_unset, "lower_alarm_limit", "LOLO", found.valueAlarm.lowAlarmLimit),
        (config.alarms.max_alarm, ca_unset, "upper_alarm_limit", "HIHI", found.valueAlarm.highAlarmLimit),
        (config.alarms.min_warning, ca_unset, "lower_warning_limit", "LOW", found.valueAlarm.lowWarningLimit),
        (config.alarms.max_warning, ca_unset, "upper_warning_limit", "HIGH", found.valueAlarm.highWarningLimit),
    ]
    for text, unset, member, field, on_pva in pairs:
        raw, again = (getattr(found_there, member, None) for found_there in (control, graphic))
        on_ca = raw[0] if isinstance(raw, bytes) else raw
        expected = number(text, unset)
        assert same(on_ca, expected), member
        assert again is None or again == raw or same(again, raw), member
        assert same(channels.read(f"ALL9:{row.segment}.{field}").data[0], expected), field
        assert same(on_pva, number(text, 0 if unset == 0 and row.pva in "df" and "limit" in member else pva_unset)), (
            field
        )
    has_bounds = row in JUDGED
    severities = [channels.read(f"ALL9:{row.segment}.{field}").data[0] for field in ("HHSV", "HSV", "LSV", "LLSV")]
    assert severities == ([2, 1, 1, 2] if has_bounds else [0, 0, 0, 0])
    assert found.valueAlarm.active == has_bounds
    assert [
        found.valueAlarm[f"{which}Severity"] for which in ("highAlarm", "highWarning", "lowWarning", "lowAlarm")
    ] == severities


SEVERITIES = [
    ("VALID", 50, 0, "NO_ALARM"),
    ("VALID", 10, 1, "LOW"),  # at a bound is beyond it already
    ("VALID", 90, 1, "HIGH"),
    ("VALID", 5, 2, "LOLO"),
    ("VALID", 100, 2, "HIHI"),
    ("VALID", 11, 0, "NO_ALARM"),
    ("CHANGING", 51, 0, "NO_ALARM"),
    ("CHANGING", 95, 1, "HIGH"),
    ("WARNING", 52, 1, "STATE"),  # the hardware says so, no bound does
    ("ALARM", 53, 2, "STATE"),
    ("INVALID", 54, 3, "READ"),
]


@pytest.mark.parametrize("row", JUDGED, ids=lambda row: row.name)
def test_the_severity_is_the_same_everywhere(
    row: Row, device: tango.DeviceProxy, channels: RawClient, pva: Context
) -> None:
    names = {"VALID": "ATTR_VALID", "CHANGING": "ATTR_CHANGING", 1: "ATTR_WARNING", 2: "ATTR_ALARM", 3: "ATTR_INVALID"}
    last: float = 0
    for quality, value, severity, status in SEVERITIES:
        reading = publish(device, row, value, quality)
        assert reading.quality.name == names[severity or quality]
        on_ca, on_pva = arrived(channels, pva, row, reading)
        last = last if quality == "INVALID" else value
        assert (on_ca.data[0], on_ca.metadata.severity, Status(on_ca.metadata.status).name) == (last, severity, status)
        assert (on_pva.value, on_pva.alarm.severity) == (last, severity)
        assert channels.read(f"{readback(row)}.SEVR", ChannelType.STRING).data[0].decode() == (
            "NO_ALARM", "MINOR", "MAJOR", "INVALID")[severity]  # fmt: skip
        assert channels.read(f"{readback(row)}.STAT").data[0].decode() == status


def test_not_a_number_is_invalid_everywhere_and_infinity_is_not(
    device: tango.DeviceProxy, channels: RawClient, pva: Context
) -> None:
    row = ALL["judged_float"]
    publish(device, row, 50.5)
    for value, severity, status in ((math.nan, 3, "READ"), (math.inf, 2, "HIHI"), (-math.inf, 2, "LOLO")):
        on_ca, on_pva = arrived(channels, pva, row, publish(device, row, value))
        assert (on_ca.metadata.severity, Status(on_ca.metadata.status).name, on_pva.alarm.severity) == (
            severity,
            status,
            severity,
        )
        shown = 50.5 if math.isnan(value) else value  # what is INVALID keeps its last value
        assert on_ca.data[0] == on_pva.value == shown


EVERY = {"NAME", "RTYP", "DESC", "EGU", "STAT", "SEVR", "AMSG", "TIME", "UDF", "PROC", "DISP", "VAL"}
NUMBER = {"PREC", "HYST", "ADEL", "MDEL", "HOPR", "LOPR", "DRVH", "DRVL", "HIHI", "HIGH", "LOW", "LOLO", "HHSV", "HSV",
          "LSV", "LLSV"}  # fmt: skip
FIELDS = {
    "judged_float": ("ao", EVERY | NUMBER), "judged_int16": ("longout", EVERY | NUMBER),
    "judged_uint64": ("ao", EVERY | NUMBER), "flag": ("bo", EVERY | {"ZNAM", "ONAM"}),
    "two": ("mbbo", EVERY | set(LABEL_FIELDS)), "seventeen": ("longout", EVERY | set(LABEL_FIELDS)),
    "state_value": ("mbbi", EVERY | set(LABEL_FIELDS)), "short_text": ("stringout", EVERY), "long_text": ("lso", EVERY),
    "float64s": ("waveform", EVERY | NUMBER | {"NORD", "NELM", "FTVL"}),
    "texts": ("waveform", EVERY | {"NORD", "NELM", "FTVL"}),
    "uint16_image": ("waveform", EVERY | NUMBER | {"NORD", "NELM", "FTVL"}),
}  # fmt: skip


@pytest.mark.parametrize("name", FIELDS)
def test_each_kind_of_record_has_its_fields_and_only_val_can_be_put(
    name: str, device: tango.DeviceProxy, channels: RawClient, pva: Context
) -> None:
    row, (record_type, fields) = ALL[name], FIELDS[name]
    pv = f"ALL9:{row.segment}"
    for field in sorted(EVERY | NUMBER | set(LABEL_FIELDS) | {"ZNAM", "ONAM", "NORD", "NELM", "FTVL", "OUT", "FLNK"}):
        if field not in fields:
            with pytest.raises(LookupError):
                channels.channel(f"{pv}.{field}")
            continue
        channel = channels.channel(f"{pv}.{field}")
        may_be_put = field == "VAL" and pv != readback(row)
        assert channel.access_rights == (AccessRights.READ | AccessRights.WRITE if may_be_put else AccessRights.READ)
        if field != "VAL":
            answer = channels.put(channel, [1], ChannelType.LONG)
            assert b"NotAllowedError" in bytes(answer.error_message)
    assert channels.read(f"{pv}.NAME").data[0].decode() == pv
    assert channels.read(f"{pv}.RTYP").data[0].decode() == record_type
    assert channels.read(f"{pv}.DESC$").data.tobytes().decode() == (row.words.get("doc") or "\0")
    if "FTVL" in fields:
        names = {"INT": "SHORT"}
        assert channels.read(f"{pv}.FTVL").data[0].decode() == names.get(row.ca, row.ca)
        assert channels.read(f"{pv}.NELM").data[0] == math.prod(row.words["shape"])
        publish(device, row, row.values[0])
        arrived(channels, pva, row, publish(device, row, row.values[1]))
        assert channels.read(f"{readback(row)}.NORD").data[0] == np.size(row.values[1])


def test_a_text_longer_than_a_string_is_whole_with_a_dollar(
    device: tango.DeviceProxy, channels: RawClient, pva: Context
) -> None:
    for name in ("short_text", "long_text"):
        row = ALL[name]
        for text in row.values:
            arrived(channels, pva, row, publish(device, row, text))
            for suffix in ("$", ".VAL$"):
                whole = channels.read(f"{readback(row)}{suffix}")
                assert whole.data_type == ChannelType.CHAR
                assert whole.data.tobytes() == (text.encode() or b"\0")
            assert channels.read(readback(row), ChannelType.STRING).data[0] == cut(text)


PUTS: list[tuple[str, Any, Any]] = [  # attribute, what is put, what Tango has then; texts are put as DBR_STRING
    ("flag", "On", True), ("flag", "Off", False), ("flag", 1, True), ("flag", "false", False),
    ("two", "position 00", 0), ("two", 1, 1), ("two", "0", 0),
    ("sixteen", "ä filter position no 08", 8), ("sixteen", 3, 3), ("sixteen", "15", 15),
    ("seventeen", "position 14", 2), ("seventeen", 16, 16), ("seventeen", "7", 7),
    ("longer_label", 1, 1), ("longer_label", "a label of more bytes: ä02", 2),
    ("uint8", 255, 255), ("uint8", "0x10", 16), ("int16", -32768, -32768), ("uint16", 65535, 65535),
    ("int32", -(2**31), -(2**31)), ("uint32", 2**32 - 1, 2**32 - 1),
    ("int64", str(2**63 - 1), 2**63 - 1), ("int64", -(2**53), -(2**53)),
    ("uint64", str(2**64 - 1), 2**64 - 1), ("uint64", 2**53, 2**53),
    ("float32", 0.5, 0.5), ("float64", "1e-300", 1e-300), ("float64", -0.1, -0.1),
    ("short_text", "kurz", "kurz"), ("long_text", "Grüße", "Grüße"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "put", "value"), PUTS, ids=lambda item: str(item)[:20])
def test_a_put_over_channel_access_arrives(
    name: str, put: Any, value: Any, device: tango.DeviceProxy, channels: RawClient
) -> None:
    channel = channels.channel(f"ALL9:{ALL[name].segment}")
    data, data_type = ([put.encode()], ChannelType.STRING) if isinstance(put, str) else ([put], None)
    assert channels.put(channel, data, data_type).status.success
    assert device.read_attribute(name).value == value


@pytest.mark.parametrize(("name", "put", "value"), PUTS, ids=lambda item: str(item)[:20])
def test_a_put_over_pvaccess_arrives(name: str, put: Any, value: Any, device: tango.DeviceProxy, pva: Context) -> None:
    if ALL[name].pva == "enum":  # over PVAccess an index; clients turn labels into it
        if isinstance(put, str):
            labels = pva.get(f"ALL9:{ALL[name].segment}").value.choices
            put = labels.index(put) if put in labels else int(put)
        pva.put(f"ALL9:{ALL[name].segment}", {"value.index": put}, wait=True)
    else:
        if name == "flag":
            put = value  # clients turn texts into a boolean
        pva.put(f"ALL9:{ALL[name].segment}", {"value": put}, wait=True)
    assert device.read_attribute(name).value == value


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.rank == 1 and "access" in row.words], ids=lambda row: row.name
)
def test_a_spectrum_that_is_put_arrives_whole(
    row: Row, device: tango.DeviceProxy, channels: RawClient, pva: Context
) -> None:
    channel = channels.channel(f"ALL9:{row.segment}")
    for whole in (row.values[2], row.values[1]):
        value = [each for each in whole if isinstance(each, str) or math.isfinite(each)]  # Tango refuses the others
        sent = [cut(text).decode() for text in value] if row.pva == "as" else np.asarray(value, row.kind)
        if row.ca != "DOUBLE" or row.pva == "ad":  # integers of more than 53 bits do not fit a double
            data = [text.encode() for text in sent] if row.pva == "as" else sent
            assert channels.put(channel, data).status.success
            np.testing.assert_array_equal(device.read_attribute(row.name).value, sent)
        pva.put(f"ALL9:{row.segment}", {"value": value if row.pva == "as" else sent}, wait=True)
        np.testing.assert_array_equal(device.read_attribute(row.name).value, value if row.pva == "as" else sent)
