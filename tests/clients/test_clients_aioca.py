"""aioca, Channel Access in asyncio (on EPICS base's libca), against a mirrored device."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from tests.clients.bench import Bench
from tests.clients.process import ClientError, ClientProcess
from tests.facility.running import wait_for

pytest.importorskip("aioca", reason="aioca is not installed")

heard: list[Any] = []  # in the client's process
subscriptions: list[Any] = []


async def _get(name: str, *facts: str, form: str = "time", datatype: Any = None) -> Any:
    """The value, or the value and some of what comes with it."""
    from aioca import FORMAT_CTRL, FORMAT_TIME, caget

    found = await caget("SPEC1:" + name, format=FORMAT_CTRL if form == "ctrl" else FORMAT_TIME, datatype=datatype)
    value = found.tolist() if isinstance(found, np.ndarray) else +found
    return (value, *(getattr(found, fact) for fact in facts)) if facts else value


async def _text(name: str) -> str:
    from aioca import DBR_CHAR_STR

    return str(await _get(name, datatype=DBR_CHAR_STR))


async def _limits(name: str) -> Any:
    return await _get(name, "units", "precision", "upper_ctrl_limit", "lower_alarm_limit", form="ctrl")


async def _labels(name: str) -> Any:
    return await _get(name, "enums", form="ctrl")


async def _put(name: str, value: Any, timeout: float | None = None, text: bool = False) -> float:
    """Put with completion; the seconds it took."""
    from aioca import DBR_CHAR_STR, caput

    began = time.monotonic()
    await caput("SPEC1:" + name, value, wait=True, timeout=timeout, datatype=DBR_CHAR_STR if text else None)
    return time.monotonic() - began


async def _may_write(name: str) -> bool:
    from aioca import cainfo

    return bool((await cainfo("SPEC1:" + name)).write)


async def _monitor(name: str) -> None:
    from aioca import FORMAT_TIME, camonitor

    heard.clear()
    keep = camonitor(
        "SPEC1:" + name, lambda v: heard.append((+v, v.severity, v.timestamp)), format=FORMAT_TIME, all_updates=True
    )
    subscriptions.append(keep)


async def _heard() -> list[Any]:
    import asyncio

    await asyncio.sleep(0.01)  # the loop turns, and callbacks run
    return list(heard)


def test_a_value_comes_with_unit_limits_time_and_severity(bench: Bench, client: ClientProcess) -> None:
    assert client(_limits, "Temperature")[1:] == ("K", 2, 400.0, 70.0)
    assert client(_limits, "Spectrum")[1] == "electro"
    bench.publish("fast", 7.5, timestamp=1_600_000_000.25, quality="ALARM")
    expected = (7.5, 2, pytest.approx(1_600_000_000.25, abs=1e-6))
    wait_for(lambda: client(_get, "Fast", "severity", "timestamp") == expected, 5.0, "7.5 in alarm")


def test_labels_texts_and_arrays_are_whole(bench: Bench, client: ClientProcess) -> None:
    client(_put, "AnEnum", "blue")
    assert client(_labels, "AnEnum_RBV") == (2, ["open", "red", "blue"])
    assert client(_text, "Notes") == client(_get, "Notes$") == bench.device.read_attribute("notes").value
    client(_put, "AString", "Grüße aus 100 % Stahl, " * 10, None, True)
    assert client(_text, "AString_RBV") == "Grüße aus 100 % Stahl, " * 10
    client(_put, "AString", "kurz")
    assert client(_text, "AString_RBV") == "kurz"
    with pytest.raises(ClientError, match="CAException"):  # a longer str needs DBR_CHAR_STR: the client's own limit
        client(_put, "AString", "x" * 60)
    for numbers in ([656.28, 486.13, 434.05], [589.0], []):
        client(_put, "Numbers", numbers)
        assert client(_get, "Numbers_RBV") == numbers
    client(_put, "Texts", ["Fe", "ä"])
    assert client(_get, "Texts_RBV") == ["Fe", "ä"]
    assert client(_get, "Frame") == list(range(15))
    client(_put, "AnInt64", str(2**53 + 1))  # a text has more digits than a DOUBLE
    assert client(_get, "AnInt64_RBV:Text") == str(2**53 + 1)


def test_a_put_waits_for_the_end_of_an_operation_as_long_as_it_is_told(client: ClientProcess) -> None:
    assert 0.4 <= client(_put, "Expose", 0.4) < 5.0
    with pytest.raises(ClientError, match="timeout on IO operation expired"):
        client(_put, "Expose", 5.0, 0.2)
    client(_put, "Abort", "1")
    wait_for(lambda: client(_labels, "Expose:Status")[0] == 5, 5.0, "ABORTED")


def test_a_refused_put_fails(client: ClientProcess) -> None:
    for name, value, reason in (
        ("Temperature", 401.0, "RangeError: SPEC1:Temperature = 401.0 K is outside [0.0, 400.0] K"),
        ("Temperature", "warm", "BadValueError"),
        ("AnEnum", "green", "the labels are open, red, blue"),
        ("Stick", 0.2, "ProtocolError: the shutter is stuck after 0.2 s"),
    ):
        with pytest.raises(ClientError, match="Channel write request failed"):
            client(_put, name, value)
        assert reason in client(_text, f"{name}:Error")


def test_what_may_not_be_written_is_known_and_refused(client: ClientProcess) -> None:
    assert [client(_may_write, name) for name in ("Temperature", "Temperature_RBV", "Fail")] == [True, False, False]
    with pytest.raises(ClientError, match="CAException"):
        client(_put, "Temperature_RBV", 50.0)


def test_the_readback_is_there_when_the_put_ends(client: ClientProcess) -> None:
    for microns in (1.5, 2.5, 1.5, 2.5, 1.5):
        client(_put, "Position", microns)
        assert client(_get, "Position_RBV") == microns / 2


def test_a_monitor_hears_the_first_value_updates_and_severities(bench: Bench, client: ClientProcess) -> None:
    bench.publish("fast", 1.5, timestamp=1_600_000_001.0)
    wait_for(lambda: client(_get, "Fast") == 1.5, 5.0, "1.5")
    client(_monitor, "Fast")
    wait_for(lambda: client(_heard) == [(1.5, 0, 1_600_000_001.0)], 5.0, "the first value")
    bench.publish("fast", 2.5, timestamp=1_600_000_002.0)
    bench.publish("fast", 3.5, timestamp=1_600_000_003.0, quality="WARNING")
    expected = [(1.5, 0, 1_600_000_001.0), (2.5, 0, 1_600_000_002.0), (3.5, 1, 1_600_000_003.0)]
    wait_for(lambda: client(_heard) == expected, 5.0, "updates and severities")
