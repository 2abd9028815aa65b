"""A process that works with the instruments and writes down what they acknowledge: ``python -m tests.faults.operator``.

The first line of its standard input is JSON: ``settings``, pairs of a PV and the values that it may have (lowest,
highest), and ``camera``, the PV of an operation that takes images, or empty. Each line that it prints is one thing
that it asked for: when, and whether it was acknowledged. Every value is asked for once. It ends with its input.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Final

PUT_SECONDS: Final = 8.0  # a put has been answered by then
IMAGE_SECONDS: Final = 40.0
PAUSE_SECONDS: Final = 0.25
STEP: Final = 0.001  # between two values


def put_ca(pv: str, value: float) -> None:
    """With completion, on a connection of its own."""
    from caproto.sync.client import write

    response = write(pv, value, notify=True, timeout=PUT_SECONDS, repeater=False)
    if response is None or not response.status.success:
        raise ConnectionError(f"{pv} = {value}: {response}")


class Pva:
    """Puts and calls by p4p."""

    def __init__(self) -> None:
        from p4p.client.thread import Context

        self._context = Context("pva", nt=False)

    def put(self, pv: str, value: float) -> None:
        self._context.put(pv, value, wait=True, timeout=PUT_SECONDS)

    def expose(self, pv: str) -> Any:
        """The result of an image of 0.05 s."""
        from p4p.nt import NTURI

        call = NTURI([("seconds", "d"), ("image_type", "s")]).wrap(pv, kws={"seconds": 0.05, "image_type": "flat"})
        return json.loads(self._context.rpc(pv, call, timeout=IMAGE_SECONDS)["value"])


def tried(kind: str, name: str, value: Any, work: Callable[[], Any]) -> None:
    """Do something, and print how it ended."""
    begun = time.monotonic()
    try:
        result = work()
        said = {"ack": True, "value": value if value is not None else result}
    except Exception as error:  # whatever it is, it was not acknowledged
        said = {"ack": False, "value": value, "error": f"{type(error).__name__}: {error}"[:300]}
    print(json.dumps({"kind": kind, "name": name, "begun": begun, "ended": time.monotonic(), **said}), flush=True)


def values(lowest: float, highest: float) -> Iterator[float]:
    """All different, over and over again after many."""
    steps = int((highest - lowest) / STEP)
    return (round(lowest + STEP * (number % steps), 3) for number in count(1))


def main() -> None:
    asked = json.loads(sys.stdin.readline())
    pva, ended = Pva(), threading.Event()

    def set_all_the_time() -> None:
        sources = {pv: values(*bounds) for pv, bounds in asked["settings"]}
        for put in (put for _ in count() for put in (put_ca, pva.put)):
            for pv, source in sources.items():
                value = next(source)
                tried("setting", pv, value, lambda pv=pv, value=value, put=put: put(pv, value))  # type: ignore[misc]
                if ended.wait(PAUSE_SECONDS):
                    return

    def take_images() -> None:
        while not ended.wait(PAUSE_SECONDS):
            tried("image", asked["camera"], None, lambda: pva.expose(asked["camera"]))
            ended.wait(3.0)

    work = [set_all_the_time] + ([take_images] if asked["camera"] else [])
    threads = [threading.Thread(target=each, daemon=True) for each in work]
    for each in threads:
        each.start()
    sys.stdin.read()
    ended.set()
    for each in threads:
        each.join(PUT_SECONDS + 2.0)
    os._exit(0)


if __name__ == "__main__":
    main()
