"""ophyd-async over Channel Access and over PVAccess, and a bluesky plan, against a mirrored device."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from tests.clients.bench import Bench
from tests.clients.process import ClientError, ClientProcess
from tests.facility.running import wait_for

pytest.importorskip("ophyd_async", reason="ophyd-async is not installed")
pytest.importorskip("bluesky", reason="bluesky is not installed")

kept: dict[str, Any] = {}  # in the client's process
heard: list[Any] = []


def _begin(protocol: str) -> None:
    kept["prefix"] = f"{protocol}://SPEC1:"


def _type(name: str) -> Any:
    """The Python type that a signal is declared with."""
    from ophyd_async.core import Array1D, StrictEnum

    class Filter(StrictEnum):
        OPEN = "open"
        RED = "red"
        BLUE = "blue"

    class Colours(StrictEnum):
        RED = "red"
        BLUE = "blue"

    return {
        "float": float, "int": int, "bool": bool, "str": str, "Filter": Filter, "Colours": Colours,
        "texts": Sequence[str], "doubles": Array1D[np.float64], "floats": Array1D[np.float32],
        "longs": Array1D[np.int32], "image": np.ndarray,
    }[name]  # fmt: skip


async def _signal(kind: str, pv: str, writable: bool = True) -> Any:
    from ophyd_async.epics.core import epics_signal_r, epics_signal_rw, epics_signal_rw_rbv

    key = f"{kind} {pv} {writable}"
    if key not in kept:
        full = kept["prefix"] + pv
        if pv.endswith("*"):  # a set point with its read-back
            signal = epics_signal_rw_rbv(_type(kind), full.rstrip("*"), name="signal")
        else:
            signal = (epics_signal_rw if writable else epics_signal_r)(_type(kind), full, name="signal")
        await signal.connect(timeout=10.0)
        kept[key] = signal
    return kept[key]


def _bare(value: Any) -> Any:
    """A value that can leave the process: lists for arrays, texts for labels."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.value if hasattr(value, "value") else value


async def _set_and_read(kind: str, pv: str, value: Any) -> Any:
    from ophyd_async.core import StrictEnum

    signal, datatype = await _signal(kind, pv), _type(kind)
    if isinstance(datatype, type) and issubclass(datatype, StrictEnum):
        value = datatype(value)
    if kind == "doubles":
        value = np.array(value)
    await signal.set(value)
    (reading,) = (await signal.read()).values()
    return _bare(reading["value"])


async def _get(kind: str, pv: str) -> Any:
    return _bare(await (await _signal(kind, pv, writable=False)).get_value())


async def _reading(kind: str, pv: str) -> tuple[Any, float, int]:
    (reading,) = (await (await _signal(kind, pv, writable=False)).read()).values()
    return _bare(reading["value"]), reading["timestamp"], reading["alarm_severity"]


async def _describe(kind: str, pv: str) -> Any:
    (described,) = (await (await _signal(kind, pv, writable=False)).describe()).values()
    return {key: value for key, value in described.items() if key != "source"}


async def _set(pv: str, value: Any, *timeout: float | None) -> float:
    signal = await _signal("float", pv)
    began = time.monotonic()
    await signal.set(value, *timeout)
    return time.monotonic() - began


async def _trigger(pv: str) -> None:
    from ophyd_async.epics.core import epics_triggerable_command

    command = epics_triggerable_command(kept["prefix"] + pv, name="command")
    await command.connect(timeout=5.0)
    await command.trigger()


async def _monitor(pv: str) -> None:
    heard.clear()
    signal = await _signal("float", pv, writable=False)
    signal.subscribe_reading(lambda reading: heard.extend((r["value"], r["alarm_severity"]) for r in reading.values()))


async def _heard() -> list[Any]:
    import asyncio

    await asyncio.sleep(0.01)
    return list(heard)


