"""When attributes are read, when frequent events are shown, and what the log says of those that fail."""

from __future__ import annotations

import logging
import time
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from servers.epics import failure_log
from servers.epics.alarm import Quality
from servers.epics.failure_log import FailureLog
from servers.epics.timetable import Timetable


def _attribute(period: float | None = None, *, is_polled: bool = True, rank: int = 0) -> Any:
    return SimpleNamespace(
        period=period,
        is_polled=is_polled,
        has_events=not is_polled,
        spec=SimpleNamespace(rank=rank),
        next_time=0.0,
        held=deque(maxlen=1),
        quality=Quality.VALID,
    )


def test_attributes_whose_times_fall_together_are_read_together() -> None:
    often, usual, seldom = _attribute(0.25), _attribute(), _attribute(5.0)
    timetable = Timetable()
    timetable.begin([often, usual, seldom], 1.0)
    reads = [timetable.to_read([often, usual, seldom], tick / 100) for tick in range(1000)]
    assert reads[0] == [often, usual, seldom]  # at once
    later = [read for read in reads[1:] if read]
    assert 39 <= len(later) <= 40  # 10 s of 0.25 s
    assert all(often in read for read in later)
    assert 9 <= sum(usual in read for read in later) <= 10
    assert 1 <= sum(seldom in read for read in later) <= 2
    assert all(usual in read for read in later if seldom in read)


def test_a_device_that_answers_slowly_is_asked_for_half_of_the_time() -> None:
    timetable = Timetable()
    timetable.begin([attribute := _attribute()], 0.1)
    now = time.monotonic()
    assert timetable.to_read([attribute], now) == [attribute]
    timetable.rest(3.0)
    assert timetable.to_read([attribute], now + 2.9) == []
    assert now + 3.0 <= timetable.next_due() < time.monotonic() + 3.0
    assert timetable.to_read([attribute], now + 3.5) == [attribute]


def test_what_comes_by_events_is_asked_for_while_they_are_held_up_but_not_before_the_pause_is_over() -> None:
    timetable, now = Timetable(), time.monotonic()
    polled, pushed, image = _attribute(), _attribute(is_polled=False), _attribute(is_polled=False, rank=2)
    everything = [polled, pushed, image]
    timetable.begin(everything, 1.0)
    timetable.pause(4.0)
    assert timetable.to_read(everything, now, are_held_up=True) == [polled]
    assert now < timetable.next_due() <= now + 1.0
    assert timetable.to_read(everything, now + 2.0, are_held_up=True) == [polled]
    assert timetable.to_read(everything, now + 4.1, are_held_up=True) == [polled, pushed]
    assert timetable.to_read(everything, now + 6.0) == [polled]


def test_the_newest_value_is_held_and_never_lost() -> None:
    timetable = Timetable()
    timetable.begin([attribute := _attribute(2.0, is_polled=False)], 1.0)
    values = [SimpleNamespace(value=number, quality=0) for number in range(4)]
    assert timetable.hold(attribute, values[0], is_event=True)  # to be looked after
    assert list(timetable.to_show(100.0)) == [(attribute, values[0], True)]
    assert timetable.hold(attribute, values[1], is_event=True)
    assert not timetable.hold(attribute, values[2], is_event=True)
    assert list(timetable.to_show(101.9)) == []
    assert timetable.to_read([attribute], 101.9) == []  # it has events
    assert timetable.next_due() == 102.0
    assert list(timetable.to_show(102.0)) == [(attribute, values[2], True)]
    assert list(timetable.to_show(200.0)) == []


def test_another_quality_does_not_wait() -> None:
    timetable = Timetable()
    timetable.begin([attribute := _attribute(60.0, is_polled=False)], 1.0)
    attribute.next_time = 1000.0
    assert timetable.hold(attribute, SimpleNamespace(value=1.0, quality=0), is_event=True)
    assert list(timetable.to_show(100.0)) == []
    alarm = SimpleNamespace(value=9.0, quality=int(Quality.ALARM))
    assert timetable.hold(attribute, alarm, is_event=True)
    assert list(timetable.to_show(100.0)) == [(attribute, alarm, True)]


def test_attributes_that_fail_alike_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    failures = FailureLog("lab/oven/1")
    with caplog.at_level(logging.WARNING):
        for _ in range(100):
            failures.report({f"zone_{number}": "NoLink: cable 4 is out" for number in range(8)})
    assert [line.getMessage() for line in caplog.records] == [
        "lab/oven/1: no value of zone_0, zone_1, zone_2, zone_3, zone_4 and 3 more: NoLink: cable 4 is out"
    ]


def test_a_failure_that_comes_and_goes_is_told_once_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(failure_log.time, "monotonic", lambda: now)
    failures = FailureLog("lab/oven/1")
    with caplog.at_level(logging.WARNING):
        for second in range(150):
            now = 1000.0 + second
            failures.report({"zone_1": f"NoLink: try {second}" if second % 2 else f"Short: at {second} ohm"})
            failures.forget("zone_1")
    assert len(caplog.records) == 6  # two reasons, three minutes begun
