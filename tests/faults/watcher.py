"""A process that watches PVs and says when each becomes good and when not: ``python -m tests.faults.watcher ca|pva``.

The first line of its standard input is JSON: ``pvs``, the names, and ``clocks``, those whose value is the monotonic
clock where it was measured. While one of these is shown as good and its value is old, the process says how old. It ends
with its standard input.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

INVALID: Final = 3
LOOK_S: Final = 0.1
OLD_S: Final = 1.0  # from which age on it is worth a word
GAP_S: Final = 1.0  # between two values of a clock
LATE_S: Final = 0.4  # a look that comes so much too late says nothing of others

#: PV, severity (None: not connected), value.
Take = Callable[[str, int | None, Any], None]


class Watched:
    """What is known of all PVs; ``take`` in any thread."""

    def __init__(self, clocks: Sequence[str]) -> None:
        self.updates = 0
        self._good: dict[str, bool] = {}
        self._values: dict[str, float] = {}
        self._clocks = clocks
        self._lock = threading.Lock()

    def take(self, pv: str, severity: int | None, value: Any) -> None:
        is_good = severity is not None and severity < INVALID
        with self._lock:
            self.updates += 1
            if value is not None and pv in self._clocks:
                before, self._values[pv] = self._values.get(pv, float(value)), float(value)
                if value - before > GAP_S:
                    say(gap=pv, first=before, last=float(value))
            if self._good.get(pv) != is_good:
                self._good[pv] = is_good
                why = "not connected" if severity is None else f"severity {severity}"
                say(pv=pv, good=is_good, why=why)

    def look(self) -> None:
        """Say which clock is shown as good and is old."""
        with self._lock:
            now = time.monotonic()
            for pv in self._clocks:
                age = now - self._values.get(pv, now)
                if self._good.get(pv) and age > OLD_S:
                    say(old=pv, age=round(age, 3))


def watch_ca(pvs: Sequence[str], take: Take) -> list[Any]:
    """By libca."""
    import epics

    def arrived(pvname: str, value: Any, severity: int, **_: Any) -> None:
        take(pvname, severity, value)

    def connected(pvname: str, conn: bool, **_: Any) -> None:
        if not conn:
            take(pvname, None, None)

    mask = epics.dbr.DBE_VALUE | epics.dbr.DBE_ALARM
    return [
        epics.PV(name, callback=arrived, connection_callback=connected, form="time", auto_monitor=mask) for name in pvs
    ]


def watch_pva(pvs: Sequence[str], take: Take) -> list[Any]:
    """By p4p."""
    from p4p.client.raw import Context
    from p4p.client.thread import Context as ThreadContext

    context = ThreadContext("pva", nt=False)

    def monitor(name: str) -> Any:
        made: list[Any] = []
        turn = threading.Lock()

        def arrived() -> None:
            with turn:
                while made and (update := made[0].pop()) is not None:
                    if isinstance(update, Exception):
                        take(name, None, None)
                    else:
                        value = update["value"] if update.changed("value") else None
                        take(name, int(update["alarm.severity"]), value)

        # The thread context's own monitor loses updates that come before it has returned (p4p 4.3).
        made.append(Context.monitor(context, name, arrived))
        arrived()
        return made[0]

    return [context, *(monitor(name) for name in pvs)]


def say(**what: Any) -> None:
    print(json.dumps({"t": round(time.monotonic(), 3), **what}), flush=True)


def main() -> None:
    asked = json.loads(sys.stdin.readline())
    watched = Watched(asked["clocks"])
    kept = {"ca": watch_ca, "pva": watch_pva}[sys.argv[1]](asked["pvs"], watched.take)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    due = told = time.monotonic()
    while not ended.wait(LOOK_S):
        now = time.monotonic()
        if now - due < LOOK_S + LATE_S:
            watched.look()
        due = now
        if now - told > 1.0:
            told = now
            say(updates=watched.updates)
    del kept
    os._exit(0)  # libca need not take leave


if __name__ == "__main__":
    main()
