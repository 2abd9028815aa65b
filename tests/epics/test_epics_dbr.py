from __future__ import annotations

import ctypes
import math
from dataclasses import replace

import numpy as np
import pytest
from caproto import DBR_TYPES, ChannelType
from hypothesis import given
from hypothesis import strategies as st

from servers.epics import dbr
from servers.epics.alarm import Alarm, Severity, Status
from servers.epics.fields import record_type, view
from servers.epics.records import Facts, Kind, Reading, Record

FACTS = Facts(unit="1/nm", precision=3, limits=(0.0, 100.0), warning=(5.0, 90.0), alarm=(None, 95.0))
READING = Reading(91.5, 1_700_000_000_123_456_789, Alarm(Severity.MINOR, Status.HIGH))
STRUCTURES = [kind for kind in ChannelType if 7 <= kind <= 34 and kind != ChannelType.CTRL_STRING]


@pytest.mark.parametrize("data_type", STRUCTURES, ids=lambda kind: kind.name)
def test_a_structure_is_laid_out_as_a_client_reads_it(data_type: ChannelType) -> None:
    raw = dbr.metadata(READING, FACTS, data_type, ("Off", "On"), True)
    assert len(raw) == ctypes.sizeof(DBR_TYPES[data_type])
    read = DBR_TYPES[data_type].from_buffer(bytearray(raw)).to_dict()
    assert (read["severity"], read["status"]) == (Severity.MINOR, Status.HIGH)
    if "timestamp" in read:
        assert read["timestamp"] == pytest.approx(1_700_000_000.123456, abs=2e-6)
    if "units" in read:
        assert read["units"] == b"1/nm"
    if "enum_strings" in read:
        assert read["enum_strings"] == (b"Off", b"On")
    if read.get("precision") is not None:
        assert read["precision"] == 3
        assert math.isnan(read["lower_alarm_limit"])
    if "upper_alarm_limit" in read:
        expected = {
            "upper_alarm_limit": 95,
            "upper_warning_limit": 90,
            "lower_warning_limit": 5,
            "upper_disp_limit": 100,
        }
        for name, value in expected.items():
            found = read[name][0] if isinstance(read[name], bytes) else read[name]
            assert found == value
    if "upper_ctrl_limit" in read and not isinstance(read["upper_ctrl_limit"], bytes):
        assert (read["lower_ctrl_limit"], read["upper_ctrl_limit"]) == (0, 100)


def test_ctrl_string_is_laid_out_as_in_epics_base() -> None:
    assert len(dbr.metadata(READING, FACTS, ChannelType.CTRL_STRING, (), True)) == 4


@pytest.mark.parametrize(
    ("unit", "shown"), [("K", b"K" + 7 * b"\0"), ("electron", b"electro\0"), ("J/(s m)µ", b"J/(s m)\0")]
)
def test_a_unit_always_ends_inside_its_8_bytes(unit: str, shown: bytes) -> None:
    raw = dbr.metadata(READING, replace(FACTS, unit=unit), ChannelType.CTRL_DOUBLE, (), True)
    assert raw[8:16] == shown


@given(st.text())
def test_a_string_is_never_cut_inside_a_character_and_always_ends(text: str) -> None:
    raw = dbr.string_bytes(text)
    assert len(raw) == 40
    assert raw[39] == 0
    shown = raw.rstrip(b"\0").decode()
    if "\0" not in text:
        assert text.startswith(shown)
        assert shown == text or len(text.encode()) > 39


@given(st.floats(), st.sampled_from([ChannelType.INT, ChannelType.LONG, ChannelType.CHAR, ChannelType.ENUM]))
def test_a_number_that_does_not_fit_becomes_the_nearest_bound(value: float, data_type: ChannelType) -> None:
    raw, count = dbr.encode(value, data_type)
    found = int(np.frombuffer(raw, dbr.DTYPES[data_type])[0])
    bounds = np.iinfo(dbr.DTYPES[data_type])
    assert count == 1
    assert found == (0 if math.isnan(value) else int(min(max(value, bounds.min), bounds.max)))


@given(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=20))
def test_arrays_keep_their_true_length(values: list[int]) -> None:
    raw, count = dbr.encode(np.array(values, np.int32), ChannelType.LONG)
    assert count == len(values)
    assert np.frombuffer(raw, ">i4").tolist() == values


def test_an_image_goes_row_by_row() -> None:
    raw, count = dbr.encode(np.arange(6, dtype=np.uint16).reshape(2, 3), ChannelType.LONG)
    assert (count, np.frombuffer(raw, ">i4").tolist()) == (6, [0, 1, 2, 3, 4, 5])


@pytest.mark.parametrize(
    ("value", "labels", "shown"),
    [(77.25, (), b"77.25"), (0.1 + 0.2, (), b"0.3"), (True, (), b"1"), (2, ("a", "b", "c"), b"c"), ("x", (), b"x")],
)
def test_any_value_can_be_read_as_text(value: object, labels: tuple[str, ...], shown: bytes) -> None:
    assert dbr.encode(value, ChannelType.STRING, labels)[0].rstrip(b"\0") == shown


@pytest.mark.parametrize(
    ("record", "native", "rtyp"),
    [
        (Record("A", Kind.UINT8), ChannelType.CHAR, "longin"),
        (Record("A", Kind.INT16), ChannelType.INT, "longin"),
        (Record("A", Kind.UINT16), ChannelType.LONG, "longin"),
        (Record("A", Kind.UINT32), ChannelType.DOUBLE, "ai"),
        (Record("A", Kind.INT64), ChannelType.DOUBLE, "ai"),
        (Record("A", Kind.FLOAT32), ChannelType.FLOAT, "ai"),
        (Record("A", Kind.BOOL), ChannelType.ENUM, "bi"),
        (Record("A", Kind.BOOL, rank=1, max_length=8), ChannelType.CHAR, "waveform"),
        (Record("A", Kind.ENUM, facts=Facts(labels=("open", "red"))), ChannelType.ENUM, "mbbi"),
        (Record("A", Kind.ENUM, facts=Facts(labels=("x",) * 17)), ChannelType.LONG, "longin"),
        (Record("A", Kind.STRING, text_limit=39), ChannelType.STRING, "stringin"),
        (Record("A", Kind.STRING), ChannelType.CHAR, "lsi"),
        (Record("A", Kind.STRING, rank=1, max_length=8), ChannelType.STRING, "waveform"),
    ],
)
def test_each_kind_of_value_has_its_type(record: Record, native: ChannelType, rtyp: str) -> None:
    assert dbr.native(record) == native
    assert record_type(record) == rtyp
    record.publish(Reading(record.blank(), 0))
    assert dbr.native(record) == native  # whatever the value is


@pytest.mark.parametrize("name", ["A.NOPE", "B", "A$", "A.EGU$$", "A.ZNAM", "A.", "", "."])
def test_what_is_not_there_is_not_found(name: str) -> None:
    records = {"A": Record("A", Kind.FLOAT64)}
    found = view(name, records.get)
    assert (found is not None) == (name == "A.")
