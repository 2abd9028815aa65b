"""The audit: one JSON line per write, whoever asked and however it ended."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from servers.epics.access import Client

log = logging.getLogger(__name__)

MAX_TEXT = 1000  # characters of one value that are kept
MAX_ELEMENTS = 20


class Audit:
    """Writes lines to ``path``; a full file becomes ``path.1``, ``path.1`` becomes ``path.2`` and so on.

    A disk that refuses is logged once and counted in ``lost``: it must not stop an instrument from being operated.

    Args:
        path: of the file; None keeps no audit.
        max_bytes: a file is rotated before it grows over this.
        keep: old files that are kept.
    """

    def __init__(self, path: Path | None, *, max_bytes: int = 10_000_000, keep: int = 5) -> None:
        self.path, self.max_bytes, self.keep = path, max_bytes, keep
        self.lines = 0
        self.lost = 0
        self._lock = threading.Lock()
        self._file: TextIO | None = None

    def write(self, client: Client, pv: str, old: Any, new: Any, result: str) -> None:
        """Add a line.

        Args:
            result: ``done``, ``started ID``, or ``ErrorClass: text``.
        """
        if not self.is_kept:
            return
        self.record(
            protocol=client.protocol,
            peer=f"{client.address}:{client.port}",
            claimed_host=client.claimed_host[:MAX_TEXT],
            claimed_user=client.claimed_user[:MAX_TEXT],
            pv=pv,
            old=old,
            new=new,
            result=result[:MAX_TEXT],
        )

    def record(self, **entry: Any) -> None:
        """Add a line of these keys behind the time; values are cut to a size that a log can bear."""
        if not self.is_kept:
            return
        now = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
        line = {"time": now} | {name: _plain(value) for name, value in entry.items()}
        self.append(json.dumps(line, ensure_ascii=False) + "\n")

    @property
    def is_kept(self) -> bool:
        return self.path is not None

    def append(self, line: str) -> None:
        """Add a line as it is, of another process that has no file of its own."""
        if self.path is None:
            return
        with self._lock:
            try:
                self._append(self.path, line)
                self.lines += 1
            except OSError as error:
                self.lost += 1
                if self.lost == 1:
                    log.error("audit %s cannot be written: %s", self.path, error)

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _append(self, path: Path, line: str) -> None:
        if self._file is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8", errors="backslashreplace")
        if self._file.tell() and self._file.tell() + len(line.encode("utf-8", "backslashreplace")) > self.max_bytes:
            self._file.close()
            self._file = None
            self._rotate(path)
            self._file = path.open("a", encoding="utf-8", errors="backslashreplace")
        self._file.write(line)
        self._file.flush()

    def _rotate(self, path: Path) -> None:
        for number in range(self.keep, 0, -1):
            older = path.with_name(f"{path.name}.{number}")
            newer = path if number == 1 else path.with_name(f"{path.name}.{number - 1}")
            if newer.exists():
                newer.replace(older)
        if self.keep == 0:
            path.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    """A value as JSON has it, cut to a size that a log can bear."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in list(value.items())[:MAX_ELEMENTS]}
    if isinstance(value, np.ndarray | list | tuple):
        head = [_plain(element) for element in list(value[:MAX_ELEMENTS])]
        return head if len(value) <= MAX_ELEMENTS else [*head, f"... {len(value)} elements"]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else f"{value[:MAX_TEXT]}... {len(value)} characters"
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value if isinstance(value, bool | int | float) or value is None else str(value)[:MAX_TEXT]
