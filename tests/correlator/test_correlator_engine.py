"""The engine of the correlator image server: what a slow, dying or hanging search does to the gulps that come."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable

import numpy as np

from devices.correlator.engine import RECEIVING, Engine
from devices.correlator.gulp import Gulp, GulpShape
from devices.correlator.job import Found, Job
from devices.correlator.slots import CubeSlots
from devices.correlator.worker_process import WorkerProcess
from tests.correlator.desks import SlowDesk, TellingDesk, UnmadeDesk
from tests.support.running import until

SHAPE = GulpShape(channels=3, samples=6, size=8)
SAMPLE_S = 0.134
LENGTH_S = 6 * SAMPLE_S


class Bench:
    """An engine, its slots, and what it told."""

    def __init__(self, desk: type[SlowDesk], seconds: float, slots: int, limit_s: float = 30.0) -> None:
        self.slots = CubeSlots(SHAPE, slots)
        self.worker = WorkerProcess(desk, seconds, name="search of the test")
        self.engine = Engine(self.slots, self.worker, self, limit_s=limit_s, length_s=LENGTH_S, sample_s=SAMPLE_S)
        self.results: list[tuple[int, Found]] = []
        self.failures: list[tuple[int, str]] = []
        self._number = 0

    def prepare(self, gulp: Gulp, follows: bool) -> Job:
        return Job(gulp, follows, plan=None)  # type: ignore[arg-type]  # these desks have no use for a plan

    def found(self, gulp: Gulp, found: Found) -> None:
        self.results.append((gulp.number, found))

    def failed(self, gulp: Gulp, why: str) -> None:
        self.failures.append((gulp.number, why))

    def put(self, isot: str = "") -> None:
        """A gulp comes."""
        self._number += 1
        slot = self.slots.take()
        assert slot is not None, "reception finds no free slot"
        now = time.time()
        mjd = 61000.0 + self._number * LENGTH_S / 86400.0
        present = np.array([True, True, False])
        cube = self.slots.cube(slot)
        self.engine.put(Gulp(self._number, isot, mjd, 2000.0, 16.0, cube, slot, present, now, now))


def run(
    test: Callable[[Bench], Awaitable[None]],
    *,
    desk: type[SlowDesk] = SlowDesk,
    seconds: float = 0.0,
    slots: int = 5,
    limit_s: float = 30.0,
) -> None:
    async def work() -> None:
        bench = Bench(desk, seconds, slots, limit_s)
        bench.engine.start()
        try:
            await test(bench)
        finally:
            await bench.engine.stop()
            assert bench.slots.free == bench.slots.count, "every slot is given back"
            bench.slots.close()

    asyncio.run(work())


def test_a_search_slower_than_gulps_drops_the_oldest_counts_them_and_leaves_reception_its_room() -> None:
    async def test(bench: Bench) -> None:
        engine = bench.engine
        await until(lambda: engine.is_ready, "the process is ready", 60.0)
        for _ in range(12):
            bench.put()
            assert engine.depth <= engine.capacity == 3
            assert bench.slots.free >= RECEIVING, "two gulps can be received at any time"
            await asyncio.sleep(0.02)  # a gulp comes each 20 ms, a search takes 300 ms
        await engine.drained()
        counted = engine.counters
        assert counted.received == 12
        assert counted.searched + counted.dropped == 12
        assert counted.dropped >= 6
        searched = [number for number, _ in bench.results]
        assert searched[0] == 1 and searched[-2:] == [11, 12], "the newest are searched, the oldest are not"
        assert searched == sorted(searched)

    run(test, seconds=0.3)


def test_a_gulp_follows_the_one_before_unless_one_between_was_dropped() -> None:
    async def test(bench: Bench) -> None:
        await until(lambda: bench.engine.is_ready, "ready", 60.0)
        for _ in range(3):
            bench.put()
            await bench.engine.drained()
        bench._number += 1  # one that never came
        bench.put()
        await bench.engine.drained()
        assert [found.complete for _, found in bench.results] == [False, True, True, False]

    run(test)


def test_a_search_that_dies_costs_its_gulp_and_the_next_ones_are_searched_by_a_new_process() -> None:
    async def test(bench: Bench) -> None:
        await until(lambda: bench.engine.is_ready, "ready", 60.0)
        for isot in ("", "die", "", "fail", ""):
            bench.put(isot)
            await bench.engine.drained()
        counted = bench.engine.counters
        assert (counted.searched, counted.lost, counted.failed, counted.dropped) == (3, 1, 1, 0)
        assert [number for number, _ in bench.failures] == [2, 4]
        assert "exit code 3" in bench.failures[0][1]
        assert "cannot be searched" in bench.failures[1][1]
        assert [(number, found.complete) for number, found in bench.results] == [(1, False), (3, False), (5, True)]
        assert bench.worker.starts == 2
        assert bench.engine.problem == "", "it is over"

    run(test)


def test_a_search_that_hangs_is_ended_after_its_time_and_so_is_one_that_is_killed() -> None:
    async def test(bench: Bench) -> None:
        await until(lambda: bench.engine.is_ready, "ready", 60.0)
        bench.put("hang")
        bench.put()
        await bench.engine.drained()
        assert (bench.engine.counters.lost, bench.engine.counters.searched) == (1, 1)
        assert "within 1 s" in bench.failures[0][1]
        await until(lambda: bench.engine.is_ready, "ready", 60.0)
        assert bench.worker.pid is not None
        os.kill(bench.worker.pid, signal.SIGKILL)
        bench.put()
        await bench.engine.drained()
        bench.put()
        await bench.engine.drained()
        assert bench.engine.counters.searched >= 2
        assert bench.engine.counters.searched + bench.engine.counters.lost == 4

    run(test, limit_s=1.0)


def test_a_search_that_cannot_begin_says_why_and_reception_goes_on() -> None:
    async def test(bench: Bench) -> None:
        await until(lambda: bench.engine.problem, "why", 60.0)
        assert "no desk for 7 s" in bench.engine.problem
        for _ in range(6):
            bench.put()
        assert bench.engine.counters.dropped == 3 and bench.engine.depth == 3
        bench.engine.clear()
        assert bench.engine.depth == 0

    run(test, desk=UnmadeDesk, seconds=7.0)


def test_a_halted_engine_ignores_gulps_and_says_so() -> None:
    async def test(bench: Bench) -> None:
        bench.engine.is_halted = True
        bench.put()
        assert bench.engine.counters.ignored == 1 and bench.engine.depth == 0

    run(test)


def test_a_long_answer_says_how_much_of_it_is_done() -> None:
    worker = WorkerProcess(TellingDesk, (0.25, 0.5, 1.0), name="telling")
    told: list[float] = []
    try:
        assert worker.ask("weights", 60.0, told.append) == "WEIGHTS"
        assert told == [0.25, 0.5, 1.0]
        assert worker.ask("again", 60.0) == "AGAIN"
    finally:
        worker.close()
