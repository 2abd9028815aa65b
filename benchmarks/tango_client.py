"""A plain Tango client in a process of its own; run with the name of a measurement and its arguments as JSON."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import tango

#: The value of ``steady`` that says that it has ended.
LAST = 0.0


def reads(ours: str, peer: str, rounds: dict[str, int], seconds: float) -> dict[str, list[tuple[float, float]]]:
    """Reads per second of two devices, in turns: for each attribute as many pairs as there are rounds."""
    proxies = tango.DeviceProxy(ours), tango.DeviceProxy(peer)
    pairs: dict[str, list[tuple[float, float]]] = {attribute: [] for attribute in rounds}
    for attribute, count in rounds.items():
        for proxy in proxies:
            _reads_per_second(proxy, attribute, seconds / 2)
        for number in range(count):
            # Who begins changes, so that what grows or shrinks with time falls on both alike.
            order = proxies if number % 2 == 0 else proxies[::-1]
            rates = [_reads_per_second(proxy, attribute, seconds) for proxy in order]
            pairs[attribute].append((rates[0], rates[1]) if number % 2 == 0 else (rates[1], rates[0]))
    return pairs


def _reads_per_second(proxy: tango.DeviceProxy, attribute: str, seconds: float) -> float:
    count = 0
    begin = time.perf_counter()
    while (elapsed := time.perf_counter() - begin) < seconds:
        proxy.read_attribute(attribute)
        count += 1
    return count / elapsed


def read_latencies(device: str, seconds: float) -> list[float]:
    """How long each read of ``value`` takes, s, one after the other without a pause."""
    proxy = tango.DeviceProxy(device)
    proxy.read_attribute("value")
    times = [time.perf_counter()]
    end = times[0] + seconds
    while times[-1] < end:
        proxy.read_attribute("value")
        times.append(time.perf_counter())
    return [later - earlier for earlier, later in itertools.pairwise(times)]


def event_latencies(device: str, rate: float, seconds: float) -> list[float]:
    """Run ``steady``; how long each of its values takes to the callback of a change event, s."""
    got: list[tuple[float, float]] = []

    def note(event: tango.EventData) -> None:
        if not event.err:
            got.append((time.time(), event.attr_value.value))

    proxy = tango.DeviceProxy(device)
    number = proxy.subscribe_event("value", tango.EventType.CHANGE_EVENT, note)
    proxy.seconds = seconds
    time.sleep(0.2)
    got.clear()
    proxy.steady(rate)
    deadline = time.monotonic() + seconds + 10.0
    while not got or got[-1][1] != LAST:
        assert time.monotonic() < deadline, f"{len(got)} events, and the last one did not come"
        time.sleep(0.02)
    proxy.unsubscribe_event(number)
    return [arrived - sent for arrived, sent in got if sent != LAST]


MEASUREMENTS: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (reads, read_latencies, event_latencies)
}

if __name__ == "__main__":
    print(json.dumps(MEASUREMENTS[sys.argv[1]](*json.loads(sys.argv[2]))))
