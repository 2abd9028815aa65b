"""Signatures: the text that is signed, byte by byte, and who is let in."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.core.errors import NotAllowedError
from servers.leash.signature import Gatekeeper, signature
from tests.leash.raw_client import signed

SECRET = "3f9c41d07be2a85516ce08f2b7d943"
NOON_S = 1795262400.5

# What a client sends, and the text that it signs before the secret is put behind it.
GOLDEN = {
    "a bare command": (
        '{"command":"stat","time":1795169758.3970556,"sign":"?"}',
        '{"command": "stat", "sign": "", "time": 1795169758.3970556}',
    ),
    "keys are sorted at all levels": (
        '{"time":2.5,"sign":"?","command":"new","argument":{"data":{},"calibration":{"Wavelength":1.54,"Geometry":'
        '{"Tilt":{"TiltRotDeg":73.569,"TiltAngleDeg":-0.56},"BeamCenter":[808.37,387.772]}}}}',
        '{"argument": {"calibration": {"Geometry": {"BeamCenter": [808.37, 387.772], "Tilt": {"TiltAngleDeg": -0.56, '
        '"TiltRotDeg": 73.569}}, "Wavelength": 1.54}, "data": {}}, "command": "new", "sign": "", "time": 2.5}',
    ),
    "numbers are spelled as Python does": (
        '{"command":"new","argument":{"calibration":{"a":1.0,"b":1,"c":1e5,"d":1E-7,"e":1e22,"f":-0.0,"g":0.10}},'
        '"time":1795169758,"sign":"?"}',
        '{"argument": {"calibration": {"a": 1.0, "b": 1, "c": 100000.0, "d": 1e-07, "e": 1e+22, "f": -0.0, "g": 0.1}}, '
        '"command": "new", "sign": "", "time": 1795169758}',
    ),
    "other letters than ASCII, and NaN": (
        '{"command":"listdir","argument":{"directory":["Prüfung","\\u00b5m/😀"],"calibration":{"x":NaN,"y":-Infinity}},'
        '"time":7.0,"sign":"?"}',
        '{"argument": {"calibration": {"x": NaN, "y": -Infinity}, "directory": ["Pr\\u00fcfung", '
        '"\\u00b5m/\\ud83d\\ude00"]}, "command": "listdir", "sign": "", "time": 7.0}',
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_text_that_is_signed(name: str) -> None:
    sent, text = GOLDEN[name]
    expected = hashlib.sha512(text.encode("ascii") + SECRET.encode("ascii")).hexdigest()
    assert signature(json.loads(sent), SECRET) == expected
    assert len(expected) == 128


def test_a_signature_that_was_computed_outside_of_python() -> None:
    """printf '%s%s' '{"command": "stat", "sign": "", "time": 1795169758.3970556}' secret | sha512sum"""
    found = signature({"time": 1795169758.3970556, "command": "stat", "sign": "anything"}, "secret")
    assert found == (
        "50216731d7ae92f3ca012ee6cf567c0f858c0a9aed03edd4e64cf42ef0b5535d"
        "46f5a7da1f9f7dcd9f928d7d00848ff016b5b57d1c3077f0e79dcb69ecba6e9d"
    )


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), documents, max_size=4))
def test_a_signature_survives_the_way_whatever_is_in_the_request(calibration: dict[str, Any]) -> None:
    request = signed(SECRET, "new", {"calibration": calibration}, time=NOON_S)
    travelled = json.loads(json.dumps(request, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    Gatekeeper(SECRET, clock=lambda: NOON_S).admit(travelled)


def at(now_s: float, **options: Any) -> Gatekeeper:
    return Gatekeeper(SECRET, clock=lambda: now_s, **options)


@pytest.mark.parametrize("offset_s", [0.0, 899.9, -899.9])
def test_a_clock_may_be_wrong_by_almost_900_s(offset_s: float) -> None:
    at(NOON_S).admit(signed(SECRET, "stat", time=NOON_S + offset_s))


@pytest.mark.parametrize("moment", [NOON_S + 900, NOON_S - 900, NOON_S + 1e9, 0, float("nan"), float("inf"), 10**400])
def test_a_request_of_another_time_is_untimely(moment: float) -> None:
    with pytest.raises(NotAllowedError, match=r"^'Untimely request\.'$"):
        at(NOON_S).admit(signed(SECRET, "stat", time=moment))


def test_time_is_judged_before_the_signature() -> None:
    with pytest.raises(NotAllowedError, match="Untimely"):
        at(NOON_S).admit(signed("another secret", "stat", time=NOON_S - 901))
    with pytest.raises(NotAllowedError, match=r"^'Wrong signature\.'$"):
        at(NOON_S).admit(signed("another secret", "stat", time=NOON_S))


@pytest.mark.parametrize("sign", ["", "0" * 128, "é" * 128, "\ud800", "x"])
def test_what_is_no_signature_is_wrong(sign: str) -> None:
    with pytest.raises(NotAllowedError, match="Wrong signature"):
        at(NOON_S).admit(signed(SECRET, "stat", time=NOON_S) | {"sign": sign})


def test_a_request_that_was_changed_on_its_way_is_wrong() -> None:
    request = signed(SECRET, "listdir", {"directory": ["img"]}, time=NOON_S)
    request["argument"]["directory"] = ["work"]
    with pytest.raises(NotAllowedError, match="Wrong signature"):
        at(NOON_S).admit(request)
    upper = signed(SECRET, "stat", time=NOON_S)
    with pytest.raises(NotAllowedError, match="Wrong signature"):
        at(NOON_S).admit(upper | {"sign": upper["sign"].upper()})


def test_a_request_is_let_in_once_as_long_as_it_is_timely() -> None:
    now = [NOON_S]
    gatekeeper = Gatekeeper(SECRET, clock=lambda: now[0])
    request = signed(SECRET, "abort", time=NOON_S + 899.0)  # a client whose clock is fast
    gatekeeper.admit(request)
    for later_s in (0.0, 1.0, 900.0, 1798.0):
        now[0] = NOON_S + later_s
        with pytest.raises(NotAllowedError, match="received before"):
            gatekeeper.admit(request)
    now[0] = NOON_S + 1799.0
    with pytest.raises(NotAllowedError, match="Untimely"):
        gatekeeper.admit(request)


def test_what_is_untimely_is_forgotten() -> None:
    now = [NOON_S]
    gatekeeper = Gatekeeper(SECRET, clock=lambda: now[0])
    for number in range(50):
        gatekeeper.admit(signed(SECRET, "stat", time=NOON_S + 0.01 * number))
    assert len(gatekeeper) == 50
    now[0] = NOON_S + 1000.0
    gatekeeper.admit(signed(SECRET, "stat", time=NOON_S + 999.0))
    assert len(gatekeeper) == 1


def test_a_flood_of_requests_takes_bounded_memory_and_opens_no_way_to_repeat_one() -> None:
    gatekeeper = at(NOON_S, most=10)
    requests = [signed(SECRET, "stat", time=NOON_S + 0.5 * number) for number in range(25)]
    for request in requests:
        gatekeeper.admit(request)
    assert len(gatekeeper) == 10
    for request in requests:
        with pytest.raises(NotAllowedError):
            gatekeeper.admit(request)


def test_a_refused_request_is_not_remembered() -> None:
    gatekeeper = at(NOON_S)
    for _ in range(3):
        with pytest.raises(NotAllowedError):
            gatekeeper.admit(signed("another secret", "stat", time=NOON_S))
    assert len(gatekeeper) == 0


@pytest.mark.parametrize("missing", ["time", "sign"])
def test_what_is_missing_is_named(missing: str) -> None:
    request = signed(SECRET, "stat", time=NOON_S)
    del request[missing]
    with pytest.raises(KeyError, match=f"'{missing}'"):
        at(NOON_S).admit(request)
