"""What every server of the EPICS benchmarks publishes: as many PVs, at the same steady rate or as fast as it can."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

PVS = 500
FINAL = -1.0  # the last value of each PV; every other one is the time of its publication, s since 1970
TURN = 50  # values published as fast as possible before the others of this process get their turn

Publish = Callable[[int, float], Awaitable[None] | None]


async def publish(publish: Publish, rate: float, seconds: float, final: float = FINAL) -> int:
    """Publish one PV after the other, at last ``final`` to each.

    Args:
        publish: gives a PV, by its number, a value.
        rate: publications per second in total; 0 for as many as possible.
        final: of this run; negative.
    Returns:
        The number of values before the final ones.
    """
    begun = time.perf_counter()
    number = 0
    while (elapsed := time.perf_counter() - begun) < seconds:
        until = int(elapsed * rate) + 1 if rate else number + TURN
        for each in range(number, until):
            published = publish(each % PVS, time.time())
            if published is not None:
                await published
        number = until
        await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()) if rate else 0.0)
    for pv in range(PVS):
        published = publish(pv, final)
        if published is not None:
            await published
    return number
