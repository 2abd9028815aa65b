"""Dead-bands: small changes make no event, a large one is never lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.core import Deadband, Quality, Reading
from devices.core.deadband import COMPARED_ELEMENTS

NAN = float("nan")


def reading(value: Any, at: float = 0.0, quality: Quality = Quality.VALID, reason: str = "") -> Reading[Any]:
    return Reading(value, at, quality, reason)


def sent_of(band: Deadband, values: list[Any], step: float = 1.0) -> list[int]:
    """The indices of the readings that are sent, when they come every ``step`` s."""
    last, sent = None, []
    for index, value in enumerate(values):
        now = value if isinstance(value, Reading) else reading(value, index * step)
        if band.passes(last, now):
            last = now
            sent.append(index)
    return sent


def test_without_a_dead_band_every_other_value_is_sent() -> None:
    assert sent_of(Deadband(), [77.3, 77.3, 77.30000001, 77.3]) == [0, 2, 3]
    assert sent_of(Deadband(), ["a", "a", "b"]) == [0, 2]
    assert sent_of(Deadband(), [True, True, False]) == [0, 2]
    assert sent_of(Deadband(), [("a", "b"), ("a", "b"), ("a",)]) == [0, 2]


def test_changes_add_up_from_the_value_that_was_sent_and_not_from_the_last_one() -> None:
    assert sent_of(Deadband(absolute=0.5), [4.0, 4.2, 4.4, 4.6, 4.8, 5.0, 5.2]) == [0, 3, 6]


def test_a_change_of_just_the_band_is_sent() -> None:
    assert sent_of(Deadband(absolute=2), [10, 11, 12, 13, 14, 11]) == [0, 2, 4, 5]
    assert sent_of(Deadband(relative=50.0), [8.0, 11.0, 12.0, 17.0, 18.0]) == [0, 2, 4]


def test_a_relative_band_follows_the_value_and_is_nothing_at_zero() -> None:
    assert sent_of(Deadband(relative=10.0), [100.0, 109.0, 111.0, 121.0, 123.0]) == [0, 2, 4]
    assert sent_of(Deadband(relative=10.0), [0.0, 1e-12]) == [0, 1]
    assert sent_of(Deadband(relative=10.0), [-100.0, -91.0, -90.0]) == [0, 2]


def test_any_band_that_is_given_decides() -> None:
    assert sent_of(Deadband(absolute=5.0, relative=1.0), [100.0, 101.0, 101.5, 102.0]) == [0, 1]
    assert sent_of(Deadband(absolute=0.5, relative=90.0), [100.0, 100.4, 100.5]) == [0, 2]


def test_after_the_longest_silence_an_equal_value_is_sent_again() -> None:
    assert sent_of(Deadband(absolute=1.0, period=10.0), [4.2] * 21, step=2.5) == [0, 4, 8, 12, 16, 20]
    assert sent_of(Deadband(period=10.0), ["on"] * 5, step=5.0) == [0, 2, 4]


def test_another_quality_or_reason_is_sent_whatever_the_value() -> None:
    band = Deadband(absolute=100.0)
    run = [
        reading(80.0),
        reading(80.1, quality=Quality.WARNING, reason="LOW 80.5 K"),
        reading(80.1, quality=Quality.WARNING, reason="LOW 80.2 K"),
        reading(None, quality=Quality.INVALID, reason="TimeoutError: no answer"),
        reading(None, quality=Quality.INVALID, reason="TimeoutError: no answer"),
        reading(None, quality=Quality.INVALID, reason="NotConnectedError: gone"),
        reading(80.0),
    ]
    assert sent_of(band, run) == [0, 1, 2, 3, 5, 6]


def test_an_infinite_value_is_a_change_once() -> None:
    inf = float("inf")
    assert sent_of(Deadband(absolute=1.0), [1.0, inf, inf, -inf, 1.0]) == [0, 1, 3, 4]


@pytest.mark.filterwarnings("error")
def test_one_element_of_a_spectrum_is_enough() -> None:
    flat = np.full(6, 100.0)
    bump = flat.copy()
    bump[4] = 103.0
    assert sent_of(Deadband(), [flat, flat.copy(), bump]) == [0, 2]
    assert sent_of(Deadband(absolute=3.0), [flat, bump]) == [0, 1]
    assert sent_of(Deadband(absolute=3.1), [flat, bump]) == [0]
    assert sent_of(Deadband(relative=3.0), [flat, bump]) == [0, 1]
    assert sent_of(Deadband(relative=3.1), [flat, bump]) == [0]
    assert sent_of(Deadband(relative=3.0), [flat, flat.copy()]) == [0]
    infinite = np.array([float("inf"), 1.0])
    assert sent_of(Deadband(absolute=3.0), [infinite, infinite.copy()]) == [0]


def test_unsigned_counts_that_fall_are_a_change_too() -> None:
    counts = np.array([[5, 7, 9]], np.uint16)
    assert sent_of(Deadband(absolute=2), [counts, counts - 1, counts - 2]) == [0, 2]


def test_another_length_is_a_change_and_an_equal_nan_is_none() -> None:
    gap = np.array([1.0, NAN, 3.0])
    for band in (Deadband(), Deadband(absolute=1.0), Deadband(relative=1.0)):
        assert sent_of(band, [gap, gap.copy(), gap[:2], np.array([1.0, 2.0]), np.array([])]) == [0, 2, 3, 4]


def test_a_long_spectrum_or_an_image_is_not_compared_without_a_band() -> None:
    short, long = np.zeros(COMPARED_ELEMENTS), np.zeros((3, COMPARED_ELEMENTS))
    assert sent_of(Deadband(), [short, short]) == [0]
    assert sent_of(Deadband(), [long, long]) == [0, 1]
    assert sent_of(Deadband(absolute=1.0), [long, long]) == [0]


bands = st.builds(
    Deadband,
    absolute=st.none() | st.integers(1, 30).map(float),
    relative=st.none() | st.sampled_from([1.0, 12.5, 50.0]),
    period=st.none() | st.integers(2, 9).map(float),
)


@given(bands, st.lists(st.integers(-100, 100), min_size=1, max_size=40))
def test_what_is_withheld_differs_by_less_than_every_band_from_what_was_sent(band: Deadband, run: list[int]) -> None:
    """So the last value sent is never further than the band from the final one, and never older than the period."""
    last: Reading[Any] | None = None
    for second, value in enumerate(run):
        now = reading(float(value), float(second))
        if band.passes(last, now):
            last = now
            continue
        assert last is not None
        change = abs(value - last.value)
        if change:
            assert band.absolute is not None or band.relative is not None
            assert band.absolute is None or change < band.absolute
            assert band.relative is None or change < abs(last.value) * band.relative / 100
        assert band.period is None or second - last.timestamp < band.period


@given(bands, st.lists(st.lists(st.integers(-100, 100), min_size=3, max_size=3), min_size=1, max_size=20))
def test_the_same_holds_for_each_element_of_a_spectrum(band: Deadband, run: list[list[int]]) -> None:
    last: Reading[Any] | None = None
    for second, row in enumerate(run):
        now = reading(np.array(row, np.int16), float(second))
        if band.passes(last, now):
            last = now
            continue
        assert last is not None
        for old, new in zip(last.value.tolist(), row, strict=True):
            if old != new:
                assert band.absolute is not None or band.relative is not None
                assert band.absolute is None or abs(new - old) < band.absolute
                assert band.relative is None or abs(new - old) < abs(old) * band.relative / 100
        assert band.period is None or second - last.timestamp < band.period
