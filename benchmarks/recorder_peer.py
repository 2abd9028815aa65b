"""A client with aioca, which is EPICS's own libca, that receives many PVs and keeps nothing."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from aioca import FORMAT_TIME, camonitor


async def receive(count: int) -> None:
    taken = 0

    def take(_: Any) -> None:
        nonlocal taken
        taken += 1

    subscriptions = camonitor(
        [f"R{number}" for number in range(count)], lambda value, _: take(value), format=FORMAT_TIME, all_updates=True
    )
    while await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps({"received": taken, "kept": 0}), flush=True)
    for each in subscriptions:
        each.close()


def main() -> None:
    """Told how many PVs; runs until its input ends, and answers every line."""
    asyncio.run(receive(int(sys.argv[1])))


if __name__ == "__main__":
    main()
