"""A server of the same frames in one process, without Tango: what a driver with an EPICS server in it does.

``python -m benchmarks.image_peers NAME``, with the ports in its environment; told ``publish RATE SECONDS`` by lines.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable

from benchmarks.image_frames import Frame, publish_frames, ring, stamp

Started = Callable[[Callable[[Frame], object]], Awaitable[None]]
PV = "PEER:Frame"


async def serve_p4p(name: str, started: Started) -> None:
    """p4p's own SharedPV with its own NTNDArray."""
    from p4p.nt import NTNDArray
    from p4p.server import Server
    from p4p.server.thread import SharedPV

    pv = SharedPV(nt=NTNDArray(), initial=_first(name))
    with Server(providers=[{PV: pv}]):
        await started(lambda frame: pv.post(frame, timestamp=time.time()))


def _first(name: str) -> Frame:
    """What a client gets before frames are published."""
    frame = ring(name)[0]
    stamp(frame, 0)
    return frame


async def _answer(name: str, publish: Callable[[Frame], object]) -> None:
    print(json.dumps({"ready": True}), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        _, rate, seconds = line.split()
        count = await publish_frames(name, float(rate), float(seconds), publish)
        print(json.dumps({"published": count}), flush=True)


def main() -> None:
    name = sys.argv[1]

    async def started(publish: Callable[[Frame], object]) -> None:
        await _answer(name, publish)

    asyncio.run(serve_p4p(name, started))


if __name__ == "__main__":
    main()
