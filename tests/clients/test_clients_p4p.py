"""p4p, the PVAccess client of EPICS 7, in threads and in asyncio, against a mirrored device."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import pytest

from tests.clients.bench import Bench
from tests.clients.process import ClientError, ClientProcess
from tests.facility.running import wait_for

pytest.importorskip("p4p", reason="p4p is not installed")

kept: dict[str, Any] = {}  # in the client's process: contexts and subscriptions
heard: list[Any] = []


def _context() -> Any:
    from p4p.client.thread import Context

    if "thread" not in kept:
        kept["thread"] = Context("pva")
    return kept["thread"]


async def _async_context() -> Any:
    from p4p.client.asyncio import Context

    if "asyncio" not in kept:
        kept["asyncio"] = Context("pva")
    return kept["asyncio"]


def _get(name: str) -> Any:
    found = _context().get("SPEC1:" + name)
    return found.tolist() if isinstance(found, np.ndarray) and found.ndim == 1 else found


def _label(name: str) -> str:
    return str(_context().get("SPEC1:" + name))


def _value(name: str) -> Any:
    """The bare value, without what p4p adds to it."""
    return _context().get("SPEC1:" + name).raw.value


def _fields(name: str, *fields: str) -> list[Any]:
    raw = _context().get("SPEC1:" + name).raw
    return [raw[field] for field in fields]


def _put(name: str, value: Any, wait: bool = True, timeout: float = 10.0) -> float:
    began = time.monotonic()
    _context().put("SPEC1:" + name, value, wait=wait, timeout=timeout)
    return time.monotonic() - began


def _monitor(name: str) -> None:
    heard.clear()

    def hear(value: Any) -> None:
        heard.append((float(value), value.severity, value.timestamp))

    kept[name] = _context().monitor("SPEC1:" + name, hear)


def _heard() -> list[Any]:
    return list(heard)


async def _get_async(*names: str) -> list[Any]:
    context = await _async_context()
    return [float(value) for value in await context.get([f"SPEC1:{name}" for name in names])]


async def _put_async(name: str, value: Any) -> float:
    import asyncio

    context = await _async_context()
    began = time.monotonic()
    await asyncio.wait_for(context.put("SPEC1:" + name, value, wait=True), 10.0)
    return time.monotonic() - began


async def _first_of(name: str, count: int) -> list[float]:
    """What a monitor in asyncio hears."""
    import asyncio

    context = await _async_context()
    queue: asyncio.Queue[Any] = asyncio.Queue()
    subscription = context.monitor("SPEC1:" + name, queue.put)
    try:
        return [float(await asyncio.wait_for(queue.get(), 10.0)) for _ in range(count)]
    finally:
        subscription.close()


def test_a_value_comes_with_unit_limits_bounds_time_and_severity(bench: Bench, client: ClientProcess) -> None:
    fields = ["display.units", "display.precision", "control.limitHigh", "valueAlarm.lowAlarmLimit"]
    assert client(_fields, "Temperature", *fields) == ["K", 2, 400.0, 70.0]
    assert client(_fields, "Spectrum", "display.units") == ["electron"]
    assert np.isnan(client(_fields, "Fast", "valueAlarm.highAlarmLimit")).all()  # no bound
    bench.publish("fast", 7.5, timestamp=1_600_000_000.25, quality="ALARM")
    fields = ["value", "alarm.severity", "timeStamp.secondsPastEpoch", "timeStamp.nanoseconds"]
    expected = [7.5, 2, 1_600_000_000, pytest.approx(250_000_000, abs=1000)]
    wait_for(lambda: client(_fields, "Fast", *fields) == expected, 5.0, "7.5 in alarm")


def test_every_type_is_the_device_s_own(bench: Bench, client: ClientProcess) -> None:
    for name, value in (
        ("AnInt64", -(2**53) - 1), ("AUint64", 2**63 + 5), ("AUint8", 250), ("ABool", True), ("AFloat32", 0.5),
        ("AString", "Grüße aus 100 % Stahl, " * 20), ("Observer", "Cecilia"), ("Counts", 33),
    ):  # fmt: skip
        client(_put, name, value)
        assert client(_value, f"{name}_RBV") == value
        assert type(client(_value, f"{name}_RBV")) is type(value)
    assert client(_value, "Notes") == bench.device.read_attribute("notes").value
    for array in ([656.28, 486.13, 434.05], [589.0], []):
        client(_put, "Numbers", array)
        assert client(_get, "Numbers_RBV") == array
    client(_put, "Texts", ["Fe", "ä"])
    assert client(_value, "Texts_RBV") == ["Fe", "ä"]


def test_an_enumeration_is_put_by_label_or_index_whatever_their_number(client: ClientProcess) -> None:
    client(_put, "AnEnum", "blue")
    assert client(_fields, "AnEnum_RBV", "value.index", "value.choices") == [2, ["open", "red", "blue"]]
    client(_put, "AnEnum", 1)
    assert client(_label, "AnEnum_RBV") == "red"
    client(_put, "Grating", "1700/mm")  # the 17th label
    assert client(_fields, "Grating_RBV", "value.index")[0] == 16
    with pytest.raises(ClientError, match="green"):  # p4p itself looks for the label
        client(_put, "AnEnum", "green")
    with pytest.raises(ClientError, match=r"RangeError: SPEC1:AnEnum = 7 is outside 0 \.\. 2"):
        client(_put, "AnEnum", 7)


def test_an_image_keeps_its_rows_columns_and_type(client: ClientProcess) -> None:
    frame = client(_get, "Frame")
    assert (frame.shape, frame.dtype) == ((3, 5), np.uint16)
    np.testing.assert_array_equal(frame, np.arange(15).reshape(3, 5))


def test_a_put_with_wait_ends_with_the_operation_and_one_without_at_its_start(client: ClientProcess) -> None:
    assert 0.4 <= client(_put, "Expose", 0.4) < 5.0
    assert client(_value, "Expose:Result") == '{"seconds": 0.4}'
    assert client(_put, "Expose", 5.0, False) < 2.0
    with pytest.raises(ClientError, match="BusyError"):
        client(_put, "Expose", 5.0)
    client(_put, "Abort", "1")
    wait_for(lambda: client(_label, "Expose:Status") == "ABORTED", 5.0, "it is aborted")
    with pytest.raises(ClientError, match="TimeoutError"):
        client(_put, "Expose", 5.0, True, 0.3)
    assert client(_label, "Expose:Status") == "RUNNING"  # the client gave up, not the operation


def test_a_refused_put_fails_with_the_reason(client: ClientProcess) -> None:
    for name, value, reason in (
        ("Temperature", 401.0, r"RangeError: SPEC1:Temperature = 401.0 K is outside \[0.0, 400.0\] K"),
        ("Stick", 0.2, "ProtocolError: the shutter is stuck after 0.2 s"),
        ("Observer", "a name of more than 20 bytes", "RangeError: .* more than 20"),
        ("Numbers", [0.0] * 101, "RangeError: SPEC1:Numbers: 101 elements, more than 100"),
        ("Temperature_RBV", 50.0, "NotAllowedError: SPEC1:Temperature_RBV is read-only"),
        ("Fail", 1, "NotAllowedError: SPEC1:Fail .level expert.: no access rule lets"),
    ):
        with pytest.raises(ClientError, match=reason):
            client(_put, name, value)


def test_the_readback_is_there_when_the_put_ends(client: ClientProcess) -> None:
    for count in range(1, 21):
        client(_put, "Counts", count)
        assert client(_value, "Counts_RBV") == count


def test_a_monitor_hears_the_first_value_updates_and_severities(bench: Bench, client: ClientProcess) -> None:
    bench.publish("fast", 1.5, timestamp=1_600_000_001.0)
    wait_for(lambda: client(_value, "Fast") == 1.5, 5.0, "1.5")
    client(_monitor, "Fast")
    wait_for(lambda: client(_heard) == [(1.5, 0, 1_600_000_001.0)], 5.0, "the first value")
    bench.publish("fast", 2.5, timestamp=1_600_000_002.0)
    wait_for(lambda: client(_heard)[-1] == (2.5, 0, 1_600_000_002.0), 5.0, "an update")
    bench.publish("fast", 3.5, timestamp=1_600_000_003.0, quality="WARNING")
    wait_for(lambda: client(_heard)[-1] == (3.5, 1, 1_600_000_003.0), 5.0, "its severity")


def test_asyncio_gets_puts_and_monitors(bench: Bench, client: ClientProcess) -> None:
    bench.publish("fast", 4.5)
    client(_put_async, "Temperature", 93.0)
    assert client(_get_async, "Temperature", "Temperature_RBV", "Fast") == [93.0, 93.0, 4.5]
    assert 0.3 <= client(_put_async, "Expose", 0.3) < 5.0
    with pytest.raises(ClientError, match="the shutter is stuck"):
        client(_put_async, "Stick", 0.1)
    client.begin(_first_of, "Fast", 3)
    volts = itertools.count(5.0)
    wait_for(lambda: bench.publish("fast", next(volts)) or client.is_done(0.05), 10.0, "three values")
    first, second, third = client.end()
    assert 4.5 <= first < second < third
