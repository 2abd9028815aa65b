"""Reads that overtake events on their way, and first events that come late: no client sees a temperature go back."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
import tango

from servers.epics import attribute_source
from servers.epics.attribute_source import AttributeSource
from servers.epics.declaration import AttributeSpec
from servers.epics.records import Facts, Kind

NOON = 1_700_000_000  # s since 1970


def temperature() -> AttributeSource:
    spec = AttributeSpec("temperature", "Temperature", Kind.FLOAT64, "float64", 0, 1, "read", "operator", 0, Facts())
    return AttributeSource(spec, "CRYO1:", lambda _: pytest.fail("nobody puts"))


def measured(kelvin: float, milliseconds: int) -> Any:
    """An answer of Tango, taken some time after noon."""
    seconds, rest = divmod(milliseconds, 1000)
    stamp = SimpleNamespace(tv_sec=NOON + seconds, tv_usec=1000 * rest, tv_nsec=0)
    return SimpleNamespace(value=kelvin, w_value=None, quality=tango.AttrQuality.ATTR_VALID, time=stamp)


def test_events_that_a_read_has_overtaken_are_not_shown() -> None:
    source = temperature()
    source.is_subscribed = True
    shown: list[float] = []
    source.readback.listen(lambda: shown.append(source.readback.reading.value))
    source.take(measured(77.0, 100), is_event=True)
    source.take(measured(77.5, 130))  # a read, while the events of 77.25 and 77.5 wait in a queue
    for kelvin, milliseconds in ((77.25, 120), (77.5, 130), (77.75, 140)):
        source.take(measured(kelvin, milliseconds), is_event=True)
    assert list(dict.fromkeys(shown)) == [77.0, 77.5, 77.75]
    assert shown == sorted(shown)
    assert source.verify, "it is read once more: the clock of the device may have been set back"


def test_a_first_event_that_comes_after_the_second_one_is_not_shown() -> None:
    source = temperature()
    source.take(measured(80.5, 210), is_event=True)
    source.is_subscribed = True
    source.take(measured(80.25, 200), is_event=True)
    assert source.readback.reading.value == 80.5


def test_a_clock_that_is_set_back_holds_values_back_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    source = temperature()
    source.is_subscribed = True
    source.take(measured(90.0, 1500))
    source.take(measured(91.0, 50), is_event=True)
    assert source.readback.reading.value == 90.0
    source.take(measured(91.0, 50))  # the read that is wanted then believes the device
    source.take(measured(92.0, 60), is_event=True)
    assert source.readback.reading.value == 92.0

    source.take(measured(93.0, 1500))
    later = time.monotonic() + attribute_source.OVERTAKEN_TIME + 0.1
    monkeypatch.setattr(attribute_source.time, "monotonic", lambda: later)
    source.take(measured(94.0, 70), is_event=True)
    assert source.readback.reading.value == 94.0


def test_a_device_whose_events_have_a_time_of_their_own_is_believed_at_once() -> None:
    source = temperature()
    source.is_subscribed = True
    source.take(measured(70.0, 3_600_000))  # a read, with the time of the read
    source.take(measured(71.0, 50), is_event=True)
    assert source.readback.reading.value == 71.0


def test_events_in_any_order_are_shown_as_they_come_when_nothing_was_read() -> None:
    source = temperature()
    source.is_subscribed = True
    source.take(measured(60.0, 500), is_event=True)
    source.take(measured(61.0, 400), is_event=True)  # a time stamp of the hardware's own clock
    assert source.readback.reading.value == 61.0
