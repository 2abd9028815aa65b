"""The one asyncio loop of a server process, in a thread that Tango knows."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

import tango

T = TypeVar("T")
log = logging.getLogger("diptych.loop")

#: A loop that does not turn for this time has its stack logged, s.
BLOCKED = 0.1


class LoopThread:
    """Runs all device logic; :meth:`submit` hands work over from any thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.lag = 0.0
        self._turned = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="devices", daemon=True)
        self._watchdog = threading.Thread(target=self._watch, name="loop-watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._watchdog.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine in the loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def stop(self) -> None:
        """Cancel what still runs and end the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(5.0)

    def _run(self) -> None:
        # Events are pushed from this thread: omniORB must know it for its whole life, not for each push.
        with tango.EnsureOmniThread():
            asyncio.set_event_loop(self.loop)
            self.loop.call_soon(self._turn)
            try:
                self.loop.run_forever()
                pending = asyncio.all_tasks(self.loop)
                for task in pending:
                    task.cancel()
                if pending:
                    self.loop.run_until_complete(asyncio.wait(pending, timeout=2.0))
            finally:
                self.loop.close()

    def _turn(self) -> None:
        self._turned = time.monotonic()
        if not self._stop.is_set():
            self.loop.call_later(BLOCKED / 4, self._turn)

    def _watch(self) -> None:
        reported = 0.0
        while not self._stop.wait(BLOCKED / 4):
            self.lag = max(0.0, time.monotonic() - self._turned - BLOCKED / 4)
            if self.lag > BLOCKED and reported != self._turned:
                reported = self._turned
                frame = sys._current_frames().get(self._thread.ident or 0)
                stack = "".join(traceback.format_stack(frame)) if frame else ""
                log.warning("the loop has been blocked for %.0f ms:\n%s", self.lag * 1e3, stack)
