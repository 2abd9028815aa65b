"""Servers of the same frames in one process, without Tango: what a driver with an EPICS server in it does.

``python -m benchmarks.image_peers p4p PORTS NAME``; told ``publish RATE SECONDS`` on its standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable

from benchmarks.image_frames import SHAPES, Frame, publish_frames, ring

Started = Callable[[Callable[[Frame], object]], Awaitable[None]]
PV = "PEER:Frame"


async def serve_p4p(ports: dict[str, int], name: str, started: Started) -> None:
    """p4p's own SharedPV with its own NTNDArray."""
    from p4p.nt import NTNDArray
    from p4p.server import Server
    from p4p.server.thread import SharedPV

    pv = SharedPV(nt=NTNDArray(), initial=ring(name)[0])
    with Server(providers=[{PV: pv}]):
        await started(lambda frame: pv.post(frame, timestamp=time.time()))


async def serve_caproto(ports: dict[str, int], name: str, started: Started) -> None:
    """caproto's own server with a waveform."""
    from caproto.asyncio.server import Context
    from caproto.server import PVGroup, pvproperty

    shape, _ = SHAPES[name]

    class Group(PVGroup):
        frame = pvproperty(value=[0], dtype=bytes, max_length=shape[0] * shape[1], name="Frame")

    group = Group("PEER:")
    serving = asyncio.create_task(Context(group.pvdb, interfaces=["127.0.0.1"]).run(log_pv_names=False))
    await asyncio.sleep(1.0)
    writes: set[asyncio.Task[None]] = set()

    def publish(frame: Frame) -> None:
        task = asyncio.create_task(group.frame.write(frame.tobytes()))
        writes.add(task)
        task.add_done_callback(writes.discard)

    publish(ring(name)[0])
    await started(publish)
    serving.cancel()


async def _answer(name: str, publish: Callable[[Frame], object]) -> None:
    print(json.dumps({"ready": True}), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        _, rate, seconds = line.split()
        count = await publish_frames(name, float(rate), float(seconds), publish)
        print(json.dumps({"published": count}), flush=True)


def main() -> None:
    server, ports, name = sys.argv[1:]
    serve = {"p4p": serve_p4p, "caproto": serve_caproto}[server]

    async def started(publish: Callable[[Frame], object]) -> None:
        await _answer(name, publish)

    asyncio.run(serve(json.loads(ports), name, started))


if __name__ == "__main__":
    main()
