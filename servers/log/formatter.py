"""How our own processes log: one line with time, level and logger; whatever follows is indented."""

from __future__ import annotations

import logging
import sys
from datetime import datetime


class LineFormatter(logging.Formatter):
    """``2026-11-21T12:31:39.914+00:00 INFO diptych.host: text``.

    The time says its zone, so that an hour that comes twice in autumn is told apart. Further lines of a text are
    indented: no text of a client can pass for an entry.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).replace("\r", "\\r").replace("\n", "\n  ")


def log_to_stderr() -> None:
    """Log to stderr, which is a file of the facility's state directory when `diptych up` started the process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
