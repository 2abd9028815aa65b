"""Warnings and errors of this process, told to DCSS as ``htos_log``."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

LEVELS: Final = ((logging.CRITICAL, "severe"), (logging.ERROR, "error"), (logging.WARNING, "warning"))
#: More in a minute are left out: a flood of warnings must not flood the beamline.
MOST_PER_MINUTE: Final = 60
MAX_LOG: Final = 400


class BridgeLog(logging.Handler):
    """Hands log records to DCSS in the device's loop; those of the link itself stay here.

    Args:
        tell: takes level, sender and text.
        without: records of loggers that begin so are not told: telling them would make more of them.
    """

    def __init__(self, tell: Callable[[str, str, str], None], without: str) -> None:
        super().__init__(logging.WARNING)
        self._tell, self._without = tell, without
        self._loop = asyncio.get_running_loop()
        self._since, self._count = 0.0, 0

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(self._without) or not self._is_due():
            return
        level = next((word for least, word in LEVELS if record.levelno >= least), "note")
        sender = record.name.removeprefix("diptych.").replace("/", "_")[:40] or "diptych"
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, level, sender, record.getMessage()[:MAX_LOG])

    def _is_due(self) -> bool:
        now = time.monotonic()
        if now - self._since > 60.0:
            self._since, self._count = now, 0
        self._count += 1
        return self._count <= MOST_PER_MINUTE
