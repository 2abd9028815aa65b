"""Clients of a DAQ node that count what comes and how old it is; a line of input is answered with what came since."""

from __future__ import annotations

import asyncio
import json
import sys
import time

import grpc.aio
import numpy as np

from servers.daqdata import daq_data_pb2 as pb

STREAM = "/daqdata.DaqData/StreamImages"


async def main() -> None:
    """Told the address, how many clients, how many modules, and the interval asked for."""
    address, clients, modules, interval = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    ages: list[list[float]] = [[] for _ in range(clients)]
    channels = [grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) for _ in ages]
    request = pb.StreamImagesRequest(
        stream_movie_data=True, update_interval_seconds=interval, module_ids=range(1, modules + 1)
    )

    async def read(channel: grpc.aio.Channel, seen: list[float]) -> None:
        call = channel.unary_stream(
            STREAM, pb.StreamImagesRequest.SerializeToString, pb.StreamImagesResponse.FromString
        )
        async for response in call(request, wait_for_ready=True):
            now = time.monotonic_ns()
            low = response.pano_image.image_array[:4]
            made = low[0] | low[1] << 16 | low[2] << 32 | low[3] << 48
            seen.append((now - made) / 1e6)

    reading = [asyncio.create_task(read(channel, seen)) for channel, seen in zip(channels, ages, strict=True)]
    print(json.dumps({"ready": True}), flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        found = [np.array(seen) for seen in ages]
        for seen in ages:
            seen.clear()
        everything = np.concatenate(found) if any(len(each) for each in found) else np.array([np.nan])
        answer = {
            "counts": [len(each) for each in found],
            "p50": float(np.percentile(everything, 50)),
            "p99": float(np.percentile(everything, 99)),
        }
        print(json.dumps(answer), flush=True)
    for task in reading:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main())
