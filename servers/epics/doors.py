"""The doors of a mirror: open while it may serve, until a time of the monotonic clock that is moved on again and again.

A thread opens them when there is time, and shuts them when there is none left, whatever the rest of the process does.
What answers clients looks at the clock by itself as well, where it can.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


class Doors(threading.Thread):
    """Opens and shuts what serves clients.

    Args:
        open_up: begin to answer; called in this thread.
        shut: end all connections and answer nothing more; called in this thread.

    Attributes:
        until: until when the mirror may serve, s of the monotonic clock; never at first.
        is_open: clients may be connected.
    """

    def __init__(self, open_up: Callable[[], None], shut: Callable[[], None]) -> None:
        super().__init__(name="epics-doors")
        self.until = -math.inf
        self.is_open = False
        self._open_up, self._shut = open_up, shut
        self._changed = threading.Condition()
        self._ended = False

    def may_serve(self) -> bool:
        return time.monotonic() < self.until

    def extend(self, until: float) -> None:
        """The mirror may serve until then, s of the monotonic clock; in any thread."""
        with self._changed:
            if until > self.until and not self._ended:
                self.until = until
                self._changed.notify()

    def are_shut(self) -> bool:
        """Whether nothing is served, and nothing will be by what was said until now."""
        with self._changed:
            return not self.is_open and not self.may_serve()

    def end(self) -> None:
        """Shut them for good, and wait until that is done."""
        with self._changed:
            self.until, self._ended = -math.inf, True
            self._changed.notify()
        if self.is_alive():
            self.join()

    def run(self) -> None:
        try:
            self._keep()
        except Exception:
            log.exception("connections cannot be begun or ended; the process ends, since another one may serve now")
            os._exit(1)

    def _keep(self) -> None:
        while True:
            with self._changed:
                opens = self._wait()
                if opens:
                    self.is_open = True  # already now: no vote is given back from here on
                elif not self.is_open:
                    return
            if opens:
                self._open_up()
            else:
                begun = time.monotonic()
                self._shut()
                self.is_open = False
                log.info("all connections were ended, in %.2f s", time.monotonic() - begun)

    def _wait(self) -> bool:
        """Wait until they are to be opened or shut; False to shut them, or to end."""
        while True:
            left = self.until - time.monotonic()
            if self._ended or (left > 0.0) is not self.is_open:
                return left > 0.0
            self._changed.wait(left if 0.0 < left < threading.TIMEOUT_MAX else None)
