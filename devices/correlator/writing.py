"""Candidates' files, written beside the search: a slow disk, or a picture of a second, delays no gulp."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Final

log = logging.getLogger("diptych.correlator")

#: So many wait to be written before the search waits for them.
MOST_WAITING: Final = 64
#: While more than this wait, pictures are left out: each takes as long as a hundred of the other files.
FEW: Final = 8


class Writing:
    """A thread that does what it is given, in order."""

    def __init__(self) -> None:
        self._work: queue.Queue[Callable[[], None] | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="results", daemon=True)
        self._thread.start()
        self.problem = ""

    @property
    def has_time(self) -> bool:
        """Whether there is time for pictures."""
        return self._work.qsize() <= FEW

    def put(self, work: Callable[[], None]) -> None:
        """Do this after all that was put before; waits while too much waits."""
        self._work.put(work)

    def close(self) -> None:
        """End when all is written."""
        self._work.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
                self.problem = ""
            except Exception as error:  # whatever it is, the next candidate may be written
                problem = f"results cannot be written: {error}"
                if problem != self.problem:
                    log.exception("%s", problem)
                self.problem = problem
