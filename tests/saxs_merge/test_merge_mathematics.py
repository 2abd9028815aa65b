"""What a log says at the time of an image: interpolation, averages, the shutter, equal times."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.pipelines.saxs_merge import (
    Log,
    TimeTable,
    averaged,
    first_opening_us,
    interpolated,
    is_counting,
    merged,
    separated,
    shutter_changes,
    time_table,
)

S = 1_000_000  # us


def at(*seconds: float) -> np.ndarray:
    return np.rint(np.array(seconds) * S).astype(np.int64)


def test_a_ramping_motor_is_where_it_was_at_the_middle_of_the_exposure() -> None:
    motor = TimeTable(at(0.0, 10.0, 40.0), {"Motor": np.array([2.0, 2.5, 4.0])})  # 0.05 mm/s
    found = merged(at(3.0, 20.0), at(2.0, 1.0), {}, [Log("Dlogger", motor)])
    np.testing.assert_array_equal(found.time_us, at(4.0, 20.5))
    np.testing.assert_allclose(found.columns["Motor (Dlogger)"], [2.2, 3.025])


def test_a_counter_is_averaged_over_an_exposure_of_10_s_and_not_over_one_of_4_s() -> None:
    times = np.arange(0.0, 40.0)
    counts = 1000.0 + 3.0 * (times - 20.0) ** 2  # bent: its mean is not its value at the middle
    log = TimeTable(at(*times), {"Ioni": counts, "Motor": counts})
    found = merged(at(15.0, 30.0), at(10.0, 4.0), {}, [Log("D", log, ["Ioni"])])
    # The trapezoids of 10 steps of 1 s: the sum of the inner rows and half of the outer ones, in 10 s.
    inner = counts[16:25].sum() + 0.5 * (counts[15] + counts[25])
    np.testing.assert_allclose(found.columns["Ioni (D)"], [inner / 10.0, counts[32]])
    np.testing.assert_allclose(found.columns["Motor (D)"], [1000.0, counts[32]])


def test_an_exposure_of_exactly_5_s_is_long() -> None:
    log = TimeTable(at(0.0, 2.0, 4.0, 8.0), {"Ioni": np.array([0.0, 0.0, 8.0, 8.0])})
    found = merged(at(1.0, 1.0), at(5.0, 4.999999), {}, [Log("D", log, ["Ioni"])])
    by_length = dict(zip(found.time_us.tolist(), found.columns["Ioni (D)"].tolist(), strict=True))
    assert by_length[3_500_000] == pytest.approx((8.0 + 16.0) / 5.0)  # a ramp of 2 s, then 2 s of 8
    assert by_length[3_499_999] == pytest.approx(6.0, abs=1e-5)


def test_a_window_within_one_step_of_the_logger_has_the_mean_of_the_line_between_its_rows() -> None:
    found = averaged(at(0.0, 100.0), np.array([0.0, 50.0]), at(20.0), at(30.0))
    np.testing.assert_allclose(found, [12.5])


def test_before_the_first_row_there_is_nothing_and_after_the_last_one_its_value_stays() -> None:
    times, values = at(10.0, 20.0), np.array([1.0, 3.0])
    np.testing.assert_array_equal(interpolated(times, values, at(9.999999, 10.0, 20.0, 500.0)), [np.nan, 1.0, 3.0, 3.0])
    np.testing.assert_allclose(averaged(times, values, at(9.0, 10.0, 15.0), at(15.0, 20.0, 25.0)), [np.nan, 2.0, 2.75])


def test_an_empty_cell_has_what_was_there_before_and_none_before_the_first() -> None:
    values = np.array([np.nan, 4.0, np.nan, 8.0])
    found = interpolated(at(0.0, 1.0, 2.0, 3.0), values, at(0.5, 1.0, 2.0, 2.5))
    np.testing.assert_array_equal(found, [np.nan, 4.0, 4.0, 6.0])
    texts = np.array(["a", None, "b"], object)
    assert interpolated(at(1.0, 2.0, 3.0), texts, at(0.0, 2.5, 3.0)).tolist() == [None, "a", "b"]


def test_a_column_without_a_value_and_a_log_without_a_row_give_nothing() -> None:
    empty = TimeTable(np.empty(0, np.int64), {"a": np.empty(0)})
    hollow = TimeTable(at(0.0, 9.0), {"Ioni": np.array([np.nan, np.nan]), "text": np.array([None, None], object)})
    found = merged(at(1.0), at(6.0), {}, [Log("x", empty), Log("y", hollow, ["Ioni"])])
    assert np.isnan(found.columns["a (x)"]).all() and np.isnan(found.columns["Ioni (y)"]).all()
    assert found.columns["text (y)"].tolist() == [None]


def test_the_images_come_in_the_order_of_time_with_what_belongs_to_them() -> None:
    names = np.array(["late", "early", "same"], object)
    found = merged(at(9.0, 1.0, 1.0), at(0.5, 0.5, 0.5), {"name": names, "n": np.array([9.0, 1.0, 2.0])}, [])
    assert found.columns["name"].tolist() == ["early", "same", "late"]
    assert found.columns["n"].tolist() == [1.0, 2.0, 9.0]
    assert found.time_us.tolist() == [1_250_000, 1_250_001, 9_250_000]


@given(st.lists(st.integers(-(10**15), 10**16), max_size=50))
def test_equal_times_are_1_us_apart_and_others_stay(times: list[int]) -> None:
    given_us = np.array(sorted(times), np.int64)
    found = separated(given_us)
    assert (np.diff(found) > 0).all()
    assert (found >= given_us).all()
    assert (found - given_us <= len(times)).all()
    if len(set(times)) == len(times):
        assert found.tolist() == sorted(times)


def test_several_files_of_a_logger_become_one_table_by_time() -> None:
    first = at(2.0, 3.0), {"a": np.array([2.0, 3.0]), "b": np.array(["x", "y"], object)}
    second = at(0.0, 2.0), {"a": np.array([0.0, 2.5]), "b": np.array([7.0, np.nan]), "c": np.array([1.0, 1.5])}
    found = time_table([first, second])
    assert found.time_us.tolist() == [0, 2_000_000, 2_000_001, 3_000_000]
    assert found.columns["a"].tolist() == [0.0, 2.0, 2.5, 3.0]
    assert found.columns["b"].tolist() == ["7", "x", None, "y"]
    np.testing.assert_array_equal(found.columns["c"], [1.0, np.nan, 1.5, np.nan])


@pytest.mark.parametrize(
    ("volts", "opens"), [([0.02, 0.03, 4.9, 5.1, 0.02], 2.0), ([5.0, 5.0, 0.0, 5.0, 0.0], 0.0), ([0.0] * 5, None)]
)
def test_the_shutter_opens_when_its_signal_passes_half_of_its_height(volts: list[float], opens: float | None) -> None:
    log = TimeTable(at(0.0, 1.0, 2.0, 3.0, 4.0), {"Ioni": np.arange(5.0), "Fast shutter": np.array(volts)})
    expected = None if opens is None else round(opens * S)
    assert first_opening_us(log) == expected
    times, states = shutter_changes(log)
    assert len(times) == (0 if opens is None else len(states)) and set(states) <= {0.0, 1.0}


def test_a_logger_without_a_shutter_column_writes_when_the_shutter_opens() -> None:
    assert first_opening_us(TimeTable(at(7.25, 9.0), {"Duration": np.array([1.0, 1.0])})) == 7_250_000
    assert first_opening_us(TimeTable(np.empty(0, np.int64), {"Duration": np.empty(0)})) is None


@pytest.mark.parametrize(("name", "counts"), [("Ioni", True), ("Photodiode 2", True), ("Motor X", False), ("T", False)])
def test_counters_are_known_by_their_names(name: str, counts: bool) -> None:
    assert is_counting(name) is counts


@given(
    st.lists(st.tuples(st.integers(0, 10**9), st.floats(-1e6, 1e6)), min_size=2, max_size=30, unique_by=lambda x: x[0]),
    st.integers(0, 10**9),
    st.integers(1, 10**8),
)
def test_an_average_lies_between_the_lowest_and_the_highest_value(
    points: list[tuple[int, float]], start: int, length: int
) -> None:
    points.sort()
    times, values = np.array([t for t, _ in points], np.int64), np.array([v for _, v in points])
    (mean,) = averaged(times, values, np.array([start]), np.array([start + length]))
    if start < times[0]:
        assert np.isnan(mean)
    else:
        assert values.min() - 0.05 <= mean <= values.max() + 0.05