def _scan(protocol: str, start: float, stop: float, points: int) -> list[tuple[float, int]]:
    """(temperature, counts) of each point of a scan; the device is connected by the RunEngine's own loop."""
    import bluesky.plan_stubs as bps
    import bluesky.plans as bp
    from bluesky import RunEngine
    from ophyd_async.plan_stubs import ensure_connected

    from tests.clients.ophyd_async_device import Spectrograph

    engine, rows = RunEngine({}), []
    device = Spectrograph(f"{protocol}://SPEC1:", name="spectrograph")

    def keep(name: str, document: Any) -> None:
        if name == "event":
            rows.append((document["data"]["spectrograph-temperature"], document["data"]["spectrograph-counts"]))

    def plan() -> Any:
        yield from ensure_connected(device)
        yield from bps.mv(device.temperature, 93.0, device.counts, 7)
        yield from bp.count([device], num=2)
        yield from bp.scan([device], device.temperature, start, stop, points, per_step=expose_and_read)

    def expose_and_read(detectors: Any, motor: Any, step: float) -> Any:
        yield from bps.mv(device.counts, round(10 * step))
        yield from bps.abs_set(device.expose, 0.05, wait=True)
        yield from bps.one_1d_step(detectors, motor, step)

    engine(plan(), keep)
    return rows


