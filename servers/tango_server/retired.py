"""Where proxies end: that may take as long as all subscriptions that Tango makes just then, for the whole process.

PyTango keeps a callback for 60 s after its subscription has ended, since Tango's own threads may be about to call it;
but it does so in the proxy, which has to stay as long. Otherwise they call what is no more, and the process dies (seen
when a server was killed on a busy machine).

The destructor of every proxy, with subscriptions or without, asks for the lock under which Tango makes subscriptions
(``ZmqEventConsumer::get_subscribed_event_ids``, cppTango 10.3): while a facility starts, threads that only dropped a
proxy stood for 2 to 7 s (measured). So proxies end in a thread of their own.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from queue import SimpleQueue
from typing import Any

import tango

RETIRED_SECONDS = 90.0
#: Until the caller, and the traceback of its error, have let go of what was dropped: who has the last reference waits.
DROPPED_SECONDS = 1.0

_retired: deque[tuple[float, Any]] = deque()
_dropped: SimpleQueue[tuple[float, Any]] = SimpleQueue()
_starting = threading.Lock()
_thread: threading.Thread | None = None


def retire(proxy: Any) -> None:
    """Keep a proxy that nobody uses any more for 90 s; None is nobody."""
    now = time.monotonic()
    while _retired and _retired[0][0] < now - RETIRED_SECONDS:
        drop(_retired.popleft()[1])
    if proxy is not None:
        _retired.append((now, proxy))


def drop(proxy: Any) -> None:
    """Let a proxy without subscriptions end, and do not wait for it; None is nobody."""
    global _thread
    if proxy is None:
        return
    _dropped.put((time.monotonic() + DROPPED_SECONDS, proxy))
    with _starting:
        if _thread is None:
            # A daemon: what is left at the end of the process ends with it.
            _thread = threading.Thread(target=_end_them, name="tango-dropped", daemon=True)
            _thread.start()


def _end_them() -> None:
    with tango.EnsureOmniThread():
        while True:
            when, proxy = _dropped.get()
            time.sleep(max(0.0, when - time.monotonic()))
            del proxy
