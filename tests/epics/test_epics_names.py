from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.core.errors import BadValueError, RangeError
from servers.epics import names


@pytest.mark.parametrize(
    ("tango", "pv"),
    [
        ("temperature_a", "TemperatureA"),
        ("setpoint_1", "Setpoint1"),
        ("State", "State"),
        ("doubleScalar", "DoubleScalar"),
        ("ADC__raw_", "ADCRaw"),
        ("4k_stage", "4kStage"),
        ("water-flow %", "Waterflow"),
    ],
)
def test_a_tango_name_becomes_a_pv_segment(tango: str, pv: str) -> None:
    assert names.segment(tango) == pv


@given(st.text())
def test_a_segment_has_letters_and_digits_only(tango: str) -> None:
    try:
        segment = names.segment(tango)
    except BadValueError:
        assert not re.search("[A-Za-z0-9]", tango)
    else:
        assert re.fullmatch("[A-Za-z0-9]+", segment)
        assert segment.lower() == re.sub("[^a-z0-9]", "", re.sub("[^A-Za-z0-9_]", "", tango).lower())


@given(st.text("abcXYZ019_", min_size=1).filter(lambda name: name.strip("_")))
def test_a_segment_of_a_segment_is_itself(tango: str) -> None:
    assert names.segment(names.segment(tango)) == names.segment(tango)


def test_dropped_characters_are_noticed() -> None:
    assert names.loses_characters("flow [l/min]")
    assert not names.loses_characters("flow_lpm")


def test_a_name_may_have_60_characters_and_no_more() -> None:
    assert len(names.full("CRYO1:", "T" * 50, "_RBV")) == 60
    with pytest.raises(RangeError, match="has 61 characters, more than 60"):
        names.full("CRYO1:", "T" * 51, "_RBV")


@pytest.mark.parametrize("bad", ["CRYO 1:", "CRYO.1:", "CRYO$", "CRYÖ:", "CRYO\n"])
def test_a_prefix_that_no_client_can_ask_for_is_refused(bad: str) -> None:
    with pytest.raises(BadValueError):
        names.full(bad, "Temperature")


def test_a_writable_attribute_has_a_setpoint_a_readback_and_an_error() -> None:
    assert names.attribute_pvs("Setpoint1", "float64", 0, "read_write", ()) == [
        "Setpoint1", "Setpoint1_RBV", "Setpoint1:Error",
    ]  # fmt: skip
    assert names.attribute_pvs("Dose", "float64", 0, "read", ()) == ["Dose"]
    assert names.attribute_pvs("Secret", "int32", 0, "write", ()) == ["Secret", "Secret:Error"]


def test_values_that_channel_access_cannot_carry_have_companions() -> None:
    many = [f"position {number}" for number in range(17)]
    assert names.attribute_pvs("Wheel", "enum", 0, "read", many) == ["Wheel", "Wheel:Label"]
    assert names.attribute_pvs("Wheel", "enum", 0, "read", many[:16]) == ["Wheel"]
    assert names.attribute_pvs("Wheel", "enum", 0, "read", ["x" * 26]) == ["Wheel", "Wheel:Label"]
    assert names.attribute_pvs("Count", "uint64", 0, "read", ()) == ["Count", "Count:Text"]
    assert names.attribute_pvs("Frame", "uint16", 2, "read", ()) == ["Frame", "Frame:Width", "Frame:Height"]
    assert names.attribute_pvs("Jpeg", "encoded", 0, "read", ()) == ["Jpeg", "Jpeg:Format", "Jpeg:Image"]


def _description(**more: Any) -> dict[str, Any]:
    attribute = {"type": "float64", "shape": [], "access": "read", "labels": [], "pv_name": None, "mirror": True}
    seconds = {"name": "seconds", "type": "float64"}
    return {
        "pv_prefix": "CCD1:",
        "attributes": [
            attribute | {"name": "gain", "pv_name": "AmpGain"},
            attribute | {"name": "hidden", "mirror": False},
            attribute | {"name": "state", "type": "state"},
        ],
        "commands": [
            {"name": "expose", "arguments": [seconds, seconds | {"name": "shutter_open"}], "pv_name": None},
            {"name": "describe", "arguments": [], "mirror": False},
        ],
    } | more


def test_all_pvs_of_a_device_are_known_from_its_description() -> None:
    pvs = names.device_pvs(_description())
    assert sorted(pvs) == sorted([
        "CCD1:State", "CCD1:Status", "CCD1:AmpGain", "CCD1:Expose", "CCD1:Expose:Status", "CCD1:Expose:Result",
        "CCD1:Expose:Error", "CCD1:Expose:Progress", "CCD1:Expose:Run", "CCD1:Expose:Seconds",
        "CCD1:Expose:ShutterOpen",
    ])  # fmt: skip
    assert names.device_pvs(_description(), "OTHER:")[0] == "OTHER:State"


def test_the_first_one_to_want_a_name_has_it() -> None:
    book = names.NameBook()
    assert book.claim("CRYO1:State", "cryo/cryocon/1 State") is None
    assert book.claim("CRYO1:State", "cryo/cryocon/1 State") is None
    clash = book.claim("CRYO1:State", "cryo/cryocon/2 State")
    assert clash is not None
    assert (clash.holder, clash.loser) == ("cryo/cryocon/1 State", "cryo/cryocon/2 State")
    assert book.clashes == (clash,)


def test_names_that_are_given_back_can_be_had_again() -> None:
    book = names.NameBook()
    book.claim("CRYO1:State", "cryo/cryocon/1 State")
    book.claim("CRYO1:State", "cryo/cryocon/2 State")
    book.release({"cryo/cryocon/1 State"})
    assert book.claim("CRYO1:State", "cryo/cryocon/2 State") is None
    book.release({"cryo/cryocon/2 State"})
    assert book.clashes == ()
