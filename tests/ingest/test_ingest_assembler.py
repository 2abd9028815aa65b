"""Sub-bands that come late, twice, in any order, or not at all."""

from __future__ import annotations

import asyncio
import itertools

import numpy as np
import pytest

from devices.core.errors import RangeError
from devices.correlator.assembler import AssemblyPolicy, Place, Refusal
from devices.drivers.correlator_message import MessageName
from tests.ingest.station import EARLIER, ISOT, LATER, Station, assembling, until


def put(station: Station, channel: int, isot: str = ISOT, value: float | None = None) -> Refusal | None:
    place = station.assembler.reserve(MessageName(channel, isot, 382.5, 71.25), channel)
    if isinstance(place, Refusal):
        return place
    place.into[...] = channel if value is None else value
    station.assembler.stored(place)
    return None


def in_loop(check) -> None:
    async def run():
        await check()

    asyncio.run(run())


def test_sub_bands_in_any_order_are_one_gulp():
    async def check():
        for order in itertools.permutations(range(3)):
            with assembling() as station:
                for channel in order:
                    assert put(station, channel) is None
                (gulp,) = station.gulps
                assert gulp.cube[:, 0, 0, 0].tolist() == [0.0, 1.0, 2.0] and gulp.missing == 0
                assert (gulp.isot, gulp.uv_diag_m, gulp.dec_deg) == (ISOT, 382.5, 71.25)
                assert station.slots.free == 4

    in_loop(check)


def test_a_gulp_that_lacks_a_sub_band_is_delivered_after_its_time_and_that_sub_band_is_late():
    async def check():
        with assembling(wait_s=0.05) as station:
            put(station, 2)
            put(station, 0)
            assert not station.gulps
            await until(lambda: bool(station.gulps))
            assert station.gulps[0].present.tolist() == [True, False, True]
            assert np.isnan(station.gulps[0].cube[1]).all() and not np.isnan(station.gulps[0].cube[[0, 2]]).any()
            assert put(station, 1) is Refusal.LATE
            assert put(station, 2) is Refusal.DUPLICATE  # its node has lost the answer
            counts = station.assembler.counts
            assert (counts.incomplete, counts.missing, counts.late, counts.duplicate, counts.begun) == (1, 1, 1, 1, 1)

    in_loop(check)


@pytest.mark.parametrize(("kept", "value"), [("first", 10.0), ("last", 20.0)])
def test_of_two_equal_sub_bands_the_declared_one_is_kept(kept, value):
    async def check():
        with assembling(duplicates=kept) as station:
            put(station, 1, value=10.0)
            put(station, 1, value=20.0)
            put(station, 0)
            put(station, 2)
            assert len(station.gulps) == 1 and station.gulps[0].cube[1, 4, 5, 5] == value
            assert station.assembler.counts.duplicate == 1

    in_loop(check)


def test_a_sub_band_that_is_being_written_is_not_written_by_another():
    async def check():
        with assembling(duplicates="last") as station:
            first = station.assembler.reserve(MessageName(1, ISOT), 1)
            assert isinstance(first, Place)
            assert station.assembler.reserve(MessageName(1, ISOT), 1) is Refusal.DUPLICATE

    in_loop(check)


def test_gulps_are_delivered_in_the_order_of_their_times():
    async def check():
        with assembling() as station:
            put(station, 0, ISOT)
            for channel in range(3):
                put(station, channel, LATER)
            assert not station.gulps, "the gulp before it is not complete yet"
            put(station, 1, ISOT)
            put(station, 2, ISOT)
            assert [gulp.isot for gulp in station.gulps] == [ISOT, LATER]
            assert put(station, 0, EARLIER) is Refusal.LATE

    in_loop(check)


def test_a_gulp_that_begins_before_those_that_are_open_is_delivered_first():
    async def check():
        with assembling() as station:
            put(station, 0, ISOT)
            for channel in range(3):
                put(station, channel, EARLIER)
            assert [gulp.isot for gulp in station.gulps] == [EARLIER]

    in_loop(check)


def test_one_open_gulp_too_many_ends_the_oldest_as_it_is():
    async def check():
        with assembling(open_gulps=2) as station:
            for isot in (EARLIER, ISOT, LATER):
                put(station, 1, isot)
            assert [(gulp.isot, gulp.missing) for gulp in station.gulps] == [(EARLIER, 2)]
            assert station.assembler.open == 2

    in_loop(check)


