"""The judge of alarms against a definition that is too simple to be wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from devices.core import Quality
from devices.core.alarm import Range, judge

NAN = float("nan")
#: A detector that should be cold: alarm outside -110..-80 degC, warning outside -105..-90 degC; nothing is symmetric.
ALARM, WARNING = (-110.0, -80.0), (-105.0, -90.0)


@pytest.mark.parametrize(
    "celsius, quality, bound",
    [
        (-200.0, Quality.ALARM, "LOLO"),
        (-110.0, Quality.ALARM, "LOLO"),
        (-109.999, Quality.WARNING, "LOW"),
        (-105.0, Quality.WARNING, "LOW"),
        (-104.999, Quality.VALID, ""),
        (-90.001, Quality.VALID, ""),
        (-90.0, Quality.WARNING, "HIGH"),
        (-80.001, Quality.WARNING, "HIGH"),
        (-80.0, Quality.ALARM, "HIHI"),
        (float("inf"), Quality.ALARM, "HIHI"),
        (float("-inf"), Quality.ALARM, "LOLO"),
        (NAN, Quality.INVALID, ""),
    ],
)
def test_a_value_equal_to_a_bound_is_beyond_it(celsius: float, quality: Quality, bound: str) -> None:
    assert judge(celsius, WARNING, ALARM) == (quality, bound)
    assert judge(np.array([-100.0, celsius]), WARNING, ALARM)[0] is (
        Quality.VALID if quality is Quality.INVALID else quality
    )


def test_a_missing_bound_never_alarms() -> None:
    assert judge(-1e300, (None, -90.0), (None, -80.0)).quality is Quality.VALID
    assert judge(1e300, (-105.0, None), None).quality is Quality.VALID
    assert judge(-105, (-105.0, None), None) == (Quality.WARNING, "LOW")


def test_without_bounds_only_nan_is_worse_than_valid() -> None:
    assert judge(NAN).quality is Quality.INVALID
    assert judge(np.array([[NAN, NAN, NAN]])).quality is Quality.INVALID
    assert judge(np.array([[NAN, 4.0, NAN]])).quality is Quality.VALID
    assert judge(np.empty((0, 3))).quality is Quality.VALID
    assert judge(np.array([[1, 2, 3]], np.uint16)).quality is Quality.VALID


def test_any_element_of_an_array_decides_also_of_whole_numbers() -> None:
    counts = np.array([[40_000, 65_000, 1_000], [2_000, 3_000, 4_000]], np.uint16)
    assert judge(counts, None, (None, 65_000)) == (Quality.ALARM, "HIHI")
    assert judge(counts, (1_000, None), (None, 65_001)) == (Quality.WARNING, "LOW")


def test_the_alarm_below_wins_over_the_warning_above() -> None:
    spectrum = np.array([NAN, 95.0, -20.0])
    assert judge(spectrum, (0.0, 90.0), (-10.0, 100.0)) == (Quality.ALARM, "LOLO")
    assert judge(spectrum, (0.0, 90.0), (-30.0, 100.0)) == (Quality.WARNING, "LOW")


def test_a_cryostat_at_its_bound_does_not_flicker() -> None:
    """Warning above 110 K, 2 K of hysteresis: the warning of 110.0 K ends at 108 K and not before."""
    seen, previous = [], ""
    for kelvin in (109.9, 110.0, 109.0, 108.001, 108.0, 109.9):
        quality, previous = judge(kelvin, (80.0, 110.0), (70.0, 120.0), 2.0, previous)
        seen.append(quality.value)
    assert seen == ["VALID", "WARNING", "WARNING", "WARNING", "VALID", "VALID"]


def test_a_falling_alarm_becomes_a_warning_and_each_bound_lets_go_at_its_own_value() -> None:
    seen, previous = [], ""
    for kelvin in (120.0, 118.5, 118.0, 110.0, 108.5, 108.0):
        previous = judge(kelvin, (80.0, 110.0), (70.0, 120.0), 2.0, previous).bound
        seen.append(previous)
    assert seen == ["HIHI", "HIHI", "HIGH", "HIGH", "HIGH", ""]


def test_hysteresis_holds_on_its_own_side_only() -> None:
    assert judge(82.0, (80.0, 110.0), None, 2.0, "LOW") == (Quality.VALID, "")
    assert judge(109.0, (80.0, 110.0), None, 2.0, "LOW") == (Quality.VALID, "")
    assert judge(81.0, (80.0, 110.0), None, 2.0, "HIGH") == (Quality.VALID, "")
    assert judge(81.0, (80.0, 110.0), None, 2.0, "LOW") == (Quality.WARNING, "LOW")
    assert judge(71.0, None, (70.0, 120.0), 2.0, "LOW") == (Quality.VALID, ""), "a warning does not hold the alarm"


# Against the definition ------------------------------------------------------------------------------------------


class Latches:
    """The definition: every bound is a latch; it closes at the bound and opens ``hysteresis`` back from it."""

    def __init__(self, warning: Range | None, alarm: Range | None, hysteresis: float) -> None:
        low, high = warning or (None, None)
        lolo, hihi = alarm or (None, None)
        self.bounds = [
            ("LOLO", Quality.ALARM, lolo, 1),
            ("HIHI", Quality.ALARM, hihi, -1),
            ("LOW", Quality.WARNING, low, 1),
            ("HIGH", Quality.WARNING, high, -1),
        ]
        self.hysteresis = hysteresis
        self.closed: set[str] = set()

    def judge(self, elements: Iterable[float]) -> tuple[Quality, str]:
        elements = list(elements)
        numbers = [x for x in elements if x == x]
        if elements and not numbers:
            self.closed.clear()
            return Quality.INVALID, ""
        for name, _, bound, inwards in self.bounds:
            if bound is None:
                continue
            if any((bound - x) * inwards >= 0 for x in numbers):
                self.closed.add(name)
            elif not any((bound + inwards * self.hysteresis - x) * inwards > 0 for x in numbers):
                self.closed.discard(name)
        for name, quality, _, _ in self.bounds:
            if name in self.closed:
                return quality, name
        return Quality.VALID, ""


@st.composite
def ordered_bounds(draw: st.DrawFn) -> tuple[Range | None, Range | None]:
    """Whole numbers, so that the sums of the definition are exact; each bound, and each pair, may be missing."""
    lolo, low, high, hihi = sorted(draw(st.lists(st.integers(-50, 50), min_size=4, max_size=4, unique=True)))

    def pair(a: float, b: float) -> Range | None:
        given = (draw(st.sampled_from([a, a, None])), draw(st.sampled_from([b, b, None])))
        return None if given == (None, None) else given

    return pair(low, high), pair(lolo, hihi)


numbers = st.one_of(st.integers(-60, 60).map(float), st.sampled_from([NAN, float("inf"), float("-inf")]))
values: st.SearchStrategy[Any] = st.one_of(
    numbers,
    st.integers(-60, 60),
    st.lists(numbers, max_size=6).map(np.array),
    st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=4).map(np.array),
    st.lists(st.integers(-60, 60), min_size=1, max_size=6).map(lambda row: np.array(row, np.int16)),
)


def elements_of(value: Any) -> list[float]:
    return [float(x) for x in np.ravel(value)]


@given(ordered_bounds(), values)
@example((None, None), NAN)
@example(((0.0, 10.0), (-5.0, 20.0)), np.array([]))
def test_the_first_judgement_follows_the_definition(bounds: tuple[Range | None, Range | None], value: Any) -> None:
    warning, alarm = bounds
    assert judge(value, warning, alarm, 3.0) == Latches(warning, alarm, 3.0).judge(elements_of(value))


@given(ordered_bounds(), st.integers(0, 100), st.data())
def test_a_run_of_judgements_with_hysteresis_follows_the_definition(
    bounds: tuple[Range | None, Range | None], hysteresis: int, data: st.DataObject
) -> None:
    warning, alarm = bounds
    given_bounds = [bound for pair in bounds for bound in pair or () if bound is not None]
    # Where something can go wrong: at a bound, and where it lets go.
    corners = [bound + shift for bound in given_bounds for shift in (0, hysteresis, -hysteresis)]
    run = data.draw(st.lists(numbers | st.sampled_from(corners or [0]), min_size=1, max_size=20))
    definition, previous = Latches(warning, alarm, hysteresis), ""
    for value in run:
        judgement = judge(value, warning, alarm, hysteresis, previous)
        assert judgement == definition.judge([value])
        previous = judgement.bound