@pytest.fixture(scope="module", params=["ca", "pva"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def client(bench: Bench, protocol: str) -> Iterator[ClientProcess]:
    process = ClientProcess(bench.environment)
    process(_begin, protocol)
    yield process
    process.close()


@pytest.mark.parametrize(
    ("kind", "pv", "value"),
    [
        ("float", "Temperature*", 99.5), ("float", "AFloat32*", 0.25), ("int", "Counts*", 33), ("int", "AUint8*", 250),
        ("int", "AnInt16*", -32000), ("int", "AUint16*", 65000), ("int", "AUint32*", 4_000_000_000),
        ("int", "AnInt64*", 2**40), ("bool", "ABool*", True), ("str", "AString*", "Grüße aus 100 % Stahl, " * 9),
        ("str", "Observer*", "Cecilia"), ("Filter", "AnEnum*", "blue"), ("str", "AnEnum*", "red"),
        ("doubles", "Numbers*", [656.28, 486.13]), ("doubles", "Numbers*", []), ("texts", "Texts*", ["Fe", "ä"]),
    ],
)  # fmt: skip
def test_a_signal_of_each_type_is_set_and_read_back(client: ClientProcess, kind: str, pv: str, value: Any) -> None:
    assert client(_set_and_read, kind, pv, value) == value


def test_arrays_images_and_texts_are_read(bench: Bench, client: ClientProcess, protocol: str) -> None:
    assert client(_get, "floats", "Spectrum") == []
    assert client(_get, "str", "Notes") == bench.device.read_attribute("notes").value
    rows = [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11, 12, 13, 14]]
    if protocol == "pva":
        assert client(_get, "image", "Frame") == rows
        assert client(_describe, "image", "Frame")["shape"] == [3, 5]
    else:  # Channel Access has no rows: they stand in Frame:Width and Frame:Height
        assert client(_get, "longs", "Frame") == list(range(15))
        assert client(_get, "int", "Frame:Width") == 5


def test_units_limits_bounds_and_labels_are_described(client: ClientProcess) -> None:
    described = client(_describe, "float", "Temperature")
    assert (described["units"], described["precision"], described["dtype"]) == ("K", 2, "number")
    assert described["limits"] == {
        "alarm": {"low": 70.0, "high": 120.0}, "control": {"low": 0.0, "high": 400.0},
        "display": {"low": 0.0, "high": 400.0}, "warning": {"low": 80.0, "high": 110.0},
    }  # fmt: skip
    assert "limits" not in client(_describe, "float", "Fast")
    assert client(_describe, "Filter", "AnEnum")["choices"] == ["open", "red", "blue"]


def test_a_type_that_does_not_fit_is_told_when_it_connects(client: ClientProcess, protocol: str) -> None:
    with pytest.raises(ClientError, match=r"has choices .*open.* to be strictly equal"):
        client(_get, "Colours", "AnEnum")
    with pytest.raises(ClientError, match="cannot be coerced to int"):
        client(_get, "int", "Temperature")
    with pytest.raises(ClientError, match=r"can't map to bool|cannot be coerced to bool"):
        client(_get, "bool", "AnEnum")
    # More labels than a CA ENUM has: a number there, and its label beside it.
    if protocol == "ca":
        client(_set_and_read, "int", "Grating*", 5)
        assert client(_get, "str", "Grating:Label") == "600/mm"
    else:
        assert client(_set_and_read, "str", "Grating*", "600/mm") == "600/mm"


def test_time_stamp_and_severity_are_the_device_s(bench: Bench, client: ClientProcess) -> None:
    bench.publish("fast", 7.5, timestamp=1_600_000_000.25, quality="ALARM")
    expected = (7.5, pytest.approx(1_600_000_000.25, abs=1e-5), 2)
    wait_for(lambda: client(_reading, "float", "Fast") == expected, 5.0, "7.5 in alarm")


def test_set_waits_for_the_end_of_an_operation(client: ClientProcess) -> None:
    assert 0.4 <= client(_set, "Expose", 0.4) < 5.0
    assert client(_get, "str", "Expose:Result") == '{"seconds": 0.4}'
    with pytest.raises(ClientError, match="TimeoutError"):
        client(_set, "Expose", 5.0, 0.3)


def test_a_command_without_arguments_is_triggered(client: ClientProcess) -> None:
    client(_trigger, "Nothing")
    assert client(_get, "str", "Nothing:Status") == "DONE"
    with pytest.raises(ClientError, match="requires a scalar"):  # one with several arguments is a text
        client(_trigger, "Flood")


def test_a_refused_set_fails_over_pva_and_leaves_its_reason_over_both(client: ClientProcess, protocol: str) -> None:
    for pv, value, reason in (
        ("Temperature", 401.0, r"RangeError: SPEC1:Temperature = 401\.0 K is outside"),
        ("Stick", 0.2, "ProtocolError: the shutter is stuck after 0.2 s"),
    ):
        if protocol == "pva":
            with pytest.raises(ClientError, match=reason):
                client(_set, pv, value)
        else:
            # aioca raises, but its exception counts as false, and the retries around `set` (0.21) lose it.
            with contextlib.suppress(ClientError):
                client(_set, pv, value)
        assert client(_get, "str", f"{pv}:Error").startswith(reason[:10])
    with pytest.raises(ClientError, match=r"CAException|NotAllowedError"):
        client(_set, "Temperature_RBV", 50.0)


def test_subscriptions_hear_the_first_value_updates_and_severities(bench: Bench, client: ClientProcess) -> None:
    bench.publish("fast", 1.5)
    wait_for(lambda: client(_get, "float", "Fast") == 1.5, 5.0, "1.5")
    client(_monitor, "Fast")
    wait_for(lambda: client(_heard) == [(1.5, 0)], 5.0, "the first value")
    bench.publish("fast", 2.5)
    wait_for(lambda: client(_heard)[-1] == (2.5, 0), 5.0, "an update")
    bench.device.make_invalid("fast")
    wait_for(lambda: client(_heard)[-1] == (2.5, -1), 5.0, "INVALID")


def test_a_bluesky_plan_counts_and_scans_with_completion(bench: Bench, protocol: str) -> None:
    process = ClientProcess(bench.environment)  # the RunEngine has a loop of its own
    try:
        rows = process(_scan, protocol, 90.0, 96.0, 3, seconds=60.0)
    finally:
        process.close()
    assert rows == [(93.0, 7), (93.0, 7), (90.0, 900), (93.0, 930), (96.0, 960)]
