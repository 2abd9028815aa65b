"""ophyd signals and a small bluesky plan, with pyepics and with caproto underneath, against a mirrored device."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.bench import Bench
from tests.clients.process import ClientError, ClientProcess
from tests.facility.running import wait_for

pytest.importorskip("ophyd", reason="ophyd is not installed")
pytest.importorskip("bluesky", reason="bluesky is not installed")

kept: dict[str, Any] = {}  # in the client's process
heard: list[Any] = []


def _begin(layer: str) -> str:
    import ophyd

    ophyd.set_cl(layer)
    return str(ophyd.cl.name)


def _spectrograph() -> Any:
    """The device as somebody writes it down for a beamline."""
    from ophyd import Component, Device, EpicsSignal, EpicsSignalRO, EpicsSignalWithRBV

    class Spectrograph(Device):
        temperature = Component(EpicsSignalWithRBV, "Temperature", limits=True, put_complete=True)
        counts = Component(EpicsSignalWithRBV, "Counts", put_complete=True)
        shutter_open = Component(EpicsSignalWithRBV, "ABool", put_complete=True)
        filter = Component(EpicsSignalWithRBV, "AnEnum", string=True, put_complete=True)
        path = Component(EpicsSignalWithRBV, "AString", string=True, put_complete=True)
        lines = Component(EpicsSignalWithRBV, "Numbers", put_complete=True)
        expose = Component(EpicsSignal, "Expose", put_complete=True)
        stick = Component(EpicsSignal, "Stick", put_complete=True)
        stick_error = Component(EpicsSignalRO, "Stick:Error", string=True)
        counts_error = Component(EpicsSignalRO, "Counts:Error", string=True)
        frame = Component(EpicsSignalRO, "Frame")
        state = Component(EpicsSignalRO, "State", string=True)

    if "device" not in kept:
        kept["device"] = Spectrograph("SPEC1:", name="spectrograph")
        kept["device"].wait_for_connection(timeout=15.0)
    return kept["device"]


def _set(name: str, value: Any, seconds: float = 10.0) -> float:
    """Set, and wait for its status; the seconds it took."""
    signal = getattr(_spectrograph(), name)
    began = time.monotonic()
    signal.set(value).wait(timeout=seconds)
    return time.monotonic() - began


def _get(name: str) -> Any:
    value = getattr(_spectrograph(), name).get()
    return value.tolist() if hasattr(value, "tolist") else value


def _facts(name: str, *facts: str) -> list[Any]:
    signal = getattr(_spectrograph(), name)
    return [getattr(signal, fact) if hasattr(signal, fact) else signal.metadata[fact] for fact in facts]


def _describe(name: str) -> Any:
    (described,) = getattr(_spectrograph(), name).describe().values()
    return described


def _alarm(name: str) -> tuple[Any, int]:
    """The value as it is read now, and its severity."""
    signal = getattr(_spectrograph(), name)
    return signal.get(use_monitor=False), int(signal.alarm_severity)


def _monitor(name: str) -> None:
    heard.clear()
    getattr(_spectrograph(), name).subscribe(lambda value, **_: heard.append(value))


def _heard() -> list[Any]:
    return list(heard)


def _set_read_only() -> None:
    from ophyd import EpicsSignal

    signal = EpicsSignal("SPEC1:Temperature_RBV", name="read_only", put_complete=True)
    signal.wait_for_connection(timeout=5.0)
    signal.put(50.0)


def _scan(start: float, stop: float, points: int) -> list[tuple[float, float]]:
    """(set point, counts) of each point of a scan over the temperature, an exposure at each."""
    import bluesky.plan_stubs as bps
    import bluesky.plans as bp
    from bluesky import RunEngine

    device, rows = _spectrograph(), []

    def expose_and_read(detectors: Any, motor: Any, step: float) -> Any:
        yield from bps.mv(device.counts, round(10 * step))
        yield from bps.abs_set(device.expose, 0.05, wait=True)
        yield from bps.one_1d_step(detectors, motor, step)

    def keep(name: str, document: Any) -> None:
        if name == "event":
            rows.append((document["data"]["spectrograph_temperature"], document["data"]["spectrograph_counts"]))

    engine = RunEngine({})
    engine(bp.count([device.counts, device.temperature], num=2), keep)
    engine(bp.scan([device.counts], device.temperature, start, stop, points, per_step=expose_and_read), keep)
    return rows


@pytest.fixture(scope="module", params=["pyepics", "caproto"])
def client(bench: Bench, request: pytest.FixtureRequest) -> Iterator[ClientProcess]:
    process = ClientProcess(bench.environment)
    try:
        assert process(_begin, request.param) == request.param
        yield process
    finally:
        process.close()


def test_signals_connect_with_their_limits_units_labels_and_precision(client: ClientProcess) -> None:
    client(_set, "counts", 33)
    client(_set, "filter", "blue")
    described = client(_describe, "temperature")
    assert (described["units"], described["precision"], described["dtype"]) == ("K", 2, "number")
    assert (described["lower_ctrl_limit"], described["upper_ctrl_limit"]) == (0.0, 400.0)
    assert client(_facts, "temperature", "limits", "write_access") == [(0.0, 400.0), True]
    assert client(_facts, "frame", "write_access") == [False]
    assert client(_describe, "filter")["enum_strs"] == ("open", "red", "blue")
    assert client(_describe, "counts")["dtype"] == "integer"
    assert client(_describe, "frame")["shape"] == [15]


def test_every_kind_of_signal_is_set_and_read_back(client: ClientProcess) -> None:
    path = "/data/2026/11/" + "night/" * 20 + "frame_0001.fits"
    for name, value, shown in (
        ("temperature", 98.25, 98.25), ("counts", 44, 44), ("shutter_open", True, 1), ("filter", "red", "red"),
        ("path", path, path), ("lines", [656.28, 486.13], [656.28, 486.13]),
    ):  # fmt: skip
        client(_set, name, value)
        assert client(_get, name) == shown
    assert client(_get, "frame") == list(range(15))


def test_a_status_is_done_at_the_end_of_an_operation(client: ClientProcess) -> None:
    assert 0.4 <= client(_set, "expose", 0.4) < 5.0
    with pytest.raises(ClientError, match="WaitTimeoutError"):
        client(_set, "expose", 5.0, 0.3)


def test_limits_hold_in_the_client_and_without_them_in_the_device(client: ClientProcess) -> None:
    with pytest.raises(ClientError, match="LimitError"):
        client(_set, "temperature", 401.0)
    # Neither pyepics nor caproto passes on that a put failed: the status is done, the reason stands in :Error.
    client(_set, "counts", 5000)
    wait_for(lambda: "= 5000 count is outside [0.0, 1000.0]" in client(_get, "counts_error"), 5.0, "why")
    assert 0.2 <= client(_set, "stick", 0.2) < 5.0
    wait_for(lambda: client(_get, "stick_error").endswith("the shutter is stuck after 0.2 s"), 5.0, "why")


def test_a_read_only_pv_is_not_set(client: ClientProcess) -> None:
    with pytest.raises(ClientError, match="ReadOnlyError"):
        client(_set_read_only)


def test_subscriptions_hear_updates_and_severities_follow(bench: Bench, client: ClientProcess) -> None:
    client(_set, "temperature", 100.0)
    client(_monitor, "temperature")
    wait_for(lambda: client(_heard)[-1:] == [100.0], 5.0, "the first value")
    bench.hardware(112.5)
    wait_for(lambda: client(_heard)[-1] == 112.5, 5.0, "the front panel")
    wait_for(lambda: client(_alarm, "temperature") == (112.5, 1), 5.0, "MINOR")


def test_a_bluesky_plan_counts_and_scans_with_completion(client: ClientProcess) -> None:
    client(_set, "temperature", 93.0)
    client(_set, "counts", 7)
    rows = client(_scan, 90.0, 96.0, 3, seconds=60.0)
    assert rows == [(93.0, 7), (93.0, 7), (90.0, 900), (93.0, 930), (96.0, 960)]
