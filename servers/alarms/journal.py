"""What happened to alarms, and where each stands, in one SQLite file: both survive restarts."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from servers.alarms.alarm import Memory, Step

KEPT_ENTRIES: Final = 200_000
TRIM_EVERY: Final = 1000  # entries between two looks

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS memory (alarm TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS journal (
    id INTEGER PRIMARY KEY, time_s REAL NOT NULL, alarm TEXT NOT NULL, step TEXT NOT NULL, severity INTEGER NOT NULL,
    text TEXT NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS journal_of_alarm ON journal (alarm, id);
CREATE INDEX IF NOT EXISTS journal_of_time ON journal (time_s);
"""


@dataclass(frozen=True)
class Entry:
    """One step in the life of an alarm.

    Attributes:
        time_s: s since 1970.
        severity: 0 to 3; of the alarm after the step.
        who, why: of what a person did.
    """

    time_s: float
    alarm: str
    step: str
    severity: int
    text: str
    who: str = ""
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Journal:
    """The file; for any thread.

    Raises:
        sqlite3.Error: the disk is full, or the file is damaged; nothing of that step is written then.
    """

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._file.execute("PRAGMA journal_mode=WAL")
        self._file.execute("PRAGMA synchronous=NORMAL")
        self._file.executescript(_TABLES)
        self._written = 0
        self._lock = threading.Lock()

    def memories(self) -> dict[str, Memory]:
        """Where the alarms stood when the last process ended."""
        rows = self._file.execute("SELECT alarm, content FROM memory")
        return {alarm: Memory(**json.loads(content)) for alarm, content in rows}

    def write(self, memories: Mapping[str, Memory], entries: Iterable[Entry]) -> None:
        """Keep where alarms stand, and what happened to them: both or nothing."""
        rows = [(e.time_s, e.alarm, e.step, e.severity, e.text, e.who, e.why) for e in entries]
        with self._lock:
            self._file.execute("BEGIN IMMEDIATE")
            try:
                self._file.executemany(
                    "INSERT OR REPLACE INTO memory VALUES (?, ?)",
                    [(alarm, json.dumps(memory.as_dict())) for alarm, memory in memories.items()],
                )
                self._file.executemany(
                    "INSERT INTO journal (time_s, alarm, step, severity, text, who, why) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    rows,
                )
                self._written += len(rows)
                if self._written >= TRIM_EVERY:
                    self._written = 0
                    self._file.execute(
                        "DELETE FROM journal WHERE id <= (SELECT max(id) FROM journal) - ?", (KEPT_ENTRIES,)
                    )
            except BaseException:
                self._file.execute("ROLLBACK")
                raise
            self._file.execute("COMMIT")

    def entries(self, alarm: str = "", hours: float = 24.0, limit: int = 1000) -> list[Entry]:
        """What happened in the last hours, newest first; of one alarm, or of all."""
        since_s = time.time() - 3600.0 * hours
        with self._lock:
            rows = self._file.execute(
                "SELECT time_s, alarm, step, severity, text, who, why FROM journal"
                " WHERE time_s >= ? AND (? = '' OR alarm = ?) ORDER BY id DESC LIMIT ?",
                (since_s, alarm, alarm, limit),
            ).fetchall()
        return [Entry(*row) for row in rows]

    def close(self) -> None:
        with self._lock:
            self._file.close()


def entry(time_s: float, alarm: str, step: Step, memory: Memory, who: str = "", why: str = "") -> Entry:
    """The entry for a step of an alarm."""
    return Entry(time_s, alarm, step.value, memory.severity, memory.text, who, why)
