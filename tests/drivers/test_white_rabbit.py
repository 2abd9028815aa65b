"""The time of a packet, by White Rabbit's ns and the recorder's second."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.drivers.pff import Stamp
from devices.drivers.white_rabbit import host_offset_s, leap_seconds, unix_ns


def seconds(*date: int) -> int:
    return int(datetime(*date, tzinfo=UTC).timestamp())  # type: ignore[misc, arg-type]


def made_at(time_ns: int, host_ahead_s: int = 0) -> Stamp:
    """The stamp of a packet that was made at a time, by a recorder whose clock is ahead."""
    second, nsec = divmod(time_ns, 10**9)
    return Stamp(1, (second + leap_seconds(second)) % 1024, nsec, second + host_ahead_s, 0)


@settings(deadline=None)
@given(st.integers(seconds(2017, 1, 3) * 10**9, seconds(2099, 1, 1) * 10**9), st.sampled_from([-1, 0, 1]))
def test_a_packet_has_its_time_to_the_ns_when_clocks_agree_to_a_second(time_ns: int, host_ahead_s: int) -> None:
    stamp = made_at(time_ns, host_ahead_s)
    assert host_offset_s(stamp) == host_ahead_s
    assert unix_ns(stamp) == time_ns


@settings(deadline=None)
@given(st.integers(seconds(2017, 1, 3), seconds(2099, 1, 1)), st.integers(-512, 511).filter(lambda s: abs(s) > 1))
def test_clocks_that_are_farther_apart_give_no_time(second: int, host_ahead_s: int) -> None:
    stamp = made_at(second * 10**9 + 1, host_ahead_s)
    assert host_offset_s(stamp) == host_ahead_s
    assert unix_ns(stamp) is None


def test_the_1024_s_of_tai_wrap() -> None:
    second = next(s for s in range(1_721_882_086, 1_721_882_086 + 1024) if (s + 37) % 1024 == 0)
    before, after = made_at(second * 10**9 - 1, 1), made_at(second * 10**9, -1)
    assert (before.pkt_tai, after.pkt_tai) == (1023, 0)
    assert (unix_ns(before), unix_ns(after)) == (second * 10**9 - 1, second * 10**9)


@pytest.mark.parametrize(
    ("date", "ahead"),
    [
        ((2016, 12, 31, 23, 59, 59), 36),
        ((2017, 1, 1, 0, 0, 0), 37),
        ((2015, 6, 30, 23, 59, 59), 35),
        ((2015, 7, 1), 36),
        ((2012, 7, 1), 35),
        ((2009, 1, 1), 34),
        ((2026, 11, 21), 37),
    ],
)
def test_tai_is_ahead_by_the_leap_seconds_of_the_day(date: tuple[int, ...], ahead: int) -> None:
    """IERS Bulletin C 52: UTC - TAI = -37 s from 2017-01-01, 0 h UTC."""
    assert leap_seconds(seconds(*date)) == ahead


def test_data_of_before_2017_have_their_time() -> None:
    """A constant of 37 s would make them a second late, or of no use."""
    time_ns = seconds(2016, 8, 1, 5, 6, 7) * 10**9 + 123_456_789
    assert unix_ns(made_at(time_ns)) == time_ns


def test_clocks_that_run_free_and_missing_quabos_give_no_time() -> None:
    stamp = made_at(seconds(2025, 8, 1) * 10**9)
    assert unix_ns(stamp._replace(pkt_nsec=999_999_999)) is not None
    assert unix_ns(stamp._replace(pkt_nsec=1_000_000_000)) is None
    assert unix_ns(stamp._replace(pkt_nsec=2_146_239_299)) is None
    assert unix_ns(Stamp(0, 0, 0, 0, 0)) is None
