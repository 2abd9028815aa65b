"""Proxies whose subscriptions have ended, kept for as long as Tango may still call back.

PyTango keeps a callback for 60 s after its subscription has ended, since Tango's own threads may be about to call it;
but it does so in the proxy, which has to stay as long. Otherwise they call what is no more, and the process dies (seen
when a server was killed on a busy machine).
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

RETIRED_SECONDS = 90.0

_retired: deque[tuple[float, Any]] = deque()


def retire(proxy: Any) -> None:
    """Keep a proxy that nobody uses any more for 90 s; None is nobody."""
    now = time.monotonic()
    while _retired and _retired[0][0] < now - RETIRED_SECONDS:
        _retired.popleft()
    if proxy is not None:
        _retired.append((now, proxy))
