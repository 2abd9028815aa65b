"""Strips of a gulp on the workers of a Dask scheduler; what they cannot do in time is done here."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from concurrent.futures import wait
from typing import Final

from devices.core.dask_executor import DaskExecutor
from devices.correlator.properties import CorrelatorProperties
from devices.pipelines.search.engine import Significances
from devices.pipelines.search.strip import Strip, search_strip

log = logging.getLogger("diptych.correlator")

LOOK_S: Final = 0.1
#: After strips that failed, or did not come back in time, gulps are searched here for so long.
PAUSE_S: Final = 60.0
#: Of ``search_timeout``: the rest is for searching here.
PART: Final = 0.5


class DaskStrips:
    """The workers of the scheduler that properties name, for one search.

    A gulp is never lost to them: when the scheduler is not there, has no workers, or takes too long, ``search`` gives
    None.

    Raises:
        ConfigurationError: Dask is not installed, or the files of TLS do not fit.
    """

    def __init__(self, given: CorrelatorProperties) -> None:
        self._executor = DaskExecutor(given.scheduler, given.scheduler_tls)
        self._limit_s = PART * given.search_timeout
        self._failed, self._paused_until = "", 0.0

    @property
    def problem(self) -> str:
        """Why gulps are searched here; "" when they are not."""
        why = self._failed if time.monotonic() < self._paused_until else self._executor.problem
        return f"{why}: gulps are searched without it" if why else ""

    @property
    def count(self) -> int:
        """Threads of all workers; 0 while there is none to be used."""
        return 0 if self.problem else self._executor.slots

    def search(self, strips: Sequence[Strip]) -> list[Significances] | None:
        """What the strips give, in their order; None: search them here."""
        deadline = time.monotonic() + self._limit_s
        futures = [self._executor.submit(search_strip, strip) for strip in strips]
        try:
            while wait(futures, LOOK_S).not_done:
                if self._executor.problem:
                    return None
                if time.monotonic() > deadline:
                    raise TimeoutError(f"strips did not come back within {self._limit_s:g} s")
            return [future.result() for future in futures]
        except Exception as error:  # of a worker; here it may do, and if not, this says so
            self._failed = f"{self._executor.scheduler}: {error or type(error).__name__}"
            self._paused_until = time.monotonic() + PAUSE_S
            log.error("%s", self._failed)
            return None
        finally:
            for future in futures:
                future.cancel()

    def close(self) -> None:
        self._executor.shutdown(wait=False)
