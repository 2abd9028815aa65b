"""Clients of a DAQ node that note what comes; a line of input is answered with how many came since, and how old.

The first is a client of grpc as programs have it. What the others cost would be the machine's limit, and not the
server's; so they take bytes from their sockets and no more. All are looked at when the source has ended.
"""

from __future__ import annotations

import json
import selectors
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress

import grpc
import numpy as np

from benchmarks.daq_source import made_ns
from benchmarks.http2_reader import Http2Reader
from servers.daqdata import daq_data_pb2 as pb
from servers.garbage import collect_apart

STREAM = "/daqdata.DaqData/StreamImages"
Arrival = tuple[int, bytes]


def read_all(readers: list[Http2Reader]) -> None:
    """Serve the sockets of readers until they end."""
    with selectors.DefaultSelector() as selector:
        for reader in readers:
            selector.register(reader.socket, selectors.EVENT_READ, reader)
        while selector.get_map():
            for key, _ in selector.select():
                if not key.data.receive(time.monotonic_ns()):
                    selector.unregister(key.fileobj)


def read_one(call: Iterable[bytes], seen: list[Arrival]) -> None:
    with suppress(grpc.RpcError):  # the server ends
        for response in call:
            seen.append((time.monotonic_ns(), response))


def ages_ms(arrivals: Iterable[Arrival]) -> np.ndarray:
    """How old each image was when it came."""
    return np.array(
        [
            (at - made_ns(pb.StreamImagesResponse.FromString(response).pano_image.image_array[:5])) / 1e6
            for at, response in arrivals
        ]
    )


def main() -> None:
    """Told the path of a socket, how many clients, how many modules, and the interval asked for."""
    path, clients, modules, interval = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    request = pb.StreamImagesRequest(
        stream_movie_data=True, update_interval_seconds=interval, module_ids=range(1, modules + 1)
    ).SerializeToString()
    readers = [Http2Reader(path, STREAM, request) for _ in range(clients - 1)]
    seen: list[Arrival] = []
    channel = grpc.insecure_channel(f"unix://{path}")
    call = channel.unary_stream(STREAM)(request, wait_for_ready=True)
    threading.Thread(target=read_all, args=(readers,), daemon=True).start()
    threading.Thread(target=read_one, args=(call, seen), daemon=True).start()
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        found = [ages_ms(seen), *(ages_ms(reader.messages()) for reader in readers)]
        seen.clear()
        everything = np.concatenate(found)
        answer = {"counts": [len(each) for each in found]}
        if len(everything):
            answer |= {"p50": float(np.percentile(everything, 50)), "p99": float(np.percentile(everything, 99))}
            answer["each"] = [[float(np.percentile(each, of)) for of in (50, 99)] for each in found if len(each)]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    collect_apart()
    main()
