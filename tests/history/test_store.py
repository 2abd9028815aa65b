"""What every store must do, the embedded one and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import numpy as np
import pytest

from devices.core.errors import RangeError, UnknownNameError
from servers.history.store import NANOSECONDS, Facts, Sample, Store, Trend, new_batch

NOON_S = 1_795_262_400  # 2026-11-21T12:00Z
NOON_NS = NOON_S * NANOSECONDS
OPEN = Callable[[], Store]


def write(store: Store, *samples: Sample, now_s: float = NOON_S) -> None:
    store.write(new_batch(samples, now_s))


def at(second: float, value: float, pv: str = "CRYO1:TemperatureA", severity: int = 0, up: bool = True) -> Sample:
    return Sample(pv, NOON_NS + round(second * 1e6) * 1000, value, severity, up)


def seconds(trend: Trend) -> list[float]:
    return [round(time - NOON_S, 6) for time in trend.time_s.tolist()]


def test_a_question_is_answered_with_the_samples_and_the_value_that_held_before(store: Store) -> None:
    write(store, *(at(n, 70.0 + n) for n in range(10)))
    (trend,) = store.query(["CRYO1:TemperatureA"], NOON_S + 3.5, NOON_S + 6.0)
    assert seconds(trend) == [3.0, 4.0, 5.0, 6.0]
    assert trend.last.tolist() == [73.0, 74.0, 75.0, 76.0]
    assert trend.width_s == 0.0


def test_a_set_point_that_rests_for_an_hour_holds_in_a_question_about_its_end(store: Store) -> None:
    write(store, at(0, 77.5, "CRYO1:Setpoint1"))
    (trend,) = store.query(["CRYO1:Setpoint1"], NOON_S + 3500, NOON_S + 3600)
    assert (seconds(trend), trend.last.tolist()) == ([0.0], [77.5])


def test_a_spike_of_one_sample_is_in_the_extremes_of_few_points(store: Store) -> None:
    values = np.full(3600, 80.0)
    values[1234] = 312.0
    values[2345] = 4.2
    for begin in range(0, 3600, 600):
        write(store, *(at(n, float(values[n])) for n in range(begin, begin + 600)))
    (trend,) = store.query(["CRYO1:TemperatureA"], NOON_S, NOON_S + 3599, 20)
    assert 18 <= len(trend.points) <= 22
    assert (np.nanmax(trend.high), np.nanmin(trend.low)) == (312.0, 4.2)
    assert trend.points.count.sum() == 3600
    assert trend.mean[trend.high == 312.0] == pytest.approx(80.0 + 232.0 / trend.points.count[trend.high == 312.0])


def test_severity_and_loss_show_in_the_points_that_stand_for_them(store: Store) -> None:
    write(store, *(at(n, 80.0, severity=2 if n == 150 else 0) for n in range(300)))
    write(store, at(300, 80.0, severity=3, up=False), *(at(n, 81.0) for n in range(310, 600)))
    (trend,) = store.query(["CRYO1:TemperatureA"], NOON_S, NOON_S + 599, 6)
    found = list(zip(trend.severity.tolist(), trend.is_connected.tolist(), strict=True))
    assert [each for each in found if each[0] == 2] == [(2, True)]
    assert [each for each in found if not each[1]] == [(3, False)]


def test_a_lost_pv_has_no_value_until_it_is_back(store: Store) -> None:
    write(store, at(0, 5.0), at(1, 5.0, severity=3, up=False), at(4, 6.0))
    (trend,) = store.query(["CRYO1:TemperatureA"], NOON_S, NOON_S + 5)
    assert trend.is_connected.tolist() == [True, False, True]
    assert np.isnan(trend.last[1])
    assert store.latest(["CRYO1:TemperatureA"]) == [at(4, 6.0)]


def test_a_clock_that_jumps_back_an_hour_loses_nothing_and_answers_in_order(store: Store) -> None:
    write(store, *(at(n, float(n)) for n in range(60)))
    write(store, *(at(n - 3600, 1000.0 + n) for n in range(60, 120)))
    write(store, *(at(n, float(n)) for n in range(120, 180)))
    (trend,) = store.query(["CRYO1:TemperatureA"], NOON_S - 4000, NOON_S + 4000)
    assert len(trend.points) == 180
    assert (np.diff(trend.points.time_ns) > 0).all()
    assert sorted(trend.last.tolist())[-60:] == [1000.0 + n for n in range(60, 120)]


def test_not_a_number_is_kept_and_is_no_extreme(store: Store) -> None:
    write(store, at(0, 3.0), at(1, float("nan")), at(2, 4.0))
    (plain,) = store.query(["CRYO1:TemperatureA"], NOON_S, NOON_S + 2)
    assert np.isnan(plain.last[1])
    (few,) = store.query(["CRYO1:TemperatureA"], NOON_S, NOON_S + 2, 1)
    inside = few.points.count > 0
    assert (few.low[inside].min(), few.high[inside].max(), few.points.count.sum()) == (3.0, 4.0, 2)


def test_what_a_pv_is_stays_with_it_and_may_change(open_store: OPEN) -> None:
    facts = Facts("enum", "", ("OFF", "ON", "FAULT"), "cryo/cryocon/1", "State")
    with closing(open_store()) as store:
        store.describe({"CRYO1:State": facts, "CRYO1:Power": Facts("float64", "W")}, {"CRYO1:Power": 3600.0})
        write(store, at(0, 2.0, "CRYO1:State"), at(0, 12.25, "CRYO1:Power"))
        store.describe({"CRYO1:Power": Facts("float64", "mW")}, {})
    with closing(open_store()) as store:
        assert store.pvs() == {"CRYO1:Power": Facts("float64", "mW"), "CRYO1:State": facts}
        state, power = store.query(["CRYO1:State", "CRYO1:Power"], NOON_S, NOON_S)
        assert (state.facts, state.last.tolist(), power.last.tolist()) == (facts, [2.0], [12.25])


def test_the_kinds_of_numbers_keep_their_values(store: Store) -> None:
    kinds = {"bool": 1.0, "int64": -(2.0**52), "uint8": 255.0, "uint64": 2.0**63, "float32": 0.5, "enum": 15.0}
    store.describe({f"T:{kind}": Facts(kind) for kind in kinds}, {})
    write(store, *(at(0, value, f"T:{kind}") for kind, value in kinds.items()))
    assert {t.facts.kind: t.last[0] for t in store.query([f"T:{k}" for k in kinds], NOON_S, NOON_S)} == kinds


def test_a_batch_that_may_have_been_written_is_there_once(store: Store) -> None:
    batch = new_batch([at(0, 1.0), at(1, 2.0)], NOON_S)
    store.write(batch)
    store.write(batch)
    (trend,) = store.query(["CRYO1:TemperatureA"], NOON_S, NOON_S + 2)
    assert trend.last.tolist() == [1.0, 2.0]


def test_an_empty_batch_says_that_nothing_happened_until_now(open_store: OPEN) -> None:
    with closing(open_store()) as store:
        assert store.alive_s() is None
        store.write(new_batch([], NOON_S + 0.25))
    with closing(open_store()) as store:
        assert store.alive_s() == NOON_S + 0.25


def test_wrong_questions_are_refused_with_the_name_or_the_bound(store: Store) -> None:
    write(store, at(0, 1.0))
    with pytest.raises(UnknownNameError, match="CRYO1:TemperatureB; did you mean CRYO1:TemperatureA"):
        store.query(["CRYO1:TemperatureB"], NOON_S, NOON_S)
    with pytest.raises(RangeError, match="before from_s"):
        store.query(["CRYO1:TemperatureA"], NOON_S, NOON_S - 1)
    with pytest.raises(RangeError, match="max_points = 0"):
        store.query(["CRYO1:TemperatureA"], NOON_S, NOON_S, 0)
