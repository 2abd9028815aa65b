"""The tables of the embedded history, and how samples lie in them.

``journal`` has what came last, one row for each write and each 256 PVs. ``block`` has up to 10 minutes of one PV, with
their extremes; ``hour`` has the extremes of an hour, which are kept much longer. A row's number begins with that of its
PV, so that all rows of a PV lie together in the file without an index.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from devices.core.errors import ConfigurationError
from servers.history.store import NANOSECONDS, Columns

log = logging.getLogger(__name__)

VERSION: Final = 1
DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
PAGE_BYTES: Final = 8192
BLOCK_NS: Final = 600 * NANOSECONDS
HOUR_NS: Final = 3600 * NANOSECONDS
SHARD_BITS: Final = 8
ROW_BITS: Final = 40  # of a journal row's number: the write; above it, the shard
PV_BITS: Final = 32  # of a block's or hour's number: which one of the PV; above it, the PV

SCHEMA: Final = f"""
CREATE TABLE pv (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, facts TEXT NOT NULL, keep_s REAL,
    open_row INTEGER NOT NULL, open_skip INTEGER NOT NULL, -- where its samples begin that are in the journal only
    gone_ns INTEGER -- the newest sample that was dropped and of which there are hours only
);
CREATE TABLE journal (id INTEGER PRIMARY KEY, samples BLOB NOT NULL);
CREATE TABLE block (
    id INTEGER PRIMARY KEY, age_s INTEGER NOT NULL, from_ns INTEGER NOT NULL, to_ns INTEGER NOT NULL,
    samples INTEGER NOT NULL, count INTEGER NOT NULL, low REAL, high REAL, total REAL, last REAL,
    severity INTEGER NOT NULL, is_connected INTEGER NOT NULL, data BLOB NOT NULL
);
CREATE INDEX block_age ON block(age_s);
CREATE TABLE hour (
    id INTEGER PRIMARY KEY, age_s INTEGER NOT NULL, count INTEGER NOT NULL, low REAL, high REAL, total REAL,
    last REAL, last_ns INTEGER NOT NULL, severity INTEGER NOT NULL, is_connected INTEGER NOT NULL
);
CREATE TABLE state (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
"""

#: One sample in the journal.
RECORD: Final = np.dtype([("pv", "<u4"), ("status", "u1"), ("time_ns", "<i8"), ("value", "<f8")])


def first_id(pv: int) -> int:
    """Of the blocks or hours of a PV; those of the next one begin at ``first_id(pv + 1)``."""
    return pv << PV_BITS


def shard_of(pv: int) -> int:
    return pv >> SHARD_BITS


def journal_id(shard: int, row: int) -> int:
    return shard << ROW_BITS | row


def row_of(journal_id: int) -> int:
    """Which write a row of the journal is of."""
    return journal_id & (1 << ROW_BITS) - 1


def opened(path: Path) -> sqlite3.Connection:
    """The file for its one writer, made where there is none; a damaged one is set aside, and what comes is recorded.

    Raises:
        ConfigurationError: it is of another version of this program.
        sqlite3.Error: it cannot be opened.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _opened(path)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in DAMAGED:  # the low byte is what it is, the others say where
            raise
        mark = time.strftime("damaged-%Y%m%dT%H%M%S")
        log.error("%s is damaged (%s): set aside as %s.%s, a new one begins", path, error, path.name, mark)
        for ending in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + ending).rename(path.with_name(f"{path.name}.{mark}{ending}"))
    return _opened(path)


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        # With FULL, what was committed is there after a power failure, too; one commit a second costs nothing.
        connection.execute("PRAGMA synchronous = FULL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")
        elif version != VERSION:
            raise ConfigurationError(str(path), [f"is of version {version}, this program needs {VERSION}"])
    except BaseException:
        connection.close()
        raise
    return connection


def summaries(rows: Sequence[Sequence[Any]]) -> Columns:
    """Points from rows of time, count, low, high, total, last, severity, is_connected."""
    if not rows:
        return Columns.none()
    time_ns, count, low, high, total, last, severity, is_connected = zip(*rows, strict=True)
    return Columns(
        time_ns=np.array(time_ns, np.int64),
        count=np.array(count, np.int64),
        low=np.array(low, np.float64),  # None becomes NaN
        high=np.array(high, np.float64),
        total=np.array(total, np.float64),
        last=np.array(last, np.float64),
        severity=np.array(severity, np.uint8),
        is_connected=np.array(is_connected, np.bool_),
    )


def number_or_none(number: float) -> float | None:
    """SQLite has no NaN."""
    return None if number != number else float(number)


def samples_of(data: bytes) -> NDArray[Any]:
    """What a row of the journal has, as :data:`RECORD`."""
    return np.frombuffer(data, RECORD)
