"""The time of a PANOSETI packet: its White Rabbit clock tells ns, the recorder's clock which second that is.

A packet bears the low 10 bits of TAI seconds, so the second is known but for a multiple of 1024; the recorder's clock
tells which, when both agree to a second. TAI is ahead of UTC by the leap seconds of the day.

Source: IERS Bulletin C (leap seconds); PANOSETI packet format.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from devices.drivers.pff import Stamp

WRAP_S: Final = 1024
NANOSECONDS: Final = 1_000_000_000
#: UTC second, s since 1970, from which on TAI - UTC is so many seconds.
LEAP_SECONDS: Final = (
    (1230768000, 34),  # 2009-01-01
    (1341100800, 35),  # 2012-07-01
    (1435708800, 36),  # 2015-07-01
    (1483228800, 37),  # 2017-01-01
)


def leap_seconds(unix_s: int) -> int:
    """TAI - UTC at a time, s; no leap second has been announced after 2017."""
    place = bisect_right(LEAP_SECONDS, unix_s, key=lambda each: each[0])
    return LEAP_SECONDS[max(place - 1, 0)][1]


def host_offset_s(stamp: Stamp) -> int:
    """How far the recorder's clock is ahead of White Rabbit, whole s, -512 to 511; -1, 0 and 1 are as it should be."""
    offset = (stamp.tv_sec - stamp.pkt_tai + leap_seconds(stamp.tv_sec)) % WRAP_S
    return offset - WRAP_S if offset >= WRAP_S // 2 else offset


def unix_ns(stamp: Stamp) -> int | None:
    """When the packet was made, ns since 1970; None when the clocks differ by more than 1 s, or the ns are none."""
    offset = host_offset_s(stamp)
    if offset not in (-1, 0, 1) or not 0 <= stamp.pkt_nsec < NANOSECONDS or not stamp.tv_sec:
        return None
    return (stamp.tv_sec - offset) * NANOSECONDS + stamp.pkt_nsec


def header_time_ns(found: Sequence[Stamp]) -> int:
    """When a frame was made, ns since 1970: by the first of its packets that came; by the recorder if need be."""
    stamp = next((each for each in found if each.tv_sec), found[0])
    time_ns = unix_ns(stamp)
    return time_ns if time_ns is not None else stamp.tv_sec * NANOSECONDS + stamp.tv_usec * 1000
