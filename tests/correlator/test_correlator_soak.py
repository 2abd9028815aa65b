"""The correlator image server over many gulps: all are searched, and memory does not grow."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

import psutil
import pytest

from devices.correlator.device import CorrelatorServer
from tests.correlator.gulps import SMALL, Stream
from tests.support.running import running, until

MEGABYTE = 1 << 20


def soak(gulps: int, properties: Mapping[str, str], seconds: float) -> None:
    """Search so many gulps, each with a pulse; what the second half adds to the memory of both processes is little.

    Args:
        seconds: that a gulp may take.
    """

    async def work() -> None:
        async with running(CorrelatorServer("corr/soak/1", {**SMALL, **properties})) as device:
            await until(lambda: device.assembler is not None and device.engine.is_ready, "it is ready", 120.0)
            stream = Stream(device)
            # Noise takes longer to make than to search: the same two gulps come again and again.
            middle = device.properties.gridsize // 3
            cubes = [stream.with_pulse(middle, middle + 5 * k, 300.0 * k, 4.0, 10.0, 6.0) for k in range(2)]
            half = 0
            for number in range(gulps):
                stream.send(cubes[number % 2])
                await until(lambda: device.engine.counters.searched > number, "it is searched", seconds)  # noqa: B023
                if number == gulps // 2:
                    half = memory(device)
            counted = device.engine.counters
            assert (counted.searched, counted.dropped, counted.lost, counted.failed) == (gulps, 0, 0, 0)
            assert device.candidate_count.value >= gulps // 2
            assert memory(device) - half < 12 * MEGABYTE

    asyncio.run(work())


def memory(device: CorrelatorServer) -> int:
    """Of the server and its search, without what they share, bytes."""
    assert device.engine.pid is not None
    return sum(psutil.Process(pid).memory_full_info().uss for pid in (os.getpid(), device.engine.pid))


@pytest.mark.long
def test_memory_is_flat_over_many_small_gulps() -> None:
    soak(120, {"slow": "true", "imgdiff": "true"}, seconds=20.0)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_nothing_is_dropped_and_memory_is_flat_over_an_hour_of_real_gulps() -> None:
    # SOAK_GULPS: fewer, for a try.
    soak(int(os.environ.get("SOAK_GULPS", "1073")), {"gridsize": "300", "threads": "2", "slow": "true"}, seconds=60.0)