def test_times_that_go_far_back_begin_anew_and_those_a_little_back_are_late():
    async def check():
        with assembling() as station:
            for channel in range(3):
                put(station, channel)
            assert put(station, 0, "2026-11-21T03:11:10.000") is Refusal.LATE  # 54 s before
            for channel in range(3):
                assert put(station, channel, "2023-10-03T21:56:46.215") is None
            assert [gulp.isot for gulp in station.gulps] == [ISOT, "2023-10-03T21:56:46.215"]
            assert station.assembler.counts.restarts == 1

    in_loop(check)


def test_a_node_with_a_wrong_clock_loses_no_gulp_of_the_others():
    async def check():
        with assembling(wait_s=0.05) as station:
            for second in range(0, 40, 3):
                put(station, 2, f"2026-11-22T03:12:{second:02d}.000")  # a day ahead
                put(station, 0, f"2026-11-21T03:12:{second:02d}.000")
                put(station, 1, f"2026-11-21T03:12:{second:02d}.000")
            await until(lambda: station.assembler.open == 0)
            right = [gulp for gulp in station.gulps if gulp.isot.startswith("2026-11-21")]
            assert len(right) == 14 and all(gulp.present.tolist() == [True, True, False] for gulp in right)

    in_loop(check)


def test_without_a_free_slot_the_oldest_incomplete_gulp_is_given_up():
    async def check():
        with assembling(slots=2, open_gulps=5) as station:
            station.keeps_slots = True  # a search that does not end
            for channel in range(3):
                put(station, channel, EARLIER)
            put(station, 0, ISOT)
            assert put(station, 0, LATER) is None
            assert station.assembler.counts.given_up == 1
            assert put(station, 1, ISOT) is Refusal.LATE, "it does not come back as a gulp of its own"
            for channel in (1, 2):
                put(station, channel, LATER)
            assert [gulp.isot for gulp in station.gulps] == [EARLIER, LATER]

    in_loop(check)


def test_without_a_free_slot_a_sub_band_is_refused_where_that_is_declared():
    async def check():
        with assembling(slots=1, when_full="refuse") as station:
            put(station, 0, ISOT)
            assert put(station, 0, LATER) is Refusal.NO_SLOT
            for channel in (1, 2):
                put(station, channel, ISOT)
            assert put(station, 0, LATER) is None
            assert station.assembler.counts.no_slot == 1

    in_loop(check)


def test_a_gulp_whose_slot_is_being_written_to_waits_for_the_end_of_that():
    async def check():
        with assembling(wait_s=0.05) as station:
            put(station, 0)
            place = station.assembler.reserve(MessageName(1, ISOT), 1)
            assert isinstance(place, Place)
            await asyncio.sleep(0.1)  # its time is over
            assert not station.gulps
            assert put(station, 2) is Refusal.LATE
            place.into[...] = 7.0
            station.assembler.stored(place)
            assert station.gulps[0].present.tolist() == [True, True, False]
            assert station.gulps[0].cube[1, 0, 0, 0] == 7.0

    in_loop(check)


def test_what_could_not_be_written_is_missing_and_an_empty_gulp_is_none():
    async def check():
        with assembling(wait_s=0.05) as station:
            place = station.assembler.reserve(MessageName(1, ISOT), 1)
            assert isinstance(place, Place)
            station.assembler.failed(place)
            await until(lambda: station.assembler.open == 0)
            assert not station.gulps and station.slots.free == 4

    in_loop(check)


def test_all_that_is_open_can_be_delivered_at_once():
    async def check():
        with assembling() as station:
            put(station, 1, LATER)
            put(station, 2, ISOT)
            station.assembler.end_all()
            assert [gulp.isot for gulp in station.gulps] == [ISOT, LATER]

    in_loop(check)


def test_a_policy_that_cannot_be_is_refused():
    with pytest.raises(RangeError, match="wait = 0 s"):
        AssemblyPolicy(wait_s=0.0)


def test_a_gulp_that_comes_after_all_open_ones_were_ended_for_it_is_late():
    async def check():
        with assembling(open_gulps=1) as station:
            put(station, 0, LATER)
            assert put(station, 0, ISOT) is Refusal.LATE
            assert station.assembler.counts.late == 1 and station.assembler.open == 0

    in_loop(check)
