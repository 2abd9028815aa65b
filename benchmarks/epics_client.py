"""An EPICS client in a process of its own, as lean as Python allows, so that the server is measured and not the client.

It is told by lines on its standard input, and answers each with one line of JSON:

- ``subscribe PROTOCOL PV...``: when every PV has brought its first value;
- ``begin``: forgets what has come so far;
- ``end FINAL``: when every PV has shown its last value ``FINAL``, or after 10 s without any news: what has come;
- ``call PROTOCOL PV SECONDS``: gets and puts of one PV, one after the other: how long they took.

A value is the time of its publication, s since 1970; a final value is negative.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

PATIENCE = 10.0  # s without any news after which nothing more is expected
DBR_TIME_DOUBLE, TIME_DOUBLE_VALUE = 20, 16  # the type, and where its value stands, bytes
DBE_VALUE_ALARM = 5


class Arrivals:
    """Subscribes with one protocol and keeps when each value came."""

    def __init__(self) -> None:
        self.got: list[tuple[float, float]] = []
        self.newest: list[float] = []
        self._keep: list[Any] = []

    def subscribe(self, protocol: str, pvs: Sequence[str]) -> dict[str, Any]:
        self.newest = [0.0] * len(pvs)
        {"ca": self._subscribe_ca, "pva": self._subscribe_pva}[protocol](pvs)
        self._wait_for(lambda: len(self.got) >= len(pvs))
        return {"values": len(self.got)}

    def begin(self) -> dict[str, Any]:
        self.got.clear()
        return {}

    def end(self, final: float) -> dict[str, Any]:
        self._wait_for(lambda: all(value == final for value in self.newest))
        timed = [(arrived, arrived - sent) for arrived, sent in list(self.got) if sent > 0.0]
        latencies = sorted(latency for _, latency in timed)
        took = timed[-1][0] - timed[0][0] if len(timed) > 1 else 0.0
        return {
            "received": len(timed),
            "per_s": len(timed) / took if took else 0.0,
            "p50_ms": 1e3 * latencies[len(latencies) // 2] if latencies else 0.0,
            "p99_ms": 1e3 * latencies[int(0.99 * len(latencies))] if latencies else 0.0,
            "worst_ms": 1e3 * latencies[-1] if latencies else 0.0,
            "finals_missed": sum(value != final for value in self.newest),
            "cpu_s": time.process_time(),
        }

    def _wait_for(self, true: Callable[[], bool]) -> None:
        seen, since = -1, time.monotonic()
        while not true() and time.monotonic() - since < PATIENCE:
            if seen != len(self.got):
                seen, since = len(self.got), time.monotonic()
            time.sleep(0.02)

    def _note(self, index: int, value: float) -> None:
        self.got.append((time.time(), value))
        self.newest[index] = value

    def _subscribe_ca(self, pvs: Sequence[str]) -> None:
        from epics import ca

        class EventArguments(ctypes.Structure):
            _fields_ = [
                ("index", ctypes.c_size_t), ("channel", ctypes.c_void_p), ("type", ctypes.c_long),
                ("count", ctypes.c_long), ("data", ctypes.c_size_t), ("status", ctypes.c_int),
            ]  # fmt: skip

        def arrived(event: Any) -> None:
            self._note(event.index, ctypes.c_double.from_address(event.data + TIME_DOUBLE_VALUE).value)

        ca.initialize_libca()
        callback = ctypes.CFUNCTYPE(None, EventArguments)(arrived)
        create, subscribe = ca.libca.ca_create_channel, ca.libca.ca_create_subscription
        create.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
        subscribe.argtypes = [
            ctypes.c_long, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_long, ctypes.c_void_p, ctypes.c_size_t,
            ctypes.c_void_p,
        ]  # fmt: skip
        channels = [ctypes.c_void_p() for _ in pvs]
        for pv, channel in zip(pvs, channels, strict=True):
            create(pv.encode(), None, None, 0, ctypes.byref(channel))
        ca.libca.ca_pend_io(ctypes.c_double(10.0))
        for index, channel in enumerate(channels):
            subscribe(DBR_TIME_DOUBLE, 1, channel, DBE_VALUE_ALARM, callback, index, None)
        ca.libca.ca_flush_io()
        self._keep += [callback, channels]

    def _subscribe_pva(self, pvs: Sequence[str]) -> None:
        from p4p.client.raw import Context

        def monitored(index: int, pv: str) -> Any:
            made: list[Any] = []

            def arrived() -> None:
                while made and (value := made[0].pop()) is not None:
                    if not isinstance(value, Exception):
                        self._note(index, value["value"])

            made.append(context.monitor(pv, arrived))
            arrived()
            return made[0]

        context = Context("pva", useenv=True, nt=False)
        self._keep += [context, *(monitored(index, pv) for index, pv in enumerate(pvs))]


def call(protocol: str, pv: str, seconds: float) -> dict[str, list[float]]:
    """How long gets and puts of one PV take, each answered before the next is made, ms."""
    get, put = {"ca": _ca_calls, "pva": _pva_calls}[protocol](pv)
    took: dict[str, list[float]] = {"get": [], "put": []}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name, act in (("get", get), ("put", lambda: put(float(len(took["put"]) % 100)))):
            begun = time.perf_counter()
            act()
            took[name].append(1e3 * (time.perf_counter() - begun))
        time.sleep(0.005)
    return took


def _ca_calls(pv: str) -> tuple[Callable[[], Any], Callable[[float], Any]]:
    from epics import ca

    channel = ca.create_channel(pv, connect=True)

    def put(value: float) -> None:
        assert ca.put(channel, value, wait=True, timeout=10.0) == 1, f"{pv} = {value} was not taken"

    return lambda: ca.get(channel, timeout=10.0), put


def _pva_calls(pv: str) -> tuple[Callable[[], Any], Callable[[float], Any]]:
    from p4p.client.thread import Context

    context = Context("pva", nt=False)
    return lambda: context.get(pv, timeout=10.0), lambda value: context.put(pv, value, wait=True, timeout=10.0)


def main() -> None:
    arrivals = Arrivals()
    for line in sys.stdin:
        task, *arguments = line.split()
        if task == "subscribe":
            answer: Any = arrivals.subscribe(arguments[0], arguments[1:])
        elif task == "begin":
            answer = arrivals.begin()
        elif task == "end":
            answer = arrivals.end(float(arguments[0]))
        else:
            answer = call(arguments[0], arguments[1], float(arguments[2]))
        print(json.dumps(answer), flush=True)
    os._exit(0)  # libca and p4p need not take leave


if __name__ == "__main__":
    main()
