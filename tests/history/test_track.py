"""What becomes a sample: dead-bands and periods of the archive list; changes of severity and losses, always."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest

from devices.core.errors import BadValueError, ConfigurationError
from servers.history.archive_list import Rule, read_archive_list
from servers.history.store import NANOSECONDS, Sample
from servers.history.track import Track
from servers.history.when import moment_s

NOON_NS = 1_795_262_400 * NANOSECONDS


def feed(track: Track, *values: tuple[float, float], severity: int = 0, up: bool = True) -> list[float]:
    """Values at seconds; those that are kept."""
    kept: list[Sample] = []
    for second, value in values:
        now_ns = NOON_NS + round(second * NANOSECONDS)
        kept += track.due(now_ns, second)
        kept += track.take(now_ns, value, severity, up, now_ns, second)
    return [sample.value for sample in kept]


def test_of_a_fast_signal_one_value_a_second_is_kept_the_newest() -> None:
    track = Track("T", Rule())
    assert feed(track, *((n / 10, float(n)) for n in range(35))) == [0.0, 9.0, 18.0, 27.0]


def test_a_value_that_stays_after_a_fast_change_is_kept_when_its_time_comes() -> None:
    track = Track("T", Rule())
    assert feed(track, (0.0, 1.0), (0.2, 2.0)) == [1.0]
    assert [sample.value for sample in track.due(NOON_NS, 1.1)] == [2.0]


def test_of_a_source_at_the_very_rate_no_value_is_lost_when_they_are_taken_unevenly() -> None:
    track, kept = Track("T", Rule()), list[float]()
    polls = [0.216 * n for n in range(1000)]
    for before, at in pairwise(polls):
        now_ns = NOON_NS + round(at * NANOSECONDS)
        for second in range(math.ceil(before), math.ceil(at)):
            kept += [sample.value for sample in track.take(now_ns, float(second), 0, True, now_ns, at)]
        kept += [sample.value for sample in track.due(now_ns, at)]
    assert kept == [float(second) for second in range(math.ceil(polls[-1]))]


def test_noise_within_the_dead_band_is_not_kept_and_a_slow_drift_is() -> None:
    track = Track("T", Rule(absolute=0.5))
    assert feed(track, *((n, 77.0 + 0.2 * n) for n in range(0, 20, 2))) == pytest.approx([77.0, 77.8, 78.6, 79.4, 80.2])
    relative = Track("T", Rule(relative=10.0))
    assert feed(relative, (0, 100.0), (2, 109.0), (4, 110.0), (6, 119.0), (8, 98.0)) == [100.0, 110.0, 98.0]


def test_a_value_that_rests_is_kept_again_after_the_period() -> None:
    track = Track("T", Rule(period_s=60.0))
    feed(track, (0, 5.0))
    assert track.due(NOON_NS, 59.0) == []
    assert track.due(NOON_NS + 60 * NANOSECONDS, 60.0) == [Sample("T", NOON_NS + 60 * NANOSECONDS, 5.0)]


def test_an_alarm_of_a_tenth_of_a_second_is_kept_whatever_the_rule_says() -> None:
    track = Track("T", Rule(every_s=3600.0, absolute=1000.0))
    feed(track, (0, 5.0))
    assert feed(track, (1.0, 5.1), severity=0) == []
    assert feed(track, (1.1, 5.2), severity=2) == [5.1, 5.2]
    assert feed(track, (1.2, 5.1), severity=0) == [5.1]


def test_a_server_that_is_lost_and_back_gives_old_times_and_they_are_not_taken() -> None:
    track = Track("T", Rule())
    feed(track, (0, 5.0))
    (lost,) = track.take(NOON_NS, 5.0, 3, False, NOON_NS + 7 * NANOSECONDS, 7.0)
    (back,) = track.take(NOON_NS, 5.0, 0, True, NOON_NS + 9 * NANOSECONDS, 9.0)
    assert ((lost.time_ns - NOON_NS) // NANOSECONDS, lost.is_connected) == (7, False)
    assert ((back.time_ns - NOON_NS) // NANOSECONDS, back.is_connected) == (9, True)


def test_the_first_rule_that_fits_holds(tmp_path: Path) -> None:
    file = tmp_path / "archive.site.yaml"
    file.write_text(
        "rules:\n"
        '  - {pv: "CRYO1:Temp*", tango: "cryo/*", absolute: 0.01, period: 60, keep: 7 d}\n'
        "  - {tango: CRYO/cryocon/1/load_1, off: true}\n"
        '  - {pv: "*", every: 10}\n'
    )
    archive = read_archive_list(file)
    rule = archive.rule("CRYO1:TemperatureA", "cryo/cryocon/1", "temperature_a")
    assert (rule.absolute, rule.period_s, rule.keep_s, rule.every_s) == (0.01, 60, 604800.0, 1.0)
    assert archive.rule("CRYO1:TemperatureA", "saxs/detector/1", "temperature_a").every_s == 10
    assert archive.rule("CRYO1:Load1", "cryo/cryocon/1", "load_1").is_off


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rules:\n  - pv: 'A*'\n    absolut: 1\n", r"line 3: .*unknown key absolut; did you mean absolute"),
        ("rule: []\n", r"line 1: .*unknown key rule; did you mean rules"),
        ("rules:\n  - {pv: A, keep: 7 fortnights}\n", r"line 2: .*keep.*'7 fortnights' is not a time"),
        ("rules:\n  - {pv: A}\n  - {pv: B, period: soon}\n", r"line 3: .*period: must be a number"),
        ("rules:\n  - {absolute: 1}\n", r"line 2: "),
    ],
)
def test_a_wrong_archive_list_is_refused_with_the_line(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "archive.wrong.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=problem):
        read_archive_list(file)


def test_moments_as_people_type_them() -> None:
    now = 1_795_262_400.0  # 2026-11-21T12:00Z
    assert moment_s("now", now) == now
    assert moment_s("1.5 h ago", now) == now - 5400
    assert moment_s("2026-11-21T11:00Z", now) == now - 3600
    assert moment_s("2026-11-21T13:00+01:00", now) == now
    assert moment_s("1795262400.5", now) == now + 0.5
    with pytest.raises(BadValueError, match="is not a moment"):
        moment_s("yesterday", now)
