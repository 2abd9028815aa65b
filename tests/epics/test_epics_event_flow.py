"""When events are held up, values are asked for that come by events otherwise."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.epics.configuration import MirroredDevice
from servers.epics.event_flow import EventFlow
from servers.epics.mirror import Mirror
from servers.epics.readings import Readings
from tests.epics.mirroring import config_of, mirror, until
from tests.epics.raw_client import RawClient
from tests.support.serving import Server, serving


def test_events_are_held_up_until_every_subscription_was_answered() -> None:
    flow = EventFlow()
    now = time.monotonic()
    assert not flow.is_held_up(now)
    flow.expect("temperature")
    flow.expect("pressure")
    flow.forget("temperature")
    assert flow.is_held_up(now)
    flow.forget("pressure")
    assert not flow.is_held_up(now)


@pytest.mark.parametrize(("silence", "is_held_up"), [(1.0, False), (2.0, True), (50.0, True), (70.0, False)])
def test_silence_is_a_sign_where_events_came_all_the_time(silence: float, is_held_up: bool) -> None:
    assert after([0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).is_held_up(5.0 + silence) is is_held_up


@pytest.mark.parametrize("times", [[60.0 * each for each in range(6)], [0.01 * each for each in range(100)]])
def test_silence_is_no_sign_where_events_are_rare_nor_after_a_burst(times: list[float]) -> None:
    assert not after(times).is_held_up(times[-1] + 2.0)


def test_all_devices_together_are_asked_for_a_fifth_of_a_core() -> None:
    flow = EventFlow()
    assert flow.asked("cryocon", 0.004) == 1.0  # s until it is asked again
    pauses = [flow.asked(f"psu {number}", 0.002) for number in range(500)]
    assert pauses[-1] == pytest.approx((0.004 + 500 * 0.002) / 0.2)
    assert pauses[-1] < 5.1, "10 000 PVs keep what is promised of the age of values"
    for number in range(500):
        flow.left(f"psu {number}")
    assert flow.asked("cryocon", 0.004) == 1.0


def after(times: list[float]) -> EventFlow:
    """A flow that has heard of events at these times, s."""
    flow = EventFlow()
    for now in times:
        flow.arrived(now)
    return flow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving("tests.support.camera:Camera", "test/camera/1", {"pv_prefix": "CCD9:"}, folder=tmp_path) as running:
        yield running


def test_while_events_are_held_up_a_value_is_read(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with mirror(config_of((MirroredDevice(server.address),))) as mirrored, RawClient(mirrored.ca.port) as client:
        until(lambda: not held_up(mirrored), "all subscriptions are made")
        monkeypatch.setattr(Readings, "show_event", lambda *_: None)
        server.proxy().home()
        assert server.proxy().homed == 1
        assert client.read("CCD9:Homed").data[0] == 0, "its event does not come"
        mirrored._flow.expect("another server's")
        until(lambda: client.read("CCD9:Homed").data[0] == 1, "it is read")


def held_up(mirrored: Mirror) -> bool:
    return mirrored._flow.is_held_up(time.monotonic())
