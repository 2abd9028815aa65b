"""Cyclic garbage is collected in a thread of its own, which holds no lock.

Python collects it wherever an object happens to be made, so also in a thread that holds a lock. When a Tango proxy is
among the garbage, its end waits for the lock of Tango's event subscriptions; Tango holds that one while it calls back;
and the callback may wait for the lock of the first thread: all three stand still for ever (seen, with the mirror's put
threads and its subscriptions). A thread without a lock can only be waited for by nobody.

It also spares readers the pauses of full collections, which happen at most once in ``FULL_PERIOD`` here.
"""

from __future__ import annotations

import gc
import threading
import time

PERIOD = 0.2  # s
FULL_PERIOD = 30.0  # s

_begun = threading.Lock()  # taken for ever by the first who begins


def collect_apart() -> None:
    """Collect garbage in a thread of its own from now on; once in a process, later calls do nothing."""
    if _begun.acquire(blocking=False):
        gc.disable()
        threading.Thread(target=_collect, name="garbage", daemon=True).start()


def _collect() -> None:
    full_at = time.monotonic()
    thresholds = gc.get_threshold()
    while True:
        time.sleep(PERIOD)
        young, middle, old = (count > bound for count, bound in zip(gc.get_count(), thresholds, strict=True))
        if old and time.monotonic() - full_at >= FULL_PERIOD:
            gc.collect()
            full_at = time.monotonic()
        elif middle:
            gc.collect(1)
        elif young:
            gc.collect(0)
