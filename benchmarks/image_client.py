"""A client of images in a process of its own, told by lines on its standard input; each answer is a line of JSON.

- ``subscribe PROTOCOL PV``: when the first frame has come;
- ``end COUNT``: when frame COUNT has come, or after 5 s without any: what has come.
"""

from __future__ import annotations

import json
import os
import sys
import time
from itertools import pairwise
from typing import Any

from benchmarks.image_frames import read_stamp

QUEUE = "record[queueSize=32]"  # as a client asks that records: a pause of its own loses nothing
PATIENCE = 5.0  # s without any frame after which no more is expected


class Frames:
    """What has come of one PV."""

    def __init__(self) -> None:
        self.got: list[tuple[int, float, float]] = []  # number, published, arrived
        self._keep: list[Any] = []

    def subscribe(self, protocol: str, pv: str) -> dict[str, Any]:
        self.got.clear()
        {"ca": self._subscribe_ca, "pva": self._subscribe_pva, "tango": self._subscribe_tango}[protocol](pv)
        self._wait_for(1)
        self.got.clear()
        return {}

    def end(self, count: int) -> dict[str, Any]:
        """What came of frames 1 .. count."""
        self._wait_for(count)
        numbers = [number for number, _, _ in self.got]
        latencies = sorted(arrived - published for _, published, arrived in self.got)
        first, last = self.got[0][2], self.got[-1][2]
        return {
            "lost": count - len(set(numbers)),
            "newest": numbers[-1],
            "disordered": sum(later <= earlier for earlier, later in pairwise(numbers)),
            "per_s": (len(numbers) - 1) / (last - first) if last > first else 0.0,
            "p50_ms": 1e3 * latencies[len(latencies) // 2],
            "p99_ms": 1e3 * latencies[int(0.99 * len(latencies))],
            "worst_ms": 1e3 * latencies[-1],
        }

    def _wait_for(self, number: int) -> None:
        seen, since = -1, time.monotonic()
        while not (self.got and self.got[-1][0] >= number) and time.monotonic() - since < PATIENCE:
            if seen != len(self.got):
                seen, since = len(self.got), time.monotonic()
            time.sleep(0.02)

    def _note(self, pixels: Any) -> None:
        arrived = time.time()
        if len(pixels) > 1:
            self.got.append((*read_stamp(pixels), arrived))

    def _subscribe_ca(self, pv: str) -> None:
        from epics import ca

        def arrived(value: Any, **_: Any) -> None:
            self._note(value)

        channel = ca.create_channel(pv, connect=True)
        self._keep = [channel, ca.create_subscription(channel, callback=arrived, count=0)]

    def _subscribe_pva(self, pv: str) -> None:
        from p4p.client.raw import Context

        made: list[Any] = []

        def arrived() -> None:
            while made and (value := made[0].pop()) is not None:
                if not isinstance(value, Exception):
                    self._note(value["value"])

        context = Context("pva", useenv=True, nt=False)
        made.append(context.monitor(pv, arrived, request=QUEUE))
        arrived()
        self._keep = [context, made]

    def _subscribe_tango(self, attribute: str) -> None:
        import tango

        def arrived(event: Any) -> None:
            if not event.err and event.attr_value.value is not None:
                self._note(event.attr_value.value.reshape(-1))

        proxy = tango.AttributeProxy(attribute)
        self._keep = [proxy, proxy.subscribe_event(tango.EventType.CHANGE_EVENT, arrived)]


def main() -> None:
    frames = Frames()
    for line in sys.stdin:
        task, *arguments = line.split()
        answer = frames.end(int(arguments[0])) if task == "end" else frames.subscribe(*arguments)
        print(json.dumps(answer), flush=True)
    os._exit(0)  # libca and p4p need not take leave


if __name__ == "__main__":
    main()
