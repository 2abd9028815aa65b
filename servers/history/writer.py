"""The way from recorder to store: once a second, in a thread of its own, around the times when the store is away."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from servers.history.backlog import Backlog
from servers.history.state import State
from servers.history.store import INVALID, NANOSECONDS, Facts, Sample, Store, StoreAwayError, new_batch

log = logging.getLogger(__name__)

PERIOD_S: Final = 1.0
REPLAY_S: Final = 0.7  # of each period, for what waits
RETRY_S: Final = (1.0, 2.0, 5.0)  # between attempts to open the store


class Writer:
    """Writes what it is given; keeps it while the store is away, and writes it in order when it is back.

    Args:
        open_store: opens the store, as often as needed; StoreAwayError when it cannot.
        backlog: where batches wait.
        tell: called once a second with how it goes.
    """

    def __init__(
        self, open_store: Callable[[], Store], backlog: Backlog, tell: Callable[[State], None] = lambda _: None
    ) -> None:
        self._open_store, self._backlog, self._tell = open_store, backlog, tell
        self._store: Store | None = None
        self._lock = threading.Lock()
        self._samples: list[Sample] = []
        self._facts: dict[str, Facts] = {}
        self._keep_s: dict[str, float] = {}
        self._is_marked = False
        self._reason, self._since_s = "not begun", time.time()
        self._opened_at, self._failures = -RETRY_S[-1], 0
        self._lost_told = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="history-writer")

    def start(self) -> None:
        self._thread.start()

    def stop(self, last: Iterable[Sample] = ()) -> None:
        """Write what is left, and these, and end."""
        self.put(last)
        self._stop.set()
        self._thread.join()

    def put(self, samples: Iterable[Sample]) -> None:
        """Samples to be written with the next batch; in any thread."""
        with self._lock:
            self._samples.extend(samples)

    def describe(self, facts: Mapping[str, Facts], keep_s: Mapping[str, float]) -> None:
        """See `Store.describe`; in any thread."""
        with self._lock:
            self._facts.update(facts)
            self._keep_s.update(keep_s)

    def _run(self) -> None:
        due = time.monotonic()
        try:
            while not self._stop.is_set():
                self._turn()
                due = max(due + PERIOD_S, time.monotonic())
                self._stop.wait(due - time.monotonic())
            self._turn()
        finally:
            if self._store is not None:
                self._store.close()
            self._backlog.close()

    def _turn(self) -> None:
        with self._lock:
            samples, self._samples = self._samples, []
            facts, self._facts, keep_s, self._keep_s = self._facts, {}, self._keep_s, {}
        # An empty one says that everything was recorded until now.
        batch = new_batch(samples, time.time())
        try:
            store = self._opened()
            store.describe(facts, keep_s)
            if self._replayed(store):
                self._mark_end(store)
                store.write(batch)
            else:
                self._backlog.append(batch)
        except StoreAwayError as error:
            with self._lock:
                self._facts, self._keep_s = {**facts, **self._facts}, {**keep_s, **self._keep_s}
            if samples:
                self._backlog.append(batch)
            self._pause(str(error))
        else:
            self._resume()
        self._report(len(samples))

    def _opened(self) -> Store:
        if self._store is None:
            pause = RETRY_S[min(self._failures, len(RETRY_S) - 1)]
            if time.monotonic() - self._opened_at < pause:
                raise StoreAwayError(self._reason)
            self._opened_at = time.monotonic()
            self._failures += 1
            self._store = self._open_store()
            self._failures = 0
        return self._store

    def _replayed(self, store: Store) -> bool:
        """Write what waits, for a part of a second; whether nothing waits any more."""
        until = time.monotonic() + REPLAY_S
        while (batch := self._backlog.oldest()) is not None:
            if time.monotonic() > until and not self._stop.is_set():
                return False
            store.write(batch)
            self._backlog.drop_oldest()
        return True

    def _mark_end(self, store: Store) -> None:
        """What was recorded when the last recorder was killed is known until then, and not until now."""
        if self._is_marked:
            return
        alive_s = store.alive_s()
        if alive_s is not None:
            time_ns = round(alive_s * NANOSECONDS)
            ends = [
                newest._replace(time_ns=max(time_ns, newest.time_ns + 1), severity=INVALID, is_connected=False)
                for newest in store.latest(list(store.pvs()))
                if newest is not None and newest.is_connected
            ]
            if ends:
                log.info("the last recorder ended without a word: %d PVs are marked as unknown since then", len(ends))
                store.write(new_batch(ends, alive_s))
        self._is_marked = True

    def _pause(self, reason: str) -> None:
        if not self._reason:
            log.error("recording pauses: %s; what comes meanwhile waits", reason)
            self._since_s = time.time()
        elif self._reason == "not begun":
            log.error("recording cannot begin: %s; what comes meanwhile waits", reason)
        self._reason = reason

    def _resume(self) -> None:
        if self._reason:
            lost = self._backlog.lost - self._lost_told
            self._lost_told = self._backlog.lost
            log.info(
                "recording%s; %d samples wait%s",
                "" if self._reason == "not begun" else f" again after {time.time() - self._since_s:.0f} s",
                self._backlog.waiting,
                f", {lost} were lost for want of room" if lost else "",
            )
            self._reason, self._since_s = "", time.time()

    def _report(self, count: int) -> None:
        self._tell(
            State(
                is_recording=not self._reason,
                reason=self._reason,
                since_s=self._since_s,
                now_s=time.time(),
                samples_per_s=count / PERIOD_S,
                waiting=self._backlog.waiting,
                lost=self._backlog.lost,
                size_bytes=self._store.size_bytes if self._store is not None else 0,
            )
        )
