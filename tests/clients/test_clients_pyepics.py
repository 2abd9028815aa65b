"""pyepics, a client on EPICS base's own Channel Access library (libca), against a mirrored device."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from tests.clients.bench import Bench
from tests.clients.process import ClientError, ClientProcess
from tests.facility.running import wait_for

pytest.importorskip("epics", reason="pyepics is not installed")

heard: list[Any] = []  # in the client's process: what callbacks were called with
heard_by: list[Any] = []


def _pv(name: str, **options: Any) -> Any:
    from epics import PV

    pv = PV("SPEC1:" + name, **options)
    assert pv.wait_for_connection(5.0), name
    return pv


def _get(name: str, as_string: bool = False) -> Any:
    value = _pv(name).get(as_string=as_string, use_monitor=False)
    return value.tolist() if hasattr(value, "tolist") else value


def _facts(name: str, *facts: str) -> list[Any]:
    pv = _pv(name, form="ctrl")
    pv.get_ctrlvars()
    return [getattr(pv, fact) for fact in facts]


def _timed(name: str) -> tuple[float, int, int, float]:
    found = _pv(name).get_with_metadata(form="time", use_monitor=False)
    return found["value"], found["severity"], found["status"], found["timestamp"]


def _put(name: str, value: Any, seconds: float = 10.0) -> tuple[int, float]:
    from epics import caput

    began = time.monotonic()
    return caput("SPEC1:" + name, value, wait=True, timeout=seconds), time.monotonic() - began


def _put_with_callback(name: str, value: Any) -> None:
    pv = _pv(name)
    pv.put(value, use_complete=True, callback=lambda pvname, **_: heard.append((pvname, pv.put_complete)))


def _monitor(name: str) -> None:
    from epics import PV

    heard.clear()
    heard_by.append(PV("SPEC1:" + name, callback=lambda value, severity, **_: heard.append((value, severity))))


def _heard() -> list[Any]:
    return list(heard)


def test_a_value_comes_with_unit_precision_limits_and_bounds(bench: Bench, client: ClientProcess) -> None:
    bench.hardware(100.0)
    wait_for(lambda: client(_get, "Temperature_RBV") == 100.0, 5.0, "the temperature")
    facts = ["units", "precision", "lower_ctrl_limit", "upper_ctrl_limit", "lower_alarm_limit", "upper_warning_limit"]
    assert client(_facts, "Temperature", *facts) == ["K", 2, 0.0, 400.0, 70.0, 110.0]
    assert client(_facts, "Counts", "units", "upper_ctrl_limit") == ["count", 1000]
    assert math.isnan(client(_facts, "Fast", "upper_alarm_limit")[0])  # none
    assert client(_facts, "Fast", "upper_ctrl_limit") == [0.0]
    assert client(_facts, "Spectrum", "units") == ["electro"]  # 7 bytes and their end; .EGU has all of it
    assert client(_get, "Spectrum.EGU") == "electron"


def test_time_stamp_and_severity_are_the_device_s(bench: Bench, client: ClientProcess) -> None:
    bench.publish("fast", 7.5, timestamp=1_600_000_000.25)
    wait_for(lambda: client(_timed, "Fast") == (7.5, 0, 0, pytest.approx(1_600_000_000.25, abs=1e-6)), 5.0, "7.5")
    bench.hardware(112.0)
    wait_for(lambda: client(_timed, "Temperature_RBV")[:3] == (112.0, 1, 4), 5.0, "MINOR, HIGH")
    bench.hardware(60.0)
    wait_for(lambda: client(_timed, "Temperature_RBV")[:3] == (60.0, 2, 5), 5.0, "MAJOR, LOLO")


def test_labels_texts_and_arrays_are_whole(bench: Bench, client: ClientProcess) -> None:
    assert client(_facts, "AnEnum", "enum_strs") == [("open", "red", "blue")]
    client(_put, "AnEnum", "blue")
    assert client(_get, "AnEnum_RBV") == 2
    assert client(_get, "AnEnum_RBV", True) == "blue"
    client(_put, "Grating", 5)  # 17 labels: a number, and its label beside it
    assert (client(_get, "Grating_RBV"), client(_get, "Grating_RBV:Label")) == (5, "600/mm")
    notes = client(_get, "Notes")  # as_string decodes byte by byte, so what is not ASCII is decoded here
    assert bytes(notes).decode() == bench.device.read_attribute("notes").value
    assert len(notes) > 500
    assert client(_get, "Status", True) == bench.device.status()
    assert client(_get, "Frame") == list(range(15))
    assert (client(_get, "Frame:Width"), client(_get, "Frame:Height")) == (5, 3)
    client(_put, "Texts", ["Fe", "Co"])
    assert client(_get, "Texts_RBV") == ["Fe", "Co"]
    client(_put, "Numbers", [656.28, 486.13])
    assert client(_get, "Numbers_RBV") == [656.28, 486.13]
    assert client(_get, "Spectrum") == []


def test_integers_keep_every_digit_that_channel_access_has(client: ClientProcess) -> None:
    client(_put, "AnInt64", 2**53)
    assert client(_get, "AnInt64_RBV") == 2.0**53
    assert client(_get, "AnInt64_RBV:Text") == str(2**53)
    client(_put, "AUint32", 4_000_000_000)
    assert client(_get, "AUint32_RBV") == 4e9
    client(_put, "AUint8", 250)
    assert client(_get, "AUint8_RBV") == 250


def test_a_text_may_be_put_to_a_number_and_to_a_text(client: ClientProcess) -> None:
    client(_put, "Temperature", "91.25")
    assert client(_get, "Temperature_RBV") == 91.25
    client(_put, "Counts", "0x20")
    assert client(_get, "Counts_RBV") == 32
    path = "/data/2026/11/" + "night/" * 20 + "frame_0001.fits"
    client(_put, "AString", path)
    assert client(_get, "AString_RBV", True) == path
    client(_put, "AString", list("Grüße".encode()))
    assert bytes(client(_get, "AString_RBV")).decode() == "Grüße"
    client(_put, "Observer", "Caroline")
    assert client(_get, "Observer_RBV") == "Caroline"


def test_a_put_with_wait_ends_when_the_device_took_it_and_the_readback_is_there(client: ClientProcess) -> None:
    for kelvin in (95.0, 96.5, 95.0, 96.5, 95.0):
        assert client(_put, "Temperature", kelvin)[0] == 1
        assert client(_get, "Temperature_RBV") == kelvin


def test_a_put_waits_for_the_end_of_an_operation(client: ClientProcess) -> None:
    status, seconds = client(_put, "Expose", 0.4)
    assert status == 1
    assert 0.4 <= seconds < 5.0
    assert client(_get, "Expose:Result", True) == '{"seconds": 0.4}'
    heard_before = len(client(_heard))
    client(_put_with_callback, "Expose", 0.2)
    wait_for(lambda: client(_heard)[heard_before:] == [("SPEC1:Expose", True)], 5.0, "the callback")
    assert client(_put, "Expose", 5.0, 0.3)[0] == -1  # its own time-out; the operation goes on
    client(_put, "Abort", "1")
    wait_for(lambda: client(_get, "Expose:Status", True) == "ABORTED", 5.0, "it is aborted")


def test_a_refused_put_ends_and_the_reason_stands_in_the_error_pv(client: ClientProcess) -> None:
    # pyepics does not look at the status with which libca ends the put: it returns 1 here as well.
    client(_put, "Temperature", 401.0)
    assert client(_get, "Temperature:Error", True) == (
        "RangeError: SPEC1:Temperature = 401.0 K is outside [0.0, 400.0] K"
    )
    client(_put, "Temperature", 99.0)
    assert client(_get, "Temperature:Error", True) == ""
    seconds = client(_put, "Stick", 0.3)[1]
    assert 0.3 <= seconds < 5.0
    assert client(_get, "Stick:Error", True) == "ProtocolError: the shutter is stuck after 0.3 s"
    client(_put, "Observer", "a name of more than 20 bytes")
    assert "more than 20" in client(_get, "Observer:Error", True)


def test_what_may_not_be_written_is_known_before_it_is_tried(client: ClientProcess) -> None:
    assert client(_facts, "Temperature", "access") == ["read/write"]
    assert client(_facts, "Temperature_RBV", "access") == ["read-only"]
    assert client(_facts, "Fail", "access") == ["read-only"]  # level expert, which no rule allows here
    assert client(_facts, "Temperature.HIHI", "access") == ["read-only"]
    for name in ("Temperature_RBV", "Fail"):
        with pytest.raises(ClientError, match="Write access denied"):
            client(_put, name, 1)


def test_a_monitor_hears_the_first_value_updates_and_severities(bench: Bench, client: ClientProcess) -> None:
    bench.publish("fast", 1.5)
    wait_for(lambda: client(_get, "Fast") == 1.5, 5.0, "1.5")
    client(_monitor, "Fast")
    wait_for(lambda: client(_heard) == [(1.5, 0)], 5.0, "the first value")
    bench.publish("fast", 2.5)
    bench.publish("fast", 3.5, quality="WARNING")
    bench.device.make_invalid("fast")
    expected = [(1.5, 0), (2.5, 0), (3.5, 1), (3.5, 3)]
    wait_for(lambda: client(_heard) == expected, 5.0, "updates and severities")
