"""Events: what is pushed, with which time stamp, quality and set value."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import tango

from tests.support.serving import wait_until


@contextmanager
def events(proxy: tango.DeviceProxy, name: str, kind: Any = tango.EventType.CHANGE_EVENT) -> Iterator[list[Any]]:
    """What arrives for an attribute, from the first event on (which Tango makes at the subscription)."""
    seen: list[Any] = []
    number = proxy.subscribe_event(
        name, kind, lambda event: seen.append(event.errors if event.err else event.attr_value)
    )
    wait_until(lambda: seen, 10.0, "the first event")
    wait_until_subscribed(proxy)
    try:
        yield seen
    finally:
        proxy.unsubscribe_event(number)


def wait_until_subscribed(proxy: tango.DeviceProxy) -> None:
    """Wait until the server knows of all former subscriptions of this process.

    They travel to it behind the answer to ``subscribe_event``, in order: events that are pushed before are lost. A
    later one, whose events arrive, shows that all before it are known (ZeroMQ guide, chapter 1, "slow joiner").
    """
    arrived: list[Any] = []
    number = proxy.subscribe_event("a_uint8", tango.EventType.CHANGE_EVENT, arrived.append)
    values = itertools.cycle(range(256))

    def is_heard() -> bool:
        proxy.write_attribute("a_uint8", next(values))
        return len(arrived) > 1  # the first is no event, but what the subscription has read

    wait_until(is_heard, 5.0, "an event of a later subscription")
    proxy.unsubscribe_event(number)


def publish(proxy: tango.DeviceProxy, value: float, **more: Any) -> None:
    import json

    proxy.publish_value(json.dumps({"name": "fast", "value": value, **more}))


def values(seen: list[Any]) -> Callable[[], list[Any]]:
    return lambda: [each.value for each in seen]


def test_a_publication_arrives_with_the_hardware_s_time_and_quality(proxy: tango.DeviceProxy) -> None:
    with events(proxy, "fast") as seen:
        publish(proxy, 41.5, timestamp=1_500_000_000.5, quality="WARNING")
        wait_until(lambda: seen[-1].value == 41.5, 10.0)
        assert seen[-1].time.totime() == pytest.approx(1_500_000_000.5, abs=1e-5)
        assert seen[-1].quality == tango.AttrQuality.ATTR_WARNING


def test_an_invalid_reading_arrives_without_a_value(proxy: tango.DeviceProxy) -> None:
    publish(proxy, 1.0)
    with events(proxy, "fast") as seen:
        proxy.make_invalid("fast")
        wait_until(lambda: seen[-1].quality == tango.AttrQuality.ATTR_INVALID, 10.0)
        assert seen[-1].value is None
        publish(proxy, 2.0)
        wait_until(lambda: seen[-1].value == 2.0, 10.0)


def test_dead_bands_of_change_and_archive_events_are_their_own(proxy: tango.DeviceProxy) -> None:
    def count(value: int) -> None:
        proxy.publish_value(f'{{"name": "counter", "value": {value}}}')

    count(0)
    with events(proxy, "counter") as changes, events(proxy, "counter", tango.EventType.ARCHIVE_EVENT) as archived:
        for value in (5, 9, 10, 15, 21, 99, 100, 150, 201):
            count(value)
        wait_until(lambda: changes[-1].value == 201 and archived[-1].value == 201, 10.0)
        # A dead-band of 10: 5 and 9 are silent, then 10; 15 is silent, then 21 ... of 100: 100 and 201 after 0.
        assert [each.value for each in changes] == [0, 10, 21, 99, 150, 201]
        assert [each.value for each in archived] == [0, 100, 201]


def test_the_event_of_a_put_carries_the_new_set_value(proxy: tango.DeviceProxy) -> None:
    proxy.write_attribute("position", 1.0)
    with events(proxy, "position") as seen:
        proxy.write_attribute("position", 8.0)
        wait_until(lambda: (seen[-1].value, seen[-1].w_value) == (4.0, 8.0), 10.0)
    with events(proxy, "temperature") as seen:
        proxy.write_attribute("temperature", 101.0)
        wait_until(lambda: seen[-1].value == 101.0, 10.0)
        assert all(each.value == each.w_value for each in seen if each.value == 101.0)


def test_spectra_images_and_texts_arrive_whole(proxy: tango.DeviceProxy) -> None:
    with events(proxy, "frame") as seen:
        frame = np.arange(35, dtype=np.uint16).reshape(5, 7)
        proxy.write_attribute("frame", frame)
        wait_until(lambda: seen[-1].value is not None and seen[-1].value.shape == (5, 7), 10.0)
        np.testing.assert_array_equal(seen[-1].value, frame)
    with events(proxy, "texts") as seen:
        proxy.write_attribute("texts", ["a", "bc"])
        wait_until(lambda: seen[-1].value is not None and list(seen[-1].value) == ["a", "bc"], 10.0)
    with events(proxy, "an_enum") as seen:
        proxy.write_attribute("an_enum", 0)
        proxy.write_attribute("an_enum", 1)
        wait_until(lambda: seen[-1].value == 1, 10.0)


def test_state_and_status_are_events_too(proxy: tango.DeviceProxy) -> None:
    with events(proxy, "State") as states, events(proxy, "Status") as texts:
        operation_id = proxy.expose(0.2)
        wait_until(lambda: states[-1].value == tango.DevState.RUNNING, 10.0)
        assert operation_id
        wait_until(lambda: "expose" in texts[-1].value, 10.0)
        wait_until(lambda: states[-1].value == proxy.state() != tango.DevState.RUNNING, 10.0)


def test_an_attribute_of_states_is_an_event(proxy: tango.DeviceProxy) -> None:
    proxy.publish_state(tango.DevState.ON)
    with events(proxy, "a_state") as seen:
        proxy.publish_state(tango.DevState.MOVING)
        wait_until(lambda: seen[-1].value == tango.DevState.MOVING, 10.0)


def test_no_publication_of_a_burst_is_lost(proxy: tango.DeviceProxy) -> None:
    with events(proxy, "fast") as seen:
        proxy.flood('{"count": 500, "period": 0.001}')
        wait_until(lambda: seen[-1].value == 499.0, 10.0)
        got = [each.value for each in seen[-500:]]
        assert got == [float(i) for i in range(500)]


def test_a_limit_changed_by_a_client_judges_the_value_at_once(proxy: tango.DeviceProxy) -> None:
    proxy.write_attribute("temperature", 100.0)
    config = proxy.get_attribute_config("temperature")
    before = config.alarms.max_alarm
    with events(proxy, "temperature") as seen:
        try:
            config.alarms.max_alarm = "99.5"
            proxy.set_attribute_config(config)
            wait_until(lambda: seen[-1].quality == tango.AttrQuality.ATTR_ALARM, 10.0)
            assert proxy.state() == tango.DevState.ALARM
            assert "temperature" in proxy.alarm_summary
        finally:
            config.alarms.max_alarm = before
            proxy.set_attribute_config(config)
        wait_until(lambda: seen[-1].quality == tango.AttrQuality.ATTR_VALID, 10.0)
        wait_until(lambda: proxy.alarm_summary == "", 10.0)


def test_an_alarm_has_hysteresis(proxy: tango.DeviceProxy) -> None:
    # Alarm at 120 K with 2 K of hysteresis: 118.5 K is still an alarm on the way down, 117.9 K is a warning.
    for kelvin, quality in (
        (120.0, "ALARM"),
        (118.5, "ALARM"),
        (117.9, "WARNING"),
        (108.5, "WARNING"),
        (107.0, "VALID"),
    ):
        proxy.write_attribute("temperature", kelvin)
        assert str(proxy.read_attribute("temperature").quality) == f"ATTR_{quality}", kelvin
